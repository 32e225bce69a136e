import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SanitisingRule, type SourceColumn, ValueRefused } from '@mylab-sync/core'
import { testColumn, testForeignKey, testTable } from './fixtures.js'
import type { ColumnOption } from './options.js'
import { mapTables } from './tables.js'

interface Case {
  readonly column: SourceColumn
  readonly option?: ColumnOption
  readonly key?: boolean
  readonly value: string | Buffer
  /** The target's text, null, or the rule that refuses the value. */
  readonly gives: string | null | { readonly refused: string }
  readonly note?: SanitisingRule
}

const nullable = { nullable: true }
/** U+1F600 as two halves of three bytes each. */
const HALVES = Buffer.from('61eda0bdedb880c3a9', 'hex')
const mariaJson = testColumn('c', 'longtext', { json: true, nullable: true })
const mysqlJson = testColumn('c', 'json', { json: true, nullable: true })

const CASES: readonly Case[] = [
  { column: testColumn('c', 'date', nullable), value: '2020-02-29', gives: '2020-02-29' },
  { column: testColumn('c', 'date', nullable), value: '0000-00-00', gives: null, note: 'zero-date' },
  { column: testColumn('c', 'date'), value: '0000-00-00', gives: '0001-01-01', note: 'zero-date' },
  { column: testColumn('c', 'date'), value: '2021-02-30', gives: { refused: 'out-of-range' } },
  { column: testColumn('c', 'date'), value: '0000-03-04', gives: '0001-03-04 BC' },
  { column: testColumn('c', 'date', nullable), value: '2021-00-00', gives: null, note: 'partial-date' },
  {
    column: testColumn('c', 'date', nullable),
    option: { 'partial-date': 'clamp' },
    value: '2021-00-31',
    gives: '2021-01-31',
    note: 'partial-date',
  },
  { column: testColumn('c', 'date'), key: true, value: '2021-00-31', gives: { refused: 'partial-date' } },
  { column: testColumn('c', 'date'), key: true, value: '0001-01-01', gives: '0001-01-01' },
  { column: testColumn('c', 'date'), key: true, value: '0000-00-00', gives: '-infinity', note: 'zero-date' },
  {
    column: testColumn('c', 'date'),
    key: true,
    option: { 'zero-date': '9999-12-31' },
    value: '9999-12-31',
    gives: { refused: 'zero-date' },
  },
  { column: testColumn('c', 'datetime'), key: true, value: '0000-00-00 10:00:00', gives: { refused: 'zero-date' } },
  {
    column: testColumn('c', 'datetime', { fraction: 3 }),
    key: true,
    value: '0001-01-01 00:00:00.000',
    gives: '0001-01-01 00:00:00.000',
  },
  {
    column: testColumn('c', 'datetime', { fraction: 3 }),
    key: true,
    value: '0000-00-00 00:00:00.000',
    gives: '-infinity',
    note: 'zero-date',
  },
  {
    column: testColumn('c', 'timestamp'),
    key: true,
    value: '0000-00-00 00:00:00',
    gives: '1970-01-01 00:00:00+00',
    note: 'zero-date',
  },
  {
    column: testColumn('c', 'datetime'),
    option: { 'zero-date': '1970-01-01' },
    value: '0000-00-00 00:00:00',
    gives: '1970-01-01 00:00:00',
    note: 'zero-date',
  },
  {
    column: testColumn('c', 'datetime'),
    option: { 'zero-date': 'null', 'partial-date': '-infinity' },
    value: '2000-01-00 10:00:00',
    gives: '-infinity',
    note: 'partial-date',
  },
  { column: testColumn('c', 'timestamp'), value: '2020-01-01 10:00:00', gives: '2020-01-01 10:00:00+00' },
  {
    column: testColumn('c', 'timestamp'),
    value: '0000-00-00 00:00:00',
    gives: '1970-01-01 00:00:00+00',
    note: 'zero-date',
  },
  { column: testColumn('c', 'varchar', { length: 9 }), value: 'a\0b', gives: 'ab', note: 'nul-byte' },
  { column: testColumn('c', 'varchar', { length: 9 }), value: HALVES, gives: 'a\ufffd\ufffdé', note: 'invalid-text' },
  { column: testColumn('c', 'varchar', { length: 9 }), key: true, value: HALVES, gives: { refused: 'invalid-text' } },
  {
    column: testColumn('c', 'varchar', { length: 9 }),
    option: { 'invalid-text': 'quarantine' },
    value: HALVES,
    gives: { refused: 'invalid-text' },
  },
  { column: mariaJson, value: Buffer.from([0x22, 0xff, 0x22]), gives: '"\ufffd"', note: 'invalid-text' },
  {
    column: testColumn('c', 'varchar', { length: 9 }),
    option: { 'nul-byte': { replace: '_' } },
    value: 'a\0b',
    gives: 'a_b',
    note: 'nul-byte',
  },
  { column: testColumn('c', 'varchar', { length: 9 }), key: true, value: 'a\0b', gives: { refused: 'nul-byte' } },
  { column: testColumn('c', 'enum', { members: ['a', ''] }), value: '1:a', gives: 'a' },
  { column: testColumn('c', 'enum', { members: ['a', ''] }), value: '0:', gives: '', note: 'enum-error' },
  {
    column: testColumn('c', 'enum', { members: ['a'] }),
    option: { 'enum-error': 'null' },
    value: '0:',
    gives: null,
    note: 'enum-error',
  },
  { column: testColumn('c', 'set', { members: ['a', 'b c'] }), value: 'a,b c', gives: '{a,"b c"}' },
  { column: testColumn('c', 'set', { members: ['a'] }), value: '', gives: '{}' },
  { column: testColumn('c', 'tinyint', { columnType: 'tinyint(1)' }), option: 'boolean', value: '1', gives: 'true' },
  {
    column: testColumn('c', 'tinyint', { columnType: 'tinyint(1)' }),
    option: 'boolean',
    value: '-7',
    gives: 'true',
    note: 'not-boolean',
  },
  {
    column: testColumn('c', 'bigint', { unsigned: true }),
    option: 'bigint',
    value: '9223372036854775808',
    gives: { refused: 'out-of-range' },
  },
  {
    column: testColumn('c', 'bigint', { unsigned: true }),
    option: 'bigint',
    value: '9223372036854775807',
    gives: '9223372036854775807',
  },
  { column: testColumn('c', 'varbinary', { length: 9 }), value: Buffer.from([0, 255]), gives: '\\x00ff' },
  {
    column: testColumn('c', 'binary', { length: 16 }),
    option: 'uuid',
    value: Buffer.alloc(16, 0xab),
    gives: 'abababab-abab-abab-abab-abababababab',
  },
  { column: testColumn('c', 'time'), option: 'time', value: '24:00:01', gives: { refused: 'out-of-range' } },
  { column: testColumn('c', 'time'), option: 'time', value: '24:00:00', gives: '24:00:00' },
  { column: testColumn('c', 'vector'), value: Buffer.from(new Float32Array([1, 0.5, -2]).buffer), gives: '{1,0.5,-2}' },
  {
    column: testColumn('c', 'point'),
    value: Buffer.from('e6100000' + '0101000000' + '00'.repeat(16), 'hex'),
    gives: '\\x0101000020e6100000' + '00'.repeat(16),
  },
  {
    column: testColumn('c', 'point'),
    value: Buffer.from('00000000' + '0101000000' + '00'.repeat(16), 'hex'),
    gives: '\\x0101000000' + '00'.repeat(16),
  },
  { column: mariaJson, value: '{"a": 1}', gives: '{"a": 1}' },
  { column: mariaJson, value: '["a\\u0000b\\\\u0000"]', gives: '["ab\\\\u0000"]', note: 'nul-escape' },
  { column: mariaJson, value: '1.', gives: '"1."', note: 'invalid-json' },
  { column: mariaJson, value: '"\\ud800"', gives: '"\\"\\\\ud800\\""', note: 'invalid-json' },
  {
    column: mariaJson,
    value: '"\\ud800\\u0000\\udc00"',
    gives: '"\\"\\\\ud800\\\\u0000\\\\udc00\\""',
    note: 'invalid-json',
  },
  { column: mariaJson, value: '"\\ud83d\\ude00 \\\\ud800"', gives: '"\\ud83d\\ude00 \\\\ud800"' },
  { column: mariaJson, option: { 'invalid-json': 'null' }, value: 'x', gives: null, note: 'invalid-json' },
  { column: mariaJson, option: 'json', value: '"\\u0000"', gives: '"\\u0000"' },
  { column: mysqlJson, value: '"\\u0000"', gives: '""', note: 'nul-escape' },
]

