import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type ColumnMapping,
  KeysNeeded,
  NO_TLS,
  type Passage,
  type TableMapping,
  type TargetRow,
  type TargetTableName,
  type TargetTransaction,
} from '@mylab-sync/core'
import { random, shared, sharedServers } from '@mylab-sync/testkit'
import { createTarget } from './target.js'
import { NO_OBJECTS, testRow, testStream, testTable } from './test-support.js'

const DATABASE = 'target_binary_test'
const servers = await sharedServers({ services: ['postgres'] })
const { host, port } = servers.target
const place = { ...servers.product.target, host, port, tls: NO_TLS, instance: 'default' }
await servers.createTargetDatabase(DATABASE)
const admin = await shared(servers.targetAdmin(DATABASE))
const target = await shared(
  createTarget({ ...place, database: DATABASE, schema: 'public', stateSchema: 'mylab_sync' }),
  (opened) => opened.close(),
)
await target.admin.migrate()

async function within<T>(work: (transaction: TargetTransaction) => Promise<T>): Promise<T> {
  await using transaction = await target.begin()
  const result = await work(transaction)
  await transaction.commit()
  return result
}

const r = random(Number(process.env['BINARY_SEED'] ?? 7))
const digits = (most: number): string => Array.from({ length: r.int(1, most) }, () => r.int(0, 9)).join('')
const signed = (text: string): string => (r.chance(0.5) ? `-${text}` : text)
const two = (most: number): string => String(r.int(0, most)).padStart(2, '0')
const year = (): string =>
  r.pick(['0001', '0099', '0400', '1582', '1900', '1969', '2000', '2024', '9999', String(r.int(1000, 9999))])
const day = (): string => `${year()}-${String(r.int(1, 12)).padStart(2, '0')}-${String(r.int(1, 28)).padStart(2, '0')}`
const time = (): string => `${two(23)}:${two(59)}:${two(59)}`
const words = (): string =>
  Array.from({ length: r.int(0, 6) }, () => r.pick(['a', 'é', '\u{1f600}', '\n', '\t', '\\', '"', ',', ' ', '{'])).join(
    '',
  )

/** Of each column its type, its passage, and a value of it as the source sends it. */
const COLUMNS: Readonly<Record<string, readonly [type: string, passage: Passage, value: () => string]>> = {
  s: ['smallint', { kind: 'same' }, () => r.pick(['0', '32767', '-32768', '00042', signed(digits(4))])],
  i: ['integer', { kind: 'same' }, () => r.pick(['0', '2147483647', '-2147483648', signed(digits(9))])],
  l: ['bigint', { kind: 'digits' }, () => r.pick(['9223372036854775807', '-9223372036854775808', '4294967296', '-4294967297', '9007199254740993', signed(digits(17))])], // biome-ignore format: one line
  n: ['numeric(40,12)', { kind: 'same' }, () => r.pick(['0', '-0.00', '0.000000000001', '10000', '100000000.0001', '0.0001', '-0.00010001', signed(`${digits(20)}.${digits(12)}`), signed(digits(24))])], // biome-ignore format: one line
  f: ['double precision', { kind: 'same' }, () => r.pick(['0', '-0', '1e308', '2.2250738585072014e-308', '0.1', signed(`${digits(3)}.${digits(14)}e-5`)])], // biome-ignore format: one line
  b: ['boolean', { kind: 'boolean' }, () => r.pick(['0', '1'])],
  d: ['date', { kind: 'date', suffix: '', except: null }, () => r.pick([day(), '2000-02-29', '1999-12-31'])],
  t: ['timestamp(6) without time zone', { kind: 'date', suffix: '', except: '0001-01-01' }, () => `${day().replace(/^0001/, '0002')} ${time()}${r.pick(['', '.5', '.000001', '.999999', '.120000'])}`], // biome-ignore format: one line
  z: ['timestamp(3) with time zone', { kind: 'date', suffix: '+00', except: null }, () => `${day()} ${time()}${r.pick(['', '.9996', '.1235'])}`], // biome-ignore format: one line
  x: ['text', { kind: 'text' }, words],
  v: ['character varying(30)', { kind: 'text' }, words],
  e: ['text', { kind: 'member' }, () => r.pick(['1:', '2:é', '3:a:b'])],
  y: ['bytea', { kind: 'hex' }, words],
  j: ['jsonb', { kind: 'json' }, () => r.pick(['{"a": 1.50, "b": [null, "é"]}', 'null', '"x"', '-0.0'])],
  k: ['json', { kind: 'json' }, () => r.pick(['{"a": 1.50,  "a": 2}', '[]'])],
}

