import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type ChangeEntry,
  type KeysOf,
  NO_TLS,
  type RawRow,
  type RowsRead,
  type Source,
  type SourceSnapshot,
  type SourceTable,
  type SyncError,
  TableBroken,
  type TableMapping,
  type TokenRule,
  type TargetTableName,
} from '@mylab-sync/core'
import { eventually, shared, sharedServers } from '@mylab-sync/testkit'
import mysql from 'mysql2/promise'
import { Session } from './connection/session.js'
import type { SourceSettings } from './settings.js'
import { Reader } from './snapshot/reader.js'
import { createSource } from './source.js'
import { columnMapping, keyColumn, keyMapping } from './test-support.js'

const DATABASE = 'source_mysql_test'
const ER_QUERY_INTERRUPTED = 1317
const servers = await sharedServers()
const env = servers.environment({ source: DATABASE, target: DATABASE })
const settings: SourceSettings = {
  host: env['DB_HOST'] ?? '',
  port: Number(env['DB_PORT'] ?? 0),
  user: env['DB_USERNAME'] ?? '',
  password: env['DB_PASSWORD'] ?? '',
  database: DATABASE,
  tls: NO_TLS,
  auditTable: 'sync_audit_log',
  instance: 'default',
}

const TABLES = [
  'CREATE TABLE k_int (k BIGINT UNSIGNED NOT NULL, v INT, PRIMARY KEY (k))',
  'CREATE TABLE k_zerofill (k INT(9) ZEROFILL NOT NULL, d DECIMAL(10,3) NOT NULL, v INT, PRIMARY KEY (k, d))',
  'CREATE TABLE k_float (k FLOAT NOT NULL, d DOUBLE NOT NULL, v INT, PRIMARY KEY (k, d))',
  'CREATE TABLE k_bit (k BIT(64) NOT NULL, y YEAR NOT NULL, v INT, PRIMARY KEY (k, y))',
  "CREATE TABLE k_enum (k ENUM('a','','b''c') NOT NULL, s SET('x','y') NOT NULL, v INT, PRIMARY KEY (k, s))",
  'CREATE TABLE k_time (k DATETIME(2) NOT NULL, e DATE NOT NULL, t TIME(6) NOT NULL, v INT, PRIMARY KEY (k, e, t))',
  "CREATE TABLE k_stamp (k TIMESTAMP(3) NOT NULL DEFAULT '2001-01-01 00:00:00', p TIMESTAMP NOT NULL DEFAULT '2001-01-01 00:00:00', v INT, PRIMARY KEY (k, p))",
  `CREATE TABLE k_text (k VARCHAR(9) CHARACTER SET utf8mb4 NOT NULL, l CHAR(5) CHARACTER SET latin1 NOT NULL, u VARCHAR(9) CHARACTER SET ucs2 NOT NULL,
    j VARCHAR(9) CHARACTER SET sjis COLLATE sjis_bin NOT NULL, v INT, PRIMARY KEY (k, l, u, j))`,
  'CREATE TABLE k_binary (k VARBINARY(9) NOT NULL, b BINARY(4) NOT NULL, v INT, PRIMARY KEY (k, b))',
  "CREATE TABLE `ünï ``q' x` (`c ol``'\"x` INT NOT NULL PRIMARY KEY, v INT)",
  'CREATE TABLE `back\\sl\\\\ash\nü` (`k\\n` INT NOT NULL PRIMARY KEY, v INT)',
]
const ROWS = [
  'INSERT INTO k_int (k) VALUES (0), (18446744073709551615), (9007199254740993)',
  'INSERT INTO k_zerofill (k, d) VALUES (42, -1.5), (0, 1234567.891)',
  'INSERT INTO k_float (k, d) VALUES (0.1, 0.1), (16777216, 1e300), (-3.40282e38, -1e-300), (0, 0)',
  "INSERT INTO k_bit (k, y) VALUES (b'0', 0), (0xFFFFFFFFFFFFFFFF, 2155)",
  "INSERT INTO k_enum (k, s) VALUES ('a', ''), ('', 'x,y'), ('b''c', 'y'), ('unknown', 'x')",
  "INSERT INTO k_time (k, e, t) VALUES (0, 0, '-838:59:59'), ('2020-00-10 01:02:03.45', '2020-01-00', '838:59:58.999999')",
  "INSERT INTO k_stamp (k, p) VALUES ('2020-11-01 01:30:00.120', '2020-11-01 00:30:00'), ('2020-06-01', '2020-06-01'), (0, 0)",
  "INSERT INTO k_text (k, l, u, j) VALUES ('a', _latin1 X'E9', _ucs2 X'00E9', _sjis X'835C'), ('', '', '', ''), (_utf8mb4 X'F09F9880', ',', ' b', 'c')",
  "INSERT INTO k_binary (k, b) VALUES ('', ''), (X'00FF2C', X'2C')",
  "INSERT INTO `ünï ``q' x` VALUES (1, 1)",
  'INSERT INTO `back\\sl\\\\ash\nü` VALUES (1, 1)',
]

