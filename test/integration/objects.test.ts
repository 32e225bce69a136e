import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drain, listNotCarried, loadModel, plan, status } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import {
  assertEqual,
  copyAll,
  createInstallation,
  drainNow,
  type Installation,
  settle,
  states,
} from '../support/installation.js'

const servers = await sharedServers()

/** Since 8.4 MySQL creates no foreign key to a part of a key by default. */
const holding = (name: string, schema: string): Promise<Installation> =>
  createInstallation(servers, name, {
    schema: servers.isMysql ? `SET SESSION restrict_fk_on_non_standard_key = OFF; ${schema}` : schema,
  })

test('AUTO_INCREMENT counts on in the target, even where no identity has its type', async () => {
  const schema = `CREATE TABLE big (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB;
    CREATE TABLE small (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB;
    CREATE TABLE taken (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT, KEY id_seq (v)) ENGINE=InnoDB;
    INSERT INTO big VALUES (18000000000000000000, 1); INSERT INTO small VALUES (7, 1); INSERT INTO taken VALUES (7, 1)`
  await using installation = await holding('o_counters', schema)
  await installation.reader.query('CREATE TABLE big_id_seq (x int)')
  const { tables } = await plan(installation.context, [])
  assert.deepEqual(
      tables.map(({ table, notCarried, columns }) => [table, notCarried, columns[0]?.default?.replace(/_[0-9a-f]{8}'/, "_...'")]),
      [
        ['big', [], "nextval('big_id_seq')"],
        ['small', [], undefined],
        ['taken', [], "nextval('taken_id_seq_...')"],
      ],
    ) // biome-ignore format: rows
  await copyAll(installation.context)
  for (const table of ['big', 'small', 'taken']) {
    await installation.reader.query(`INSERT INTO ${table} (v) VALUES (2)`)
    assert.deepEqual(await installation.rows(`SELECT id::text FROM ${table} WHERE v = 2`), [['1']], table)
  }
  // The sequence is dropped with its column.
  assert.deepEqual(await installation.rows("SELECT pg_get_serial_sequence('big', 'id') IS NOT NULL"), [['t']])
})

test('a foreign key to part of a key or to a plain index is skipped without a problem', async () => {
  const schema = `CREATE TABLE p (a INT, b INT, c INT, u VARCHAR(20), PRIMARY KEY (a, b), KEY by_c (c), UNIQUE KEY by_u (u(3)), KEY whole_u (u)) ENGINE=InnoDB;
    CREATE TABLE c (id INT PRIMARY KEY, a INT, c INT, u VARCHAR(20), b INT,
      CONSTRAINT part FOREIGN KEY (a) REFERENCES p (a), CONSTRAINT plain FOREIGN KEY (c) REFERENCES p (c) ON DELETE CASCADE,
      CONSTRAINT prefix FOREIGN KEY (u) REFERENCES p (u), CONSTRAINT carried FOREIGN KEY (a, b) REFERENCES p (a, b)) ENGINE=InnoDB;
    INSERT INTO p VALUES (1, 1, 1, 'x'), (1, 2, 2, 'y'); INSERT INTO c VALUES (1, 1, 1, 'x', 1), (2, 1, 2, 'y', 2)`
  await using installation = await holding('o_references', schema)
  const planned = (await plan(installation.context, [])).tables.find(({ table }) => table === 'c')?.foreignKeys ?? []
  assert.deepEqual(
    planned.filter(({ notCarried }) => notCarried === null).map(({ name }) => name),
    ['carried'],
  )
  assert.match(
    planned.find(({ name }) => name === 'plain')?.notCarried ?? '',
    /requires a UNIQUE over exactly the referenced columns/,
  )
  const report = await copyAll(installation.context)
  assert.deepEqual([report.constraints, report.listed], [[], []])
  assert.deepEqual((await status(installation.context)).problems, [])
  assert.deepEqual(await installation.rows("SELECT conname FROM pg_constraint WHERE contype = 'f'"), [['carried']])
})

test('what the source drops or redefines changes in the target too, without a problem', async () => {
  const schema = `CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB;
    CREATE TABLE t (id INT PRIMARY KEY, u INT, v INT, n INT, w INT, UNIQUE KEY u (u), KEY v (v), CONSTRAINT positive CHECK (n > 0),
      CONSTRAINT to_p FOREIGN KEY (w) REFERENCES p (id)) ENGINE=InnoDB;
    INSERT INTO p VALUES (1); INSERT INTO t VALUES (1, 1, 1, 1, 1), (2, 2, 2, 2, 1)`
  await using installation = await holding('o_dropped', schema)
  await copyAll(installation.context)
  await installation.reader.query('CREATE INDEX mine ON t (n); ALTER TABLE t ADD CONSTRAINT mine_too CHECK (id > 0)')
  const objects = (): Promise<(string | null)[][]> =>
    installation.rows(
      `SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype <> 'n' UNION SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 't'::regclass ORDER BY 1`,
    )
  assert.deepEqual((await objects()).flat(), [
    'mine',
    'mine_too',
    't_pkey',
    't_positive',
    't_to_p',
    't_u',
    't_v',
    't_w_fk_idx',
    'to_p',
  ])
  await installation.app.query(`ALTER TABLE t DROP INDEX u, DROP INDEX v, ADD INDEX v (v, n), DROP CONSTRAINT positive, DROP FOREIGN KEY to_p;
      INSERT INTO t VALUES (3, 1, 1, -1, 7)`)
  await settle(installation)
  await settle(installation)
  assert.deepEqual((await objects()).flat(), ['mine', 'mine_too', 't_pkey', 't_to_p', 't_v'])
  assert.match((await installation.rows("SELECT pg_get_indexdef('t_v'::regclass)"))[0]?.[0] ?? '', /\(v, n\)$/)
  await assertEqual(installation, ['t'])
  assert.deepEqual((await status(installation.context)).problems, [])
  assert.deepEqual(await states(installation), { p: 'live', t: 'live' })
})

test('an index that may be too narrow is built, and dropped at the first misfit', async () => {
  const schema = `CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(3000) CHARACTER SET latin1, w VARCHAR(3000) CHARACTER SET latin1, KEY v (v), KEY w (w)) ENGINE=InnoDB;
    INSERT INTO t VALUES (1, 'a', (SELECT GROUP_CONCAT(MD5(CONCAT(a.n, b.n)) SEPARATOR '') FROM (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9 UNION SELECT 0) a,
      (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) b))`
  await using installation = await holding('o_narrow', `SET SESSION group_concat_max_len = 3000; ${schema}`)
  const report = await copyAll(installation.context)
  assert.deepEqual([report.constraints, report.listed], [[], []])
  const indexes = async (): Promise<unknown[]> =>
    (
      await installation.rows(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 't'::regclass ORDER BY 1",
      )
    ).flat()
  assert.deepEqual(await indexes(), ['t_pkey', 't_v'])
  await installation.app.query('UPDATE t SET v = w; INSERT INTO t (id, v) VALUES (2, 7)')
  await drainNow(installation)
  await assertEqual(installation, ['t'])
  await settle(installation)
  assert.deepEqual(await indexes(), ['t_pkey'])
  const { problems, totals } = await status(installation.context)
  assert.deepEqual([problems, totals.failed], [[], 0])
  const left = (await listNotCarried(installation.context)).tables.filter(({ kind }) => kind === 'index')
  assert.deepEqual(left.map(({ object }) => object).sort(), ['INDEX t_v', 'INDEX t_w'])
})

test('rows of a widened type that arrive before it is noticed are not quarantined', async () => {
  const schema = `CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), n DECIMAL(4,1)) ENGINE=InnoDB; INSERT INTO t VALUES (1, 'a', 1)`
  await using installation = await holding('o_wider', schema)
  await copyAll(installation.context)
  const old = await loadModel(installation.context)
  await drain(installation.context, old)
  await installation.app.query(
    `ALTER TABLE t MODIFY v VARCHAR(60), MODIFY n DECIMAL(20,1); INSERT INTO t VALUES (2, REPEAT('b', 60), 1234567.5)`,
  )
  await drain(installation.context, old)
  await settle(installation)
  await assertEqual(installation, ['t'])
  assert.deepEqual(await installation.rows('SELECT * FROM mylab_sync.sync_error_log'), [])
})
