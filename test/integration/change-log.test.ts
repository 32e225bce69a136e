import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { drain, loadModel, migrate, resyncTables } from '@mylab-sync/engine'
import {
  assertEqual,
  copyAll,
  createInstallation,
  drainNow,
  type Installation,
  settle,
  states,
} from '../support/installation.js'
import { watched } from '../support/moments.js'
import { textRows } from '../support/content.js'

const SCHEMA = `
  CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE b (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO a (v) VALUES (1), (2), (3); INSERT INTO b (v) VALUES (1)`
const TABLES = ['a', 'b'] as const
/** Changes that leave four unread entries in the log. */
const CHANGE =
  'UPDATE a SET v = v + 1 LIMIT 1; DELETE FROM a ORDER BY id LIMIT 1; INSERT INTO a (v) VALUES (5); INSERT INTO b (v) VALUES (2)'
const HARMED = /change log at the source was emptied, replaced or changed by hand|no drain in common that is still kept/

const servers = await sharedServers()

/** The next drain sets every table aside and says why; control work copies them again. */
async function assertHealed(installation: Installation): Promise<void> {
  await installation.context.source.log.guard()
  const report = await drainNow(installation)
  const setAside = report.kind === 'done' ? report.setAside : []
  assert.deepEqual(setAside.map(({ table }) => table).sort(), TABLES)
  for (const { problem } of setAside) assert.match(problem, HARMED)
  await settle(installation)
  assert.deepEqual(await states(installation), { a: 'live', b: 'live' })
  await assertEqual(installation, TABLES)
  await assertAtRest(installation)
}

/** Asserts that nothing is read repeatedly, and that changes arrive one by one. */
async function assertAtRest(installation: Installation): Promise<void> {
  await installation.app.query(CHANGE)
  await installation.context.source.log.guard()
  const report = await drainNow(installation)
  assert.deepEqual(report.kind === 'done' && [report.entries, report.setAside], [4, []])
  await assertEqual(installation, TABLES)
}

const dumped = `CREATE TABLE kept AS SELECT * FROM sync_audit_log`
const MIGRATED = 'mylab-sync migrate'
const HARM: Record<string, readonly string[]> = {
  'all entries are deleted': [CHANGE, 'DELETE FROM sync_audit_log'],
  'one unread entry is deleted': [CHANGE, 'DELETE FROM sync_audit_log WHERE synced = 0 ORDER BY id LIMIT 1'],
  'unread entries are marked by hand': [CHANGE, 'UPDATE sync_audit_log SET synced = 1, synced_at = NOW()'],
  'unread entries are held by hand': [CHANGE, 'UPDATE sync_audit_log SET retry_count = 9 WHERE synced = 0'],
  'an unread entry is given another key': [CHANGE, "UPDATE sync_audit_log SET row_key = '9' WHERE synced = 0"],
  'it is truncated': [CHANGE, 'TRUNCATE TABLE sync_audit_log'],
  'it is truncated and written again': [CHANGE, 'TRUNCATE TABLE sync_audit_log', 'UPDATE a SET v = v + 1'],
  'it is dropped': [CHANGE, 'DROP TABLE sync_audit_log', MIGRATED],
  'all of ours is dropped': [CHANGE, 'DROP TABLE sync_audit_log, sync_instance, sync_instance_mark', MIGRATED],
  'it is dropped with sync_instance': [CHANGE, 'DROP TABLE sync_audit_log, sync_instance', MIGRATED],
  'sync_instance is emptied': [CHANGE, 'DELETE FROM sync_instance', MIGRATED],
  'sync_instance is truncated, and the log': [CHANGE, 'TRUNCATE sync_instance', 'TRUNCATE sync_audit_log', MIGRATED],
  'another table is put in its place': [
    CHANGE,
    'RENAME TABLE sync_audit_log TO away',
    'CREATE TABLE sync_audit_log LIKE away',
  ],
  'another table with the same seal is put in its place': [
    'RENAME TABLE sync_audit_log TO away',
    "CREATE TABLE sync_audit_log LIKE away; SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; INSERT INTO sync_audit_log SELECT * FROM away; SET sql_mode = DEFAULT",
  ],
  'it is put back from a dump': [
    dumped,
    CHANGE,
    'DROP TABLE sync_audit_log',
    MIGRATED,
    "DELETE FROM sync_audit_log; SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; INSERT INTO sync_audit_log SELECT * FROM kept; SET sql_mode = DEFAULT",
  ],
  'its guards are dropped before an entry is': [
    CHANGE,
    'DROP TRIGGER mylab_log_ad',
    'DELETE FROM sync_audit_log WHERE synced = 0 LIMIT 1',
  ],
}

