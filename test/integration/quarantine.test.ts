import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { drain, drainAll, listErrors, loadModel, retryErrors, retryFailed } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import {
  assertEqual,
  copyAll,
  createInstallation,
  drainNow,
  type Installation,
  settle,
  states,
} from '../support/installation.js'

/** JSON of the source that PostgreSQL's numeric cannot hold. */
const POISON = '{"a":1e200000}'

const servers = await sharedServers()

const copied = (name: string, schema: string): Promise<Installation> =>
  createInstallation(servers, name, { schema, copied: true })

const held = 'SELECT row_key, retry_count, error_message IS NOT NULL AS told FROM sync_audit_log WHERE synced = 0'

test('children follow the values of a quarantined parent, which never arrives as it is', async () => {
  await using installation = await copied(
    'q_parent',
    `CREATE TABLE p (id INT PRIMARY KEY, code INT NOT NULL UNIQUE, j JSON) ENGINE=InnoDB;
     CREATE TABLE c (id INT PRIMARY KEY, code INT, FOREIGN KEY (code) REFERENCES p (code) ON UPDATE CASCADE) ENGINE=InnoDB;
     INSERT INTO p VALUES (1, 10, '{}'), (2, 20, '{}'); INSERT INTO c VALUES (1, 10), (2, 20)`,
  )
  const children = (): Promise<(string | null)[][]> => installation.rows('SELECT id, code FROM c ORDER BY id')
  await installation.app.query(`UPDATE p SET j = '${POISON}', code = 11 WHERE id = 1`)
  await settle(installation)
  assert.deepEqual(await children(), [['1', '11'], ['2', '20']]) // biome-ignore format: rows
  await installation.app.query('UPDATE p SET code = 12 WHERE id = 1')
  await settle(installation)
  assert.deepEqual(await children(), [['1', '12'], ['2', '20']]) // biome-ignore format: rows
  const errors = await listErrors(installation.context, { tables: [], limit: 10, history: false })
  assert.deepEqual(
    errors.map(({ table, key, operation, attempts, code }) => ({ table, key, operation, attempts, code })),
    [{ table: 'p', key: ['1'], operation: 'UPDATE', attempts: 2, code: '22003' }],
  )
  const [entries] = await installation.app.query(held)
  assert.deepEqual(entries, [{ row_key: '1', retry_count: 3, told: 1 }])

  await installation.app.query(`UPDATE p SET j = '{}' WHERE id = 1`)
  await settle(installation)
  assert.deepEqual(await installation.rows('SELECT id, code FROM p ORDER BY id'), [['1', '12'], ['2', '20']]) // biome-ignore format: rows
  assert.deepEqual(await installation.rows('SELECT * FROM mylab_sync.sync_parked'), [])
  assert.deepEqual(await installation.rows('SELECT * FROM mylab_sync.sync_quarantined_reference'), [])
  assert.deepEqual(await installation.rows('SELECT * FROM mylab_sync.sync_constraint'), [])
  assert.deepEqual((await installation.app.query(held))[0], [])
})

test('a referenced value that cannot be carried blocks only its row', async () => {
  await using installation = await copied(
    'q_value',
    `CREATE TABLE p (id INT PRIMARY KEY, code VARCHAR(20) NOT NULL UNIQUE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     CREATE TABLE c (id INT PRIMARY KEY, code VARCHAR(20), FOREIGN KEY (code) REFERENCES p (code) ON UPDATE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     INSERT INTO p VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (1, 'a'), (2, 'b')`,
  )
  await installation.app.query("UPDATE p SET code = 'a\\0' WHERE id = 1; UPDATE p SET code = 'bb' WHERE id = 2")
  await settle(installation)
  assert.deepEqual(await installation.rows('SELECT code FROM c WHERE id = 2'), [['bb']])
  const errors = await listErrors(installation.context, { tables: [], limit: 10, history: false })
  assert.deepEqual(errors.map(({ table, key }) => `${table} ${key.join()}`).sort(), ['c 1', 'p 1'])
})

test('an unchanged quarantined row is retried on request, not in every drain', async () => {
  await using installation = await copied(
    'q_digest',
    `CREATE TABLE a (id INT PRIMARY KEY, n INT, t INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1, 1), (2, 2, 2)`,
  )
  const attempts = (): Promise<(string | null)[][]> => installation.rows('SELECT attempts FROM mylab_sync.sync_parked')
  await installation.reader.query('ALTER TABLE a ALTER COLUMN t SET NOT NULL')
  await installation.app.query('UPDATE a SET t = NULL WHERE id = 1')
  await settle(installation)
  const model = await loadModel(installation.context)
  for (let n = 0; n < 3; n++) {
    await installation.app.query('UPDATE a SET n = n + 1 WHERE id = 2')
    await drain(installation.context, model)
  }
  assert.deepEqual(await attempts(), [['1']])
  assert.deepEqual(await retryFailed(installation.context, []), { tried: 1, recovered: 0, left: 1 })
  assert.deepEqual(await attempts(), [['2']])

  await installation.reader.query('ALTER TABLE a ALTER COLUMN t DROP NOT NULL')
  assert.deepEqual(await retryFailed(installation.context, []), { tried: 1, recovered: 1, left: 0 })
  assert.deepEqual(await installation.rows('SELECT id, n, t FROM a ORDER BY id'), [['1', '1', null], ['2', '5', '2']]) // biome-ignore format: rows
})

