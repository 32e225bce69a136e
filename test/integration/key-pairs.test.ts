import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChangeEntry, Edge, RawRow, Source, SourceSnapshot, TableMapping } from '@mylab-sync/core'
import { defaultMappingOptions, isKeyOf, mapTables } from '@mylab-sync/mapping'
import { sharedServers } from '@mylab-sync/testkit'
import { connect } from '../support/connect.js'
import { type KeyType, pairsOfKeyTypes } from '../support/key-types.js'

const NAME = 'key_pairs'
const TABLES_A_CALL = 40

const servers = await sharedServers()

interface Pair {
  readonly table: string
  readonly types: readonly [KeyType, KeyType]
}

/** A third of the pairs, each type in several of them; KEY_PAIRS=all takes all. */
const isTried = (_: unknown, at: number): boolean => process.env['KEY_PAIRS'] === 'all' || at % 3 === 0

function pairsOf(vendor: 'mariadb' | 'mysql'): Pair[] {
  return pairsOfKeyTypes(vendor)
    .filter(isTried)
    .map((types) => ({ table: types.map(({ name }) => name).join('_'), types }))
}

function createTable({ table, types }: Pair): string {
  const columns = types.map(({ sql }, at) => `c${at} ${sql} NOT NULL`)
  const parts = types.map(({ prefix }, at) => `c${at}${prefix ? `(${prefix})` : ''}`)
  return `CREATE TABLE ${table} (${columns.join(', ')}, PRIMARY KEY (${parts.join(', ')})) ENGINE=InnoDB`
}

/** Each value of both types, with two of the other one. */
function rowsOf({ types: [a, b] }: Pair): string[] {
  const rows = new Set<string>()
  for (let at = 0; at < Math.max(a.values.length, b.values.length); at++) {
    const first = a.values[at % a.values.length] ?? ''
    for (const second of [b.values[at % b.values.length], b.values[(at + 1) % b.values.length]])
      rows.add(`(${first}, ${second})`)
  }
  return [...rows]
}

async function allOf<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = []
  for await (const batch of batches) all.push(...batch)
  return all
}

const keysOf = (rows: readonly RawRow[]): string[] => rows.map((row) => row.key)

/** What is wrong with the look-ups of a table; empty if nothing is. */
async function faultsOf(
  snapshot: SourceSnapshot,
  table: TableMapping,
  at: { readonly rows: number; readonly logged: readonly string[] },
): Promise<string[]> {
  const faults: string[] = []
  const expect = (what: string, found: readonly string[], wanted: readonly string[]): void => {
    if (JSON.stringify(found) !== JSON.stringify(wanted))
      faults.push(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`)
  }
  const keys = keysOf(await allOf(snapshot.rows.readRange(table, { lower: null, upper: null })))
  const sorted = [...keys].sort()
  if (new Set(keys).size !== at.rows) faults.push(`${new Set(keys).size} keys of ${at.rows} rows`)
  expect('triggers', [...at.logged].sort(), sorted)
  expect(
    'forms',
    keys.filter((key) => !table.key || !isKeyOf(table.key, key, servers.isMysql ? 'mysql' : 'mariadb')),
    [],
  )
  expect('all at once', keysOf(await snapshot.rows.readColumns(table, keys, [])).sort(), sorted)
  expect('keys alone', (await snapshot.rows.heldKeys([{ table, keys }])).flat().sort(), sorted)
  expect('another form', (await snapshot.rows.findAgain(table, keys)).sort(), sorted)
  const parent = table.key
  assert.ok(parent)
  const edge = { childKey: parent, parentKey: parent } as unknown as Edge
  const tokens = keys.map((key) => key.split(','))
  expect('children', (await allOf(snapshot.rows.childKeys(table, edge, tokens))).sort(), sorted)
  for (const [place, key] of keys.entries()) {
    if (place < 2) expect('alone', keysOf(await snapshot.rows.readColumns(table, [key], [])), [key])
    const next = keys[place + 1] ?? null
    expect('next', [String(await snapshot.rows.keyAfter(table, key, 1))], [String(next)])
    const range = { lower: keys[place - 1] ?? null, upper: key }
    expect('range', keysOf(await allOf(snapshot.rows.readRange(table, range))), [key])
  }
  return faults
}

test("for keys of any two types, a trigger's token finds its own row and no other", async (t) => {
  await servers.createDatabases({ source: NAME, target: NAME })
  await using sides = await connect(servers, NAME)
  const { source } = sides
  await using app = await servers.sourceAdmin(NAME)
  const { vendor } = await source.catalog.read()
  const pairs = pairsOf(vendor)
  await app.query("SET sql_mode = '', time_zone = '-08:00', NAMES utf8mb4")
  await inCalls(pairs, async (some) => void (await app.query(some.map(createTable).join(';'))))
  await source.admin.migrate()
  const { mapped, refused } = mapTables((await source.catalog.read()).tables, defaultMappingOptions)
  assert.deepEqual(refused, [])
  await inCalls(pairs, async (some) => void (await app.query(insertTriggers(source, mapped, some).join(';'))))
  await inCalls(pairs, async (some) => {
    await app.query(some.map((pair) => `INSERT INTO ${pair.table} VALUES ${rowsOf(pair).join(', ')}`).join(';'))
  })
  await using snapshot = await source.openSnapshot()
  const logged = new Map<string, string[]>()
  for (const { table, rowKey } of await entriesOf(snapshot)) {
    const list = logged.get(table)
    if (list) list.push(rowKey)
    else logged.set(table, [rowKey])
  }
  const faults: string[] = []
  for (const pair of pairs) {
    const table = mapped.get(pair.table)
    assert.ok(table)
    const found = await faultsOf(snapshot, table, {
      rows: rowsOf(pair).length,
      logged: logged.get(pair.table) ?? [],
    })
    faults.push(...found.map((fault) => `${pair.table}: ${fault}`))
  }
  t.diagnostic(`${pairs.length} pairs of key types on ${vendor}`)
  assert.deepEqual(faults, [])
})

async function inCalls<T>(list: readonly T[], call: (some: readonly T[]) => Promise<void>): Promise<void> {
  for (let at = 0; at < list.length; at += TABLES_A_CALL) await call(list.slice(at, at + TABLES_A_CALL))
}

function insertTriggers(source: Source, mapped: ReadonlyMap<string, TableMapping>, pairs: readonly Pair[]): string[] {
  return pairs.flatMap(({ table }) => {
    const key = mapped.get(table)?.key ?? null
    return source.capture
      .statements([{ table, key }], 'triggers')
      .filter((statement) => statement.includes(' AFTER INSERT '))
  })
}

async function entriesOf(snapshot: SourceSnapshot): Promise<ChangeEntry[]> {
  const entries: ChangeEntry[] = []
  for (let last = 0n; ; ) {
    const some = await snapshot.entries.after(last, 5_000)
    entries.push(...some)
    if (some.length === 0) return entries
    last = some.at(-1)?.id ?? last
  }
}