for (const [at, { column, option, key, value, gives, note }] of CASES.entries()) {
  test(`${at}: ${column.dataType} ${JSON.stringify(option ?? null)} ${String(value)}`, () => {
    const table = testTable('t', [column], { primaryKey: key === true ? ['c'] : null })
    const columns: Record<string, ColumnOption> = option === undefined ? {} : { c: option }
    const { mapped, refused } = mapTables([table], { names: 'keep', types: {}, columns: { t: columns } })
    assert.deepEqual(refused, [])
    const mapping = mapped.get('t')?.columns[0]
    assert.ok(mapping)
    const notes: SanitisingRule[] = []
    const bytes = Buffer.from(value)
    const run = () =>
      (mapping.convert === null ? bytes : mapping.convert(bytes, (rule) => notes.push(rule)))?.toString() ?? null
    if (gives !== null && typeof gives === 'object') {
      assert.throws(run, (error) => error instanceof ValueRefused && error.rule === gives.refused)
      return
    }
    assert.equal(run(), gives)
    assert.deepEqual(notes, note === undefined ? [] : [note])
  })
}

test('a foreign key column takes the type of the column it references', () => {
  const parent = testTable('p', [testColumn('d', 'date')], { primaryKey: ['d'] })
  const child = testTable('c', [testColumn('id'), testColumn('d', 'date', nullable)], {
    primaryKey: ['id'],
    foreignKeys: [testForeignKey(['d'], 'p', ['d'])],
  })
  const loose = testTable('q', [testColumn('id'), testColumn('d', 'date', nullable)], { primaryKey: ['id'] })
  const hard = testTable('h', [testColumn('id'), testColumn('d', 'date')], {
    primaryKey: ['id'],
    foreignKeys: [testForeignKey(['D'], 'q', ['D'])],
  })
  const { mapped } = mapTables([parent, child, loose, hard], { names: 'keep', types: {}, columns: {} })
  const of = (table: string) => mapped.get(table)?.columns.find((column) => column.source.name === 'd')
  assert.equal(
    of('c')
      ?.convert?.(Buffer.from('0000-00-00'), () => undefined)
      ?.toString(),
    '-infinity',
  )
  assert.throws(() => of('c')?.convert?.(Buffer.from('2000-00-00'), () => undefined), ValueRefused)
  assert.equal(of('h')?.notNull, false)
  assert.equal(
    of('h')?.convert?.(Buffer.from('0000-00-00'), () => undefined),
    null,
  )
})
