import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IndexPlan, NO_TLS, type TableMapping, type TableObjects } from '@mylab-sync/core'
import { shared, sharedServers } from '@mylab-sync/testkit'
import { createTarget } from './target.js'
import { NO_OBJECTS, testTable } from './test-support.js'

const DATABASE = 'target_adapt_test'
/** Every type that a column becomes, with values that others cannot hold, and a DEFAULT of its own. */
const TYPES: Readonly<
  Record<string, { readonly values: readonly string[]; readonly fallback?: string; readonly counts?: boolean }>
> = {
  smallint: { values: ['-32768', '0', '7'], fallback: '7', counts: true },
  integer: { values: ['-2147483648', '2147483647', '7'], fallback: '7', counts: true },
  bigint: { values: ['9223372036854775807', '-1', '7'], fallback: '7', counts: true },
  'numeric(20,0)': { values: ['18000000000000000000', '7'], fallback: '7', counts: true },
  'numeric(8,2)': { values: ['123456.78', '-0.01', '7.00'], fallback: '7.50' },
  real: { values: ['1e30', '-0.1', 'NaN', '7'], fallback: '7' },
  'double precision': { values: ['1e300', '0.1', 'Infinity', '7'], fallback: '7' },
  'bit(1)': { values: ["B'0'", "B'1'"] },
  'bit(8)': { values: ["B'00000111'", "B'11111111'"], fallback: "B'00000001'" },
  boolean: { values: ['true', 'false'], fallback: 'true' },
  'character varying(5)': { values: ['7', 'grün', ''], fallback: "'abc'" },
  'character varying(60)': { values: ['7', 'a text of some more letters', '2024-02-29'], fallback: "'in'" },
  text: { values: ['7', 'no number', '{"a": 1}', '12:00:00'], fallback: "'in'" },
  'text[]': { values: ['{}', '{a,b}'] },
  jsonb: { values: ['{"a": 1}', '[]', '7', '"x"'], fallback: `'{}'` },
  bytea: { values: ['\\x616263', '\\xff00', '\\x'] },
  date: { values: ['2024-02-29', '-infinity', '0001-01-01 BC'], fallback: 'CURRENT_DATE' },
  'timestamp(0) without time zone': { values: ['2024-02-29 12:00:01', '-infinity'], fallback: 'CURRENT_TIMESTAMP(0)' },
  'timestamp(6) without time zone': { values: ['2024-02-29 12:00:00.500001', '2024-02-29 12:00:01'] },
  'timestamp(3) with time zone': {
    values: ['2024-02-29 12:00:00.5+00', '1970-01-01 00:00:00+00'],
    fallback: 'CURRENT_TIMESTAMP(3)',
  },
  interval: { values: ['-838:59:59', '12:00:00'], fallback: "'00:00:07'" },
  uuid: { values: ['00112233-4455-6677-8899-aabbccddeeff'], fallback: 'gen_random_uuid()' },
  inet: { values: ['10.0.0.1', '::1'] },
}
const NAMES = Object.keys(TYPES)

const servers = await sharedServers({ services: ['postgres'] })
await servers.createTargetDatabase(DATABASE)
const { host, port, user, password } = servers.target
const target = await shared(
  createTarget({
    host,
    port,
    user,
    password,
    database: DATABASE,
    schema: 'public',
    tls: NO_TLS,
    instance: 'default',
    stateSchema: 'mylab_sync',
  }),
  (opened) => opened.close(),
)
await target.admin.migrate()
const admin = await shared(servers.targetAdmin(DATABASE))

/** One table whose columns are of every type, and which all become one other; `id` is its key. */
interface Batch {
  readonly name: string
  readonly to: string
  readonly required: boolean
}

function columnsOf(type: (from: string) => string, required: boolean): Record<string, string> {
  const columns: Record<string, string> = { id: 'integer!' }
  for (const [at, from] of NAMES.entries()) columns[`c${at}`] = `${type(from)}${required ? '!' : ''}`
  return columns
}

/** By turns a column has an index, a UNIQUE, a CHECK, or nothing. */
function objectsOf(name: string, type: (from: string) => string): TableObjects {
  const columns = NAMES.map((from, at) => ({ column: `c${at}`, type: type(from), at }))
  return {
    ...NO_OBJECTS,
    indexes: columns
      .filter(({ at }) => at % 8 < 2)
      .map(({ column, at }): IndexPlan => {
        const unique = at % 8 === 1
        return { name: `${name}_${column}`, unique, parts: [`"${column}"`], columns: [column], deferrable: unique }
      }),
    checks: columns
      .filter(({ at, type: wanted }) => at % 8 === 2 && wanted === 'text')
      .map(({ column }) => ({ name: `${name}_${column}_check`, expression: `"${column}" <> 'never'` })),
    defaults: new Map(columns.flatMap(({ column, type: wanted }) => defaultOf(column, wanted))),
  }
}

function defaultOf(column: string, type: string): [string, string][] {
  const fallback = TYPES[type]?.fallback
  return fallback === undefined ? [] : [[column, fallback]]
}

/** A value of each type in every row; those of a UNIQUE differ. */
async function insertRows(name: string): Promise<void> {
  const values = NAMES.map((from) => TYPES[from]?.values ?? [])
  for (let id = 0; id < Math.min(...values.map(({ length }) => length)); id++) {
    const row = values.map((of) => of[id] ?? '').map((value) => (value.startsWith("B'") ? value : `'${value}'`))
    await admin.query(`INSERT INTO ${name} VALUES (${id}, ${row.join(', ')})`)
  }
}