test('a log that is lost or edited by hand is reported, and everything is read again', async (t) => {
  await using installation = await createInstallation(servers, 'log_harm', { schema: SCHEMA, copied: true })
  for (const [name, statements] of Object.entries(HARM))
    await t.test(name, async () => {
      for (const statement of statements) {
        if (statement === MIGRATED) await migrate(installation.context)
        else await installation.app.query(statement)
      }
      await installation.app.query('DROP TABLE IF EXISTS away, kept')
      await assertHealed(installation)
    })
})

test('an unread entry that vanishes during a drain is not hidden by acknowledging it', async () => {
  await using installation = await createInstallation(servers, 'log_race', { schema: SCHEMA, copied: true })
  for (const statement of ['DELETE FROM sync_audit_log WHERE synced = 0', 'TRUNCATE TABLE sync_audit_log']) {
    await installation.app.query('UPDATE a SET v = v + 1; UPDATE b SET v = v + 1')
    let harm: Promise<unknown> | undefined
    const context = watched(installation.context, {
      'drain:applied': async () => {
        if (harm !== undefined) return
        await installation.app.query('INSERT INTO b (v) VALUES (9)')
        // TRUNCATE waits for the end of the drain's view, and precedes its acknowledgement.
        harm = installation.app.query(statement)
        if (statement.startsWith('DELETE')) await harm
      },
    })
    await drain(context, await loadModel(installation.context))
    await harm
    await assertHealed(installation)
  }
})

test('drained entries may be deleted by hand; only an older target is reread whole', async () => {
  await using installation = await createInstallation(servers, 'log_drained', { schema: SCHEMA, copied: true })
  await installation.reader.query('CREATE TABLE kept AS SELECT * FROM mylab_sync.sync_drain')
  await installation.app.query(CHANGE)
  await settle(installation)
  await installation.app.query('DELETE FROM sync_audit_log WHERE synced = 1')
  await assertAtRest(installation)
  await installation.reader.query(
    'UPDATE a SET v = 99; UPDATE mylab_sync.sync_drain SET number = (SELECT number FROM kept)',
  )
  const report = await drainNow(installation)
  assert.equal(report.kind === 'done' && report.setAside.length, 2)
  await settle(installation)
  await assertEqual(installation, TABLES)
})

test('a target from before a loss of entries is read again as a whole', async () => {
  await using installation = await createInstallation(servers, 'log_lost', { schema: SCHEMA, copied: true })
  await installation.reader.query(
    'CREATE TABLE kept AS SELECT * FROM mylab_sync.sync_drain; CREATE TABLE kept_a AS TABLE a',
  )
  await installation.app.query(CHANGE)
  await installation.app.query('DELETE FROM sync_audit_log WHERE synced = 0')
  await assertHealed(installation)
  await installation.reader.query('DELETE FROM a; INSERT INTO a TABLE kept_a')
  await installation.reader.query('UPDATE mylab_sync.sync_drain SET number = (SELECT number FROM kept)')
  const report = await drainNow({ ...installation, context: { ...installation.context, limits: { otherMs: 50 } } })
  assert.equal(report.kind === 'done' && report.setAside.length, 2)
  await settle(installation)
  await assertEqual(installation, TABLES)
})

test('entries from an older version and entries reset by hand do no harm', async () => {
  await using installation = await createInstallation(servers, 'log_older', { schema: SCHEMA, copied: true })
  await installation.app.query(CHANGE)
  await settle(installation)
  await installation.app.query(
    'UPDATE sync_audit_log SET synced_at = NOW() - INTERVAL 8 DAY WHERE synced = 1; UPDATE sync_audit_log SET synced = 0, drain_no = NULL, synced_at = NULL WHERE id > 0',
  )
  await installation.app.query(
    'UPDATE sync_audit_log, sync_instance SET synced = 1, drain_no = last_drain + 1 WHERE id > 0',
  )
  await assertAtRest(installation)
})