test('a bad row in a keyless table is reported and blocks nothing', async () => {
  await using installation = await copied(
    'q_keyless',
    `CREATE TABLE nk (n INT, j JSON) ENGINE=InnoDB; INSERT INTO nk VALUES (1, '{}'), (1, '{}')`,
  )
  await installation.app.query(`INSERT INTO nk VALUES (2, '${POISON}'), (3, '{}')`)
  await settle(installation)
  assert.deepEqual(await installation.rows('SELECT n FROM nk ORDER BY n'), [['1'], ['1'], ['3']])
  const [error] = await listErrors(installation.context, { tables: [], limit: 10, history: false })
  assert.equal(error?.table, 'nk')
  assert.match(error?.message ?? '', /^1 row of a table without a key: /)
  await installation.app.query('DELETE FROM nk WHERE n = 2')
  await settle(installation)
  assert.deepEqual(await listErrors(installation.context, { tables: [], limit: 10, history: false }), [])
})

test('a constraint broken beside a bad row of a keyless table is suspended, not fatal', async () => {
  await using installation = await copied(
    'q_whole',
    `CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO p VALUES (1);
     CREATE TABLE nk (pid INT, j JSON, CONSTRAINT nk_p FOREIGN KEY (pid) REFERENCES p (id)) ENGINE=InnoDB; INSERT INTO nk VALUES (1, '{}')`,
  )
  await installation.app.query(`INSERT INTO nk VALUES (1, '${POISON}')`)
  await settle(installation)
  await installation.app.query(
    "SET foreign_key_checks = 0; INSERT INTO nk VALUES (7, '{}'); SET foreign_key_checks = 1; INSERT INTO p VALUES (2)",
  )
  await settle(installation)
  assert.deepEqual(await installation.rows('SELECT pid FROM nk ORDER BY 1'), [['1'], ['7']])
  assert.deepEqual(await installation.rows('SELECT id FROM p ORDER BY 1'), [['1'], ['2']])
  assert.deepEqual(await installation.rows('SELECT name, state FROM mylab_sync.sync_constraint'), [
    ['nk_p', 'not-valid'],
  ])
})

test('a CHECK that source rows violate is suspended, and restored once they comply', async () => {
  await using installation = await copied(
    'q_check',
    `CREATE TABLE t (id INT PRIMARY KEY, n INT, CONSTRAINT positive CHECK (n > 0)) ENGINE=InnoDB; INSERT INTO t VALUES (1, 1)`,
  )
  const standing = (): Promise<(string | null)[][]> =>
    installation.rows(
      "SELECT conname, convalidated FROM pg_constraint WHERE contype = 'c' AND conrelid = 't'::regclass",
    )
  await installation.app.query(
    'SET check_constraint_checks = 0; INSERT INTO t VALUES (2, -1), (3, NULL); SET check_constraint_checks = 1',
  )
  await settle(installation)
  await assertEqual(installation, ['t'])
  assert.deepEqual(await standing(), [])
  assert.deepEqual(await installation.rows('SELECT name, state FROM mylab_sync.sync_constraint'), [
    ['t_positive', 'suspended'],
  ])
  await installation.app.query('UPDATE t SET n = 2 WHERE id = 2')
  await settle(installation)
  await assertEqual(installation, ['t'])
  assert.deepEqual(await standing(), [['t_positive', 't']])
  assert.deepEqual(await installation.rows('SELECT * FROM mylab_sync.sync_constraint'), [])
  await installation.app.query(
    'SET check_constraint_checks = 0; UPDATE t SET n = -2 WHERE id = 2; SET check_constraint_checks = 1',
  )
  await settle(installation)
  assert.deepEqual(await standing(), [])
  // No record remains of a row that the source no longer has.
  await installation.app.query('ALTER TABLE t DROP CONSTRAINT positive')
  await settle(installation)
  assert.deepEqual(await installation.rows('SELECT * FROM mylab_sync.sync_constraint'), [])
})

test('a NULL that the target refuses quarantines only its row, in keyless tables too', async () => {
  await using installation = await copied(
    'q_not_null',
    `CREATE TABLE nk (n INT, v INT) ENGINE=InnoDB; INSERT INTO nk VALUES (1, 1); CREATE TABLE good (id INT PRIMARY KEY) ENGINE=InnoDB`,
  )
  await installation.reader.query('ALTER TABLE nk ALTER v SET NOT NULL')
  await installation.app.query('INSERT INTO nk VALUES (2, NULL), (3, 3); INSERT INTO good VALUES (1)')
  await settle(installation)
  assert.deepEqual(await installation.rows('SELECT n FROM nk ORDER BY 1'), [['1'], ['3']])
  assert.deepEqual(await installation.rows('SELECT id FROM good'), [['1']])
  const [error] = await listErrors(installation.context, { tables: [], limit: 10, history: false })
  assert.match(error?.message ?? '', /^1 row of a table without a key: column v/)
})