function rule(dataType: string): TokenRule {
  if (['char', 'varchar'].includes(dataType)) return 'text'
  if (dataType.includes('binary')) return 'binary'
  if (dataType === 'float' || dataType === 'double') return 'bits'
  if (dataType === 'decimal' || dataType === 'timestamp') return dataType
  return ['date', 'datetime', 'time'].includes(dataType) ? 'temporal' : 'integer'
}

function mapping(table: SourceTable): TableMapping {
  const names = new Set(table.primaryKey ?? [])
  const key = table.columns
    .filter((column) => names.has(column.name))
    .map((column) => keyColumn(column, rule(column.dataType)))
  return {
    source: table,
    name: table.name as TargetTableName,
    columns: table.columns.map(columnMapping),
    key: keyMapping(key),
  }
}

async function collected(batches: AsyncIterable<RawRow[]>): Promise<string[]> {
  const keys: string[] = []
  for await (const batch of batches) keys.push(...batch.map((row) => row.key))
  return keys
}

async function collectedOf(batches: AsyncIterable<RowsRead>): Promise<string[]> {
  const keys: string[] = []
  for await (const { rows } of batches) keys.push(...rows.map((row) => row.key))
  return keys
}

async function inSnapshot<T>(source: Source, use: (snapshot: SourceSnapshot) => Promise<T>): Promise<T> {
  await using snapshot = await source.openSnapshot()
  return await use(snapshot)
}

await servers.createSourceDatabase(DATABASE)
const app = await shared(servers.sourceAdmin(DATABASE))
await app.query("SET sql_mode = ''")
for (const statement of TABLES) await app.query(statement)
const source = await shared(createSource(settings), (opened) => opened.close())
await source.admin.migrate('first')
const tables = (await source.catalog.read()).tables.map(mapping)
await source.capture.install(
  tables.map((table) => ({ table: table.source.name, key: table.key })),
  { recreate: false },
)
// A typical application session: another time zone and character set, not strict.
await app.query("SET NAMES latin1, time_zone = '-08:00'")
await app.query('SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci')
for (const statement of ROWS) await app.query(statement)

test('trigger, SELECT and lookup agree on the key of every type', async () => {
  await inSnapshot(source, async (snapshot) => {
    const entries = await snapshot.entries.after(0n, 1000)
    for (const table of tables) {
      const logged = entries
        .filter((entry: ChangeEntry) => entry.table === table.source.name)
        .map((entry) => entry.rowKey)
      const selected = await collected(snapshot.rows.readRange(table, { lower: null, upper: null }))
      assert.ok(selected.length > 0, table.source.name)
      assert.deepEqual([...logged].sort(), [...selected].sort(), table.source.name)
      for (const key of selected)
        assert.deepEqual(await collectedOf(snapshot.rows.readKeys([{ table, keys: [key] }])), [key], table.source.name)
      const chunks: string[] = []
      for (let lower: string | null = null; ; ) {
        const upper: string | null = await snapshot.rows.keyAfter(table, lower, 1)
        chunks.push(...(await collected(snapshot.rows.readRange(table, { lower, upper }))))
        if (upper === null) break
        lower = upper
      }
      assert.deepEqual(chunks, selected, table.source.name)
    }
  })
})

