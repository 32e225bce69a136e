import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import { assertEqual, copyAll, createInstallation, drainNow, settle, states } from '../support/installation.js'
import type { PortCall } from '../support/intercept.js'
import { during, tableOf } from '../support/moments.js'

const servers = await sharedServers()

const TABLES = Array.from({ length: 12 }, (_, at) => `t${at}`)
const ODD = ['keyless', 'spelt', 'vacant', 'unique_too']
/** Parents and children, and tables of each other kind. */
const SCHEMA = [
  ...TABLES.map((table, at) => {
    const parent =
      at % 3 === 0
        ? ''
        : `, p INT, FOREIGN KEY (p) REFERENCES t${at - (at % 3)} (id) ON DELETE CASCADE ON UPDATE CASCADE`
    return `CREATE TABLE ${table} (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), n INT, KEY (n)${parent});
      INSERT INTO ${table} (v, n) VALUES ('a', 1), ('b', 2), ('c', 3);
      ${at % 3 === 0 ? '' : `UPDATE ${table} SET p = id;`}`
  }),
  `CREATE TABLE keyless (a INT, b INT); INSERT INTO keyless VALUES (1, 1), (1, 1), (2, NULL);
   CREATE TABLE spelt (k VARCHAR(20) CHARACTER SET latin1 PRIMARY KEY, v INT); INSERT INTO spelt VALUES ('a', 1), ('b', 2);
   CREATE TABLE vacant (id INT PRIMARY KEY, v INT);
   CREATE TABLE unique_too (id INT PRIMARY KEY, u INT, UNIQUE (u)); INSERT INTO unique_too VALUES (1, 3), (2, 4);`,
].join('\n')
const ALL = [...TABLES, ...ODD]

/** Which tables were read from each snapshot of a copy. */
function readsBySnapshot(): { readonly note: (call: PortCall) => void; readonly sizes: () => number[] } {
  const reads = new Map<object, Set<string>>()
  return {
    note: (call) => void reads.set(call.on, (reads.get(call.on) ?? new Set<string>()).add(tableOf(call))),
    sizes: () => [...reads.values()].map(({ size }) => size),
  }
}

test('small tables are copied from one snapshot, with their indexes and foreign keys', async () => {
  const reads = readsBySnapshot()
  await using installation = await createInstallation(servers, 'small_together', {
    schema: SCHEMA,
    watch: during({ 'chunk:read': reads.note }),
  })
  await copyAll(installation.context)
  await assertEqual(installation, ALL)
  assert.ok(Math.max(...reads.sizes()) >= 10, `tables by snapshot: ${reads.sizes().join(', ')}`)
  const open = await states(installation)
  assert.deepEqual(
    ALL.filter((table) => !['live', 'recopied'].includes(open[table] ?? '')),
    [],
  )
  const count = async (query: string): Promise<number> => Number((await installation.rows(query))[0]?.[0])
  assert.equal(await count("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"), 8)
  assert.equal(await count("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE '%(n)%'"), 12)
  assert.equal(await count("SELECT count(*) FROM pg_constraint WHERE contype = 'u' AND condeferrable"), 1)
  // What stands was recorded, so that control work finds nothing to build.
  const objects = 'SELECT count(*) FROM mylab_sync.sync_object'
  const before = await count(objects)
  await settle(installation)
  assert.equal(await count(objects), before)
  assert.deepEqual(await installation.rows('SELECT name FROM mylab_sync.sync_constraint'), [])
})

test('a constraint that rows of one small table violate concerns that table alone', async () => {
  await using installation = await createInstallation(servers, 'small_refused', {
    schema: `${SCHEMA} INSERT INTO t4 (v, n) VALUES ('d', -7)`,
  })
  await installation.reader.query(
    'CREATE TABLE t4 (id integer NOT NULL, v character varying(20), n integer CONSTRAINT positive CHECK (n > 0), p integer)',
  )
  const { listed } = await copyAll(installation.context)
  assert.deepEqual(listed, [])
  await assertEqual(installation, ALL)
  assert.deepEqual(await installation.rows('SELECT name, state FROM mylab_sync.sync_constraint'), [
    ['positive', 'suspended'],
  ])
})

test('what is written and altered while small tables are read reaches the target', async () => {
  const running: Promise<unknown>[] = []
  let writes: ((table: string) => Promise<unknown>) | undefined
  const seen = new Set<string>()
  await using installation = await createInstallation(servers, 'small_written', {
    schema: SCHEMA,
    watch: during({
      'chunk:read': (call) => {
        const table = tableOf(call)
        if (seen.has(table) || writes === undefined) return
        seen.add(table)
        running.push(writes(table))
      },
    }),
  })
  const { app } = installation
  // A cascade over children that were read, or are not read yet; a definition; a row of a table that is read later.
  const acts: Readonly<Record<string, string>> = {
    t0: 'DELETE FROM t0 WHERE id = 1',
    t1: 'ALTER TABLE t9 ADD w INT NOT NULL DEFAULT 5',
    t2: "UPDATE t8 SET v = 'later' WHERE id = 2",
    t5: 'UPDATE t3 SET id = 70 WHERE id = 3',
  }
  writes = async (table) => acts[table] !== undefined && app.query(acts[table])
  await copyAll(installation.context)
  await Promise.all(running)
  assert.ok(seen.size >= 10, `${seen.size} tables were read`)
  await settle(installation)
  await settle(installation)
  await assertEqual(installation, ALL)
  assert.deepEqual(await textRows(installation.app, 'SELECT count(*) FROM sync_audit_log WHERE synced = 0'), [['0']])
})

test('an error in the middle of a group of small tables leaves each to its own copy', async () => {
  let failures = 0
  await using installation = await createInstallation(servers, 'small_alone', {
    schema: SCHEMA,
    watch: async (call) => {
      // Of the transaction of a group only: each other one has taken one chunk.
      if (call.point !== 'chunks.done:before' || !call.follows('chunks.takeWhole') || call.follows('chunks.take'))
        return
      failures++
      throw new Error('made by the test')
    },
  })
  await copyAll(installation.context)
  assert.ok(failures > 0)
  await assertEqual(installation, ALL)
  await installation.app.query("UPDATE t1 SET v = 'z'")
  await drainNow(installation)
  await assertEqual(installation, ['t1'])
})