function tableOf(name: string, only = Object.keys(COLUMNS)): TableMapping {
  const types = Object.fromEntries(only.map((column) => [column, COLUMNS[column]?.[0] ?? '']))
  const table = testTable(name, { id: 'integer!', ...types }, ['id'])
  const passing = (column: ColumnMapping): ColumnMapping => ({
    ...column,
    passage: COLUMNS[column.name]?.[1] ?? column.passage,
  })
  return { ...table, columns: table.columns.map(passing) }
}

async function created(name: string, only?: string[]): Promise<TableMapping> {
  await admin.query(`DROP TABLE IF EXISTS public.${name}`)
  const table = tableOf(name, only)
  await target.tables.create([{ table, objects: NO_OBJECTS }])
  return table
}

function copy(table: TableMapping, rows: readonly TargetRow[], keyed: boolean): Promise<number> {
  return within((transaction) => transaction.rows.copy(table, testStream([rows], keyed), { overwrite: false }))
}

const hasFailed = (error: unknown): boolean => error instanceof KeysNeeded

test('rows copied in the binary format are those copied as text', async () => {
  const [binary, text] = [await created('as_binary'), await created('as_text')]
  const values = Object.values(COLUMNS)
  const rows = Array.from({ length: 3_000 }, (_, id) =>
    testRow(String(id), ...values.map(([, , value]) => (r.chance(0.05) ? null : value()))),
  )
  // Rows with keys are always written as text, and what the binary format cannot carry throws.
  for (let at = 0; at < rows.length; at += 500) {
    assert.equal(await copy(binary, rows.slice(at, at + 500), false), 500)
    assert.equal(await copy(text, rows.slice(at, at + 500), true), 500)
  }
  assert.equal(await copy(await created('none'), [], false), 0)
  const differing = await admin.query(
    'SELECT one::text AS binary, other::text AS text FROM as_binary one FULL JOIN as_text other USING (id) WHERE one::text IS DISTINCT FROM other::text LIMIT 5',
  )
  assert.deepEqual(differing.rows, [])
})

test('a row that does not pass in the binary format is left to text', async () => {
  const wrong: Readonly<Record<string, readonly string[]>> = {
    s: ['32768', 'x', ''],
    i: ['2147483648', '1.5'],
    l: ['9223372036854775808'],
    n: ['1.', '.5', '1e5', '-'],
    d: ['2023-02-29', '0000-01-01', '2023-01-01 00:00:00'],
    t: ['0001-01-01 00:00:00', '2023-01-01 24:00:00', '2023-01-01'],
    x: ['a\0b'],
    e: ['0:'],
    j: ['"\\u0000"'],
  }
  for (const [column, values] of Object.entries(wrong)) {
    for (const [at, value] of values.entries()) {
      const table = await created(`odd_${column}_${at}`, [column])
      const rows = [testRow('1', null), testRow('2', value)]
      await assert.rejects(copy(table, rows, false), hasFailed, `${column} ${value}`)
      assert.deepEqual((await admin.query(`SELECT 1 FROM ${table.name}`)).rows, [])
      assert.equal(await copy(table, rows.slice(0, 1), false), 1)
    }
  }
})

test('a column of another type than planned gets no bytes of the planned one', async () => {
  for (const [column, type, value, expected] of [
    ['i', 'real', '1', '1'],
    ['i', 'bigint', '1', '1'],
    ['d', 'timestamp', '2020-01-02', '2020-01-02 00:00:00'],
    ['l', 'double precision', '5', '5'],
    ['x', 'bytea', 'a', '\\x61'],
  ] as const) {
    const name = `other_${column}_${type.replace(/\W/g, '_')}` as TargetTableName
    await admin.query(`DROP TABLE IF EXISTS ${name}; CREATE TABLE ${name} (id integer NOT NULL, ${column} ${type})`)
    await admin.query(`GRANT ALL ON ${name} TO PUBLIC`)
    const table = { ...tableOf(name, [column]), name }
    const rows = [testRow('1', value)]
    await assert.rejects(copy(table, rows, false), hasFailed, name)
    assert.equal(await copy(table, rows, false), 1)
    const held = await admin.query<{ v: string }>(`SELECT ${column}::text AS v FROM ${name}`)
    assert.deepEqual(held.rows, [{ v: expected }], name)
  }
})