test('a correct trigger stays; a dropped one is noticed and re-created', async () => {
  const targets = tables.map((table) => ({ table: table.source.name, key: table.key }))
  const before = await source.capture.fingerprints(targets)
  assert.deepEqual([...before.keys()].sort(), targets.map(({ table }) => table).sort())
  const [rows] = await app.query<mysql.RowDataPacket[]>(
    "SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_TABLE = 'k_int' AND TRIGGER_SCHEMA = DATABASE()",
  )
  await app.query(`DROP TRIGGER ${String(rows[0]?.['name'])}`)
  const others = new Map([...before].filter(([table]) => table !== 'k_int'))
  assert.deepEqual(await source.capture.fingerprints(targets), others)
  assert.equal(await source.capture.install(targets, { recreate: false }), targets.length * 3)
  const after = await source.capture.fingerprints(targets)
  assert.deepEqual(
    [...before].filter(([table, sign]) => after.get(table) !== sign).map(([table]) => table),
    ['k_int'],
  )
  assert.ok(after.has('k_int'))
})

test('reading definitions fails while one is being altered, instead of omitting it', async (context) => {
  if (servers.isMysql) {
    context.skip('its definitions are transactional, and it has no CREATE OR REPLACE TABLE')
    return
  }
  await source.catalog.read()
  await app.query('CREATE TABLE changing (id INT PRIMARY KEY) ENGINE=InnoDB')
  const other = await servers.sourceAdmin(DATABASE)
  const changed = other.query('CREATE OR REPLACE TABLE changing AS SELECT SLEEP(60) AS id')
  try {
    const state = "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'"
    await eventually(
      'the statement runs',
      async () => Number(((await app.query(state))[0] as { n: number }[])[0]?.n) > 0,
      10_000,
    )
    const isTold = (error: unknown): boolean => (error as SyncError).code === 'lock-timeout'
    await assert.rejects(source.catalog.read(), isTold)
    await assert.rejects(source.capture.fingerprints([]), isTold)
    await assert.rejects(source.admin.uninstallStatements(), isTold)
  } finally {
    await app.query(`KILL QUERY ${other.threadId}`)
    // KILL ends it, and it may or may not report so.
    await changed.catch((error: unknown) => assert.equal((error as { errno?: number }).errno, ER_QUERY_INTERRUPTED))
    await other.end()
    await app.query('DROP TABLE IF EXISTS changing')
  }
  await source.catalog.read()
})

test('a fingerprint changes with TRUNCATE and not without', async () => {
  for (const table of ['emptied', 'aux', 'geleert ö']) {
    await app.query(`CREATE TABLE \`${table}\` (id INT NOT NULL PRIMARY KEY)`)
    const first = await source.catalog.fingerprints()
    assert.deepEqual(await source.catalog.fingerprints(), first)
    await app.query(`TRUNCATE TABLE \`${table}\``)
    const second = await source.catalog.fingerprints()
    assert.notEqual(second.get(table)?.values, first.get(table)?.values, table)
    assert.deepEqual(second.get("ünï `q' x"), first.get("ünï `q' x"))
    await app.query(`DROP TABLE \`${table}\``)
  }
})

test('an ALTER that moves no CREATE_TIME changes the fingerprint', async () => {
  await app.query('CREATE TABLE undated (id INT NOT NULL PRIMARY KEY, a INT, c INT) ENGINE=MyISAM')
  const settled = async (): Promise<boolean> => {
    const [rows] = await app.query<mysql.RowDataPacket[]>(
      "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'undated' AND CREATE_TIME < NOW() - INTERVAL 2 SECOND",
    )
    return rows.length > 0
  }
  await eventually('the second of its creation is over', settled, 10_000)
  const before = (await source.catalog.fingerprints()).get('undated')
  await app.query('ALTER TABLE undated CHANGE a c INT, CHANGE c a INT')
  const after = (await source.catalog.fingerprints()).get('undated')
  assert.notEqual(after?.definition, before?.definition)
  await app.query('DROP TABLE undated')
})