test('a table with too many poison rows breaks alone, and is recopied once repaired', async () => {
  await using installation = await copied(
    'q_broken',
    `CREATE TABLE bad (id INT PRIMARY KEY, j JSON) ENGINE=InnoDB; INSERT INTO bad SELECT seq, '{}' FROM seq_1_to_30;
     CREATE TABLE good (id INT PRIMARY KEY) ENGINE=InnoDB`,
  )
  const context = { ...installation.context, limits: { quarantinedRows: 20 } }
  await installation.app.query(`UPDATE bad SET j = '${POISON}'; INSERT INTO good VALUES (1)`)
  await drainAll(context, new AbortController().signal)
  assert.deepEqual(await installation.rows("SELECT state FROM mylab_sync.sync_progress WHERE table_name = 'bad'"), [
    ['broken'],
  ])
  assert.deepEqual(await installation.rows('SELECT id FROM good'), [['1']])
  await installation.app.query(`UPDATE bad SET j = '{"a": 1}'`)
  const running = { progress: (): void => {}, signal: new AbortController().signal }
  const report = await retryErrors(context, [], running)
  assert.deepEqual(report.mended, ['bad'])
  assert.deepEqual(await installation.rows('SELECT count(*) FROM bad WHERE j = \'{"a": 1}\''), [['30']])
  assert.deepEqual(await installation.rows('SELECT count(*) FROM mylab_sync.sync_parked'), [['0']])
})

test('the stale image of a quarantined row yields its UNIQUE value to healthy rows', async () => {
  await using installation = await copied(
    'q_stale',
    `CREATE TABLE a (id INT PRIMARY KEY, u INT UNIQUE, j JSON) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1, '{}'), (2, 2, '{}')`,
  )
  await installation.app.query(`UPDATE a SET u = 9, j = '${POISON}' WHERE id = 1; UPDATE a SET u = 1 WHERE id = 2`)
  await settle(installation)
  assert.deepEqual(await installation.rows('SELECT id, u FROM a'), [['2', '1']])
  assert.deepEqual(await installation.rows('SELECT * FROM mylab_sync.sync_constraint'), [])
})

/** Digits that no index compresses below a half. */
const randomText = (length: number): string => randomBytes(length).toString('base64').slice(0, length)

test("a key beyond PostgreSQL's index limit is quarantined and blocks nothing else", async () => {
  await using installation = await createInstallation(servers, 'q_long', {
    schema: `CREATE TABLE p (k VARCHAR(3000) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, v INT) ENGINE=InnoDB;
      CREATE TABLE c (id INT PRIMARY KEY, k VARCHAR(3000) CHARACTER SET ascii COLLATE ascii_bin, FOREIGN KEY (k) REFERENCES p (k) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
      CREATE TABLE other (id INT PRIMARY KEY, v INT) ENGINE=InnoDB`,
  })
  const [first, second, tooLong] = [randomText(2_600), randomText(2_600), randomText(2_800)]
  await installation.app.query('INSERT INTO p VALUES (?, 1), (?, 1), (?, 1)', [first, second, tooLong])
  await installation.app.query('INSERT INTO c VALUES (1, ?), (2, ?)', [first, second])
  const carried = async (): Promise<void> => {
    await assertEqual(installation, ['c', 'other'])
    const keys = 'SELECT k, v FROM p WHERE length(k) < 2700 ORDER BY 1'
    assert.deepEqual(await installation.rows('SELECT k, v FROM p ORDER BY 1'), await textRows(installation.app, keys))
    const errors = await listErrors(installation.context, { tables: [], limit: 10, history: false })
    assert.deepEqual(errors.map(({ table, code }) => [table, code]), [['p', 'key-too-long']]) // biome-ignore format: rows
  }
  await copyAll(installation.context)
  await carried()
  await installation.app.query('UPDATE p SET v = 2 WHERE LENGTH(k) > 2000; INSERT INTO other VALUES (1, 1)')
  await installation.app.query('UPDATE p SET k = ? WHERE k = ?', [randomText(2_500), first])
  await settle(installation)
  await carried()
  // parked while their table is closed, those of a parent's too
  await installation.app.query('TRUNCATE c')
  await installation.app.query('INSERT INTO c VALUES (3, ?)', [second])
  await drainNow(installation)
  await installation.app.query('UPDATE p SET k = ? WHERE k = ?', [randomText(2_400), second])
  await drainNow(installation)
  assert.equal((await states(installation))['c'], 'suspect')
  await settle(installation)
  await carried()
  await installation.app.query('DELETE FROM p WHERE LENGTH(k) > 2700')
  await settle(installation)
  assert.deepEqual(await listErrors(installation.context, { tables: [], limit: 10, history: false }), [])
  assert.deepEqual(await installation.rows('SELECT row_key FROM mylab_sync.sync_parked'), [])
})