test('migrate seals and guards an older installation, and nothing is read again', async () => {
  await using installation = await createInstallation(servers, 'log_upgrade', { schema: SCHEMA, copied: true })
  await installation.app.query(
    'DROP TRIGGER mylab_log_au; DROP TRIGGER mylab_log_ad; DELETE FROM sync_audit_log WHERE id = 0; ALTER TABLE sync_instance DROP COLUMN seal, DROP COLUMN guards',
  )
  assert.equal(await installation.source.admin.migrated(), false)
  await installation.app.query(CHANGE)
  await migrate(installation.context)
  const report = await drainNow(installation)
  assert.deepEqual(report.kind === 'done' && [report.entries, report.setAside], [4, []])
  await assertAtRest(installation)
  await installation.app.query(CHANGE)
  await installation.app.query('DELETE FROM sync_audit_log WHERE synced = 0')
  await assertHealed(installation)
})

test('a first copy during which the log is emptied still ends with all rows', async () => {
  await using installation = await createInstallation(servers, 'log_copy', { schema: SCHEMA, copied: true })
  await installation.app.query('CREATE TABLE later (id INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO later VALUES (1)')
  let isHarmed = false
  const context = watched(installation.context, {
    'chunk:read': async () => {
      if (isHarmed) return
      isHarmed = true
      await installation.app.query('INSERT INTO later VALUES (2); TRUNCATE TABLE sync_audit_log')
    },
  })
  await copyAll(context, ['later'])
  await settle(installation)
  assert.deepEqual(await states(installation), { a: 'live', b: 'live', later: 'live' })
  await assertEqual(installation, TABLES)
  assert.deepEqual(await installation.rows('SELECT id FROM later ORDER BY 1'), [['1'], ['2']])
})

const FORGED = [
  'x',
  '1,2',
  '',
  '1 OR 1=1',
  "1'); DELETE FROM b; --",
  '99999999999999999999999',
  '2147483648',
  '-',
  '1.5',
  '0x1',
]

test('a malformed entry is held with a message and costs only a recopy of its table', async () => {
  await using installation = await createInstallation(servers, 'log_forged', { schema: SCHEMA, copied: true })
  await installation.app.query(CHANGE)
  await settle(installation)
  const forge = `INSERT INTO sync_audit_log (table_name, operation, row_key, flags) SELECT 'a', 'UPDATE', ?, flags FROM sync_audit_log WHERE table_name = 'a' LIMIT 1`
  for (const key of FORGED) await installation.app.query(forge, [key])
  await installation.app.query(
    'INSERT INTO b (v) VALUES (3); SET @mylab_sync_bypass = 1; UPDATE a SET v = 8; SET @mylab_sync_bypass = NULL',
  )
  const report = await drainNow(installation)
  const setAside = report.kind === 'done' ? report.setAside : []
  assert.deepEqual(setAside, [
    {
      table: 'a',
      event: 'mismatch',
      problem: 'the change log holds an entry for it that none of our triggers can have written',
    },
  ])
  await assertEqual(installation, ['b'])
  const held = (): Promise<unknown> =>
    textRows(installation.app, "SELECT COUNT(*), SUM(error_message <> '') FROM sync_audit_log WHERE retry_count = 4")
  const all = [[String(FORGED.length), String(FORGED.length)]]
  assert.deepEqual(await held(), all)
  // As earlier versions left them.
  await installation.app.query(
    `UPDATE sync_audit_log SET retry_count = 3, error_message = 'it holds no key of its table as our triggers write it now; the table was copied again' WHERE retry_count = 4`,
  )
  await migrate(installation.context)
  assert.deepEqual(await held(), all)
  await settle(installation)
  await assertEqual(installation, TABLES)
  await assertAtRest(installation)
})

test('malformed entries again and again cost a table a few copies, then break it', async () => {
  await using installation = await createInstallation(servers, 'log_again', { schema: SCHEMA, copied: true })
  const forge = `INSERT INTO sync_audit_log (table_name, operation, row_key, flags) VALUES ('a', 'UPDATE', '5', 7), ('no such table ä', '', 'é', 0)`
  for (let time = 1; time <= 5; time++) {
    assert.deepEqual(await states(installation), { a: 'live', b: 'live' })
    await installation.app.query(`SET sql_mode = ''; ${forge}; SET sql_mode = DEFAULT`)
    await settle(installation)
  }
  assert.deepEqual(await states(installation), { a: 'broken', b: 'live' })
  await installation.app.query(`SET sql_mode = ''; ${forge}; INSERT INTO b (v) VALUES (3)`)
  await settle(installation)
  await assertEqual(installation, ['b'])
  await installation.app.query('DELETE FROM sync_audit_log WHERE error_message IS NOT NULL')
  await resyncTables(installation.context, ['a'], { progress: () => {}, signal: new AbortController().signal })
  assert.deepEqual(await states(installation), { a: 'live', b: 'live' })
  await assertEqual(installation, TABLES)
})