test("a table's own fingerprint equals the bulk one: any name, engine, partition or FK", async () => {
  const odd = ['aux', 'g_1', 'gX1', 'g%', 'g#P#x', 'g@0020', 'g ö', 'g-1', 'g$', '日本']
  const quoted = odd.map((name) => `\`${name}\``)
  for (const name of quoted) await app.query(`CREATE TABLE ${name} (id INT NOT NULL PRIMARY KEY)`)
  await app.query(`CREATE TABLE g_part (id INT NOT NULL PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3`)
  await app.query(`CREATE TABLE g_old (id INT NOT NULL PRIMARY KEY) ENGINE=MyISAM`)
  await app.query(
    'CREATE TABLE g_child (id INT NOT NULL PRIMARY KEY, a INT, b INT, FOREIGN KEY (a) REFERENCES `g_1` (id), FOREIGN KEY (b) REFERENCES `g ö` (id) ON DELETE CASCADE)',
  )
  await inSnapshot(source, async (snapshot) => {
    const all = await source.catalog.fingerprints()
    for (const table of [...odd, 'g_part', 'g_old', 'g_child', "ünï `q' x"]) {
      assert.ok(all.has(table), table)
      assert.deepEqual((await snapshot.fingerprintsOf([table])).get(table), all.get(table), table)
    }
    const several = await snapshot.fingerprintsOf(['g', ...odd])
    assert.deepEqual(
      [several.get('g'), ...odd.map((table) => several.get(table))],
      [undefined, ...odd.map((table) => all.get(table))],
    )
  })
  await app.query(`DROP TABLE g_child, g_part, g_old, ${quoted.join(', ')}`)
})

test('foreign key actions are readable by an account that may only SELECT', async () => {
  const made = [
    'CREATE TABLE fk_parent (id INT PRIMARY KEY, u INT UNIQUE)',
    `CREATE TABLE \`fk child\` (id INT PRIMARY KEY, a INT, b INT,
      CONSTRAINT \`a\`\`b\` FOREIGN KEY (a) REFERENCES fk_parent (id) ON DELETE SET NULL ON UPDATE CASCADE,
      CONSTRAINT plain FOREIGN KEY (b) REFERENCES fk_parent (u))`,
    "CREATE USER only_select@'%' IDENTIFIED BY 'only_select'",
    `GRANT SELECT ON ${DATABASE}.* TO only_select@'%'`,
  ]
  for (const statement of made) await app.query(statement)
  const reader = await createSource({ ...settings, user: 'only_select', password: 'only_select' })
  try {
    const keysOf = async (of: Source): Promise<unknown> =>
      (await of.catalog.read()).tables.find(({ name }) => name === 'fk child')?.foreignKeys
    assert.deepEqual(await keysOf(reader), await keysOf(source))
    const [key] = (await keysOf(reader)) as { name: string; onDelete: string; onUpdate: string }[]
    assert.deepEqual([key?.name, key?.onDelete, key?.onUpdate], ['a`b', 'SET NULL', 'CASCADE'])
  } finally {
    await reader.close()
    await app.query("DROP USER only_select@'%'")
    await app.query('DROP TABLE `fk child`, fk_parent')
  }
})

test('acknowledgements are exact, raise the drain number and can be taken back', async () => {
  const ids = await inSnapshot(source, async (snapshot) => {
    const [first, second] = await snapshot.entries.after(0n, 2)
    assert.ok(first !== undefined && second !== undefined)
    assert.equal(snapshot.token, 'first')
    assert.equal(
      await snapshot.acknowledge({ ids: [second.id], unsynced: [], released: [] }, { number: 3, token: 'three' }),
      true,
    )
    // a second drain from the same snapshot acknowledges nothing
    assert.equal(
      await snapshot.acknowledge({ ids: [first.id], unsynced: [], released: [] }, { number: 4, token: 'four' }),
      false,
    )
    await snapshot.refresh()
    assert.deepEqual([snapshot.lastDrain, snapshot.token], [3, 'three'])
    const [two, three, other] = [
      { number: 2, token: 'two' },
      { number: 3, token: 'three' },
      { number: 3, token: 'another history’s' },
    ]
    assert.deepEqual(await snapshot.watermarks.latest([two, three]), three)
    assert.equal(await snapshot.watermarks.latest([two, other]), null)
    const rest: bigint[] = []
    for await (const ids of snapshot.entries.pendingIdsUpTo(second.id)) rest.push(...ids)
    return { first: first.id, rest }
  })
  assert.deepEqual(ids.rest, [ids.first])
  await source.log.takeBack({ number: 0, token: 'zero' }, { lastDrain: 3, token: 'other' })
  assert.equal(await source.log.countSynced(), 1)
  await source.log.takeBack({ number: 0, token: 'zero' }, { lastDrain: 3, token: 'three' })
  assert.equal(await source.log.countSynced(), 0)
  assert.deepEqual(await source.log.poll(), { pending: true, lastDrain: 3 })
  assert.equal(
    await inSnapshot(source, (snapshot) => snapshot.watermarks.latest([{ number: 3, token: 'three' }])),
    null,
  )
})