async function standing(name: string): Promise<Record<string, unknown>[]> {
  const { rows } = await admin.query<Record<string, unknown>>(
    `SELECT a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required, a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval%', false) AS counts, d.adbin IS NOT NULL AS preset
     FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [name],
  )
  const objects = await admin.query<Record<string, unknown>>(
    `SELECT conname AS object FROM pg_constraint WHERE conrelid = $1::regclass AND contype <> 'n' UNION SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = $1::regclass ORDER BY 1`,
    [name],
  )
  return [...rows, ...objects.rows]
}

/** What a new table of this definition would be. */
async function assertAsNew(name: string, table: TableMapping, objects: TableObjects): Promise<void> {
  const found = await standing(name)
  await admin.query(`DROP TABLE ${name}`)
  await target.tables.create([{ table: table, objects: objects }])
  await target.constraints.buildKeyIndexes([{ table: table, foreignKeyColumns: [], plain: [] }])
  await target.constraints.buildIndexes(table, objects)
  assert.deepEqual(found, await standing(name), name)
  await admin.query(`DROP TABLE ${name}`)
}

/** What follows: the copy brings the rows, and control work what has waited for them. */
async function finish(table: TableMapping, objects: TableObjects): Promise<void> {
  await admin.query(`DELETE FROM ${table.name}`)
  const { outdated, unfinished } = await target.created.due([
    { table, objects, foreignKeyColumns: [], foreignKeys: [] },
  ])
  await target.created.drop(outdated)
  if (unfinished.has(table.name)) await target.tables.finish(table, objects)
  assert.deepEqual(await target.constraints.buildIndexes(table, objects), [], table.name)
}

async function follow(table: TableMapping, objects: TableObjects, wait: boolean): Promise<void> {
  await target.tables.loosen(table, objects, [])
  const left = await target.tables.adapt(table, objects, { wait })
  if (!wait) assert.deepEqual(left, [], table.name)
  // As a person pastes them.
  for (const statement of left) await admin.query(statement)
  assert.deepEqual(await target.tables.adapt(table, objects, { wait }), [], table.name)
  assert.deepEqual(await target.constraints.buildKey(table, { wait: false }), [], table.name)
}

async function batch({ name, to, required }: Batch, wait: boolean): Promise<void> {
  const before = testTable(
    name,
    columnsOf((from) => from, required),
    ['id'],
  )
  const made = objectsOf(name, (from) => from)
  await target.tables.create([{ table: before, objects: made }])
  await insertRows(name)
  await target.constraints.buildKeyIndexes([{ table: before, foreignKeyColumns: [], plain: [] }])
  assert.deepEqual(await target.constraints.buildIndexes(before, made), [])
  const [table, objects] = [
    testTable(
      name,
      columnsOf(() => to, !required),
      ['id'],
    ),
    objectsOf(name, () => to),
  ]
  await follow(table, objects, wait)
  await finish(table, objects)
  await assertAsNew(name, table, objects)
}

const AUTOMATICALLY = 'columns of every type become columns of any other automatically'
const BY_STATEMENTS = 'columns of every type become columns of any other by the printed statements'
for (const [title, wait] of [
  [AUTOMATICALLY, false],
  [BY_STATEMENTS, true],
] as const)
  test(title, async () => {
    for (const [at, to] of NAMES.entries())
      if (!wait || at % 3 === 0) await batch({ name: `t${at}`, to, required: at % 2 === 0 }, wait)
  })

function counterOf(name: string, type: string): Pick<TableObjects, 'identity' | 'sequence'> {
  if (TYPES[type]?.counts !== true) return { identity: null, sequence: null }
  const isIdentity = !type.startsWith('numeric')
  return { identity: isIdentity ? 'k' : null, sequence: isIdentity ? null : { column: 'k', name: `${name}_k_seq` } }
}

async function key(
  name: string,
  from: string,
  { to, wait }: { readonly to: string; readonly wait: boolean },
): Promise<void> {
  const of = (type: string): readonly [TableMapping, TableObjects] => [
    testTable(name, { k: `${type}!`, v: 'integer' }, ['k']),
    { ...NO_OBJECTS, ...counterOf(name, type) },
  ]
  const [before, made] = of(from)
  await target.tables.create([{ table: before, objects: made }])
  for (const value of TYPES[from]?.values ?? [])
    await admin.query(`INSERT INTO ${name} VALUES (${value.startsWith("B'") ? value : `'${value}'`}, 1)`)
  await target.constraints.buildKeyIndexes([{ table: before, foreignKeyColumns: [], plain: [] }])
  const [table, objects] = of(to)
  await follow(table, objects, wait)
  await finish(table, objects)
  await assertAsNew(name, table, objects)
}

test('a key of any type becomes one of any other, and its counter moves along', async () => {
  let tried = 0
  for (const [at, from] of NAMES.entries())
    for (const [other, to] of NAMES.entries())
      if (from !== to && ((at + other) % 8 === 0 || (TYPES[from]?.counts && TYPES[to]?.counts)))
        await key(`k${tried++}`, from, { to, wait: other % 2 === 0 })
  assert.ok(tried > 60, `${tried} pairs`)
})