test('a prepared XA transaction blocks the installation', async () => {
  const other = await mysql.createConnection({
    host: settings.host,
    port: settings.port,
    user: settings.user,
    password: settings.password,
    database: DATABASE,
  })
  await other.query("XA START 'x'")
  await other.query("UPDATE `ünï ``q' x` SET v = 2")
  await other.query("XA END 'x'")
  await other.query("XA PREPARE 'x'")
  // MySQL shows them to no other account
  if (servers.isMysql) await app.query(`GRANT XA_RECOVER_ADMIN ON *.* TO '${settings.user}'@'%'`)
  const seeing = await createSource(settings)
  try {
    await assert.rejects(
      seeing.capture.install([], { recreate: false }),
      (error: SyncError) => error.code === 'xa-prepared',
    )
  } finally {
    await seeing.close()
    await other.query("XA ROLLBACK 'x'")
    await other.end()
  }
})

test('a change log that is not ours is refused', async () => {
  await app.query('CREATE TABLE php_log (id INT NOT NULL PRIMARY KEY)')
  const foreign = await createSource({ ...settings, auditTable: 'php_log' })
  await assert.rejects(
    foreign.admin.migrate(),
    (error: SyncError) => error.code === 'foreign-audit-table' && error.remedy !== null,
  )
  await foreign.close()
  await app.query('DROP TABLE php_log')
})

test('reads in one packet stay apart, and one that fails or is cut names its own table', async () => {
  await inSnapshot(source, async (snapshot) => {
    const wanted = tables.map((table) => ({ table, keys: [] as string[] }))
    for (const each of wanted)
      each.keys = await collected(snapshot.rows.readRange(each.table, { lower: null, upper: null }))
    const [none, ...held] = await snapshot.rows.heldKeys([
      ...wanted.slice(0, 1).map(({ table }) => ({ table, keys: [] })),
      ...wanted,
    ])
    assert.deepEqual(none, [])
    assert.deepEqual(
      held.map((keys) => [...keys].sort()),
      wanted.map(({ keys }) => [...keys].sort()),
    )
    const read = new Map<KeysOf, string[]>()
    for await (const { of, rows } of snapshot.rows.readKeys(wanted))
      read.set(of, [...(read.get(of) ?? []), ...rows.map(({ key }) => key)])
    for (const each of wanted) assert.deepEqual(read.get(each)?.sort(), [...each.keys].sort(), each.table.source.name)
    const sampled = await snapshot.rows.sampleKeys(tables)
    for (const [at, { keys, table }] of wanted.entries())
      assert.deepEqual([...(sampled[at] ?? [])].sort(), [...keys].sort(), table.source.name)
  })
  const session = await Session.open(settings)
  await session.run('START TRANSACTION')
  const reader = new Reader(session)
  const [whole, none] = ["SELECT 'k', 'v' FROM k_int LIMIT 1", "SELECT 'k' FROM k_int WHERE FALSE"]
  const cut = "SELECT 'k', REPEAT('x', @@max_allowed_packet + 1)"
  const read = (...queries: string[]) => reader.several(queries.map((text, at) => ({ table: `t${at}`, sql: text })))
  try {
    const rows = await read(none, whole, none, whole)
    assert.deepEqual(
      rows.map((each) => each.length),
      [0, 1, 0, 1],
    )
    assert.equal((await read(...Array.from({ length: 450 }, () => whole))).flat().length, 450)
    const isOf = (table: string) => (error: unknown) => error instanceof TableBroken && error.table === table
    await assert.rejects(
      read(whole, none, "SELECT 'k' FROM k_int WHERE k = (SELECT 1 UNION SELECT 2)", whole),
      isOf('t2'),
    )
    await assert.rejects(read(none, cut, whole), isOf('t1'))
    assert.deepEqual((await read(whole)).flat().length, 1)
  } finally {
    await session.close()
  }
})
