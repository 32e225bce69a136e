import assert from 'node:assert/strict'
import { test } from 'node:test'
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

const copied = (name: string, schema: string): Promise<Installation> =>
  createInstallation(servers, name, { schema, copied: true })

const suspended = (installation: Installation): Promise<(string | null)[][]> =>
  installation.rows(
    "SELECT table_name, name, kind FROM mylab_sync.sync_constraint WHERE state = 'suspended' ORDER BY 1, 2",
  )
const keys = (installation: Installation, table: string): Promise<string> =>
  installation.rows(`SELECT id FROM ${table} ORDER BY 1`).then((rows) => rows.flat().join())

test('a UNIQUE that the source drops goes in the target too, and takes no row along', async () => {
  await using installation = await copied(
    'u_prefix',
    `CREATE TABLE t (id INT PRIMARY KEY, w VARCHAR(20), UNIQUE KEY w (w(3))) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     INSERT INTO t VALUES (1, 'abcd'), (2, 'xyz')`,
  )
  await installation.app.query("ALTER TABLE t DROP INDEX w; INSERT INTO t VALUES (3, 'abce')")
  await settle(installation)
  await assertEqual(installation, ['t'])
  await installation.app.query("UPDATE t SET w = 'abcg' WHERE id = 2; INSERT INTO t VALUES (4, 'abch')")
  await settle(installation)
  await assertEqual(installation, ['t'])
  assert.deepEqual(await suspended(installation), [])
})

test('rows equal only by our sanitising suspend a UNIQUE prefix, in one drain or two', async () => {
  await using installation = await copied(
    'u_nul',
    `CREATE TABLE one (id INT PRIMARY KEY, v VARCHAR(20) COLLATE utf8mb4_bin, UNIQUE KEY v (v(5))) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     CREATE TABLE two LIKE one`,
  )
  await installation.app.query(
    "INSERT INTO one (id, v) VALUES (1, 'abx'), (2, 'ab\\0x'); INSERT INTO two (id, v) VALUES (1, 'abx')",
  )
  await drainNow(installation)
  await installation.app.query("INSERT INTO two (id, v) VALUES (2, 'ab\\0x')")
  await drainNow(installation)
  assert.deepEqual([await keys(installation, 'one'), await keys(installation, 'two')], ['1,2', '1,2'])
  assert.deepEqual(await suspended(installation), [['one', 'one_v', 'unique'], ['two', 'two_v', 'unique']]) // biome-ignore format: rows
  await installation.app.query("UPDATE one SET v = 'other' WHERE id = 2; DELETE FROM two WHERE id = 1")
  await settle(installation)
  assert.deepEqual(await suspended(installation), [])
})

test('equal values in a suspended UNIQUE are no conflict when another one must yield', async () => {
  await using installation = await copied(
    'u_other',
    `CREATE TABLE t (id INT PRIMARY KEY, w VARCHAR(20), v VARCHAR(20), n INT DEFAULT 0, UNIQUE KEY w (w(3)), UNIQUE KEY v (v(4))) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     INSERT INTO t (id, w, v) SELECT seq, LPAD(HEX(seq), 3, '0'), seq FROM seq_1_to_1500`,
  )
  await installation.app.query("UPDATE t SET w = '0\\001' WHERE id = 1500")
  await settle(installation)
  assert.deepEqual(await suspended(installation), [['t', 't_w', 'unique']])
  // The first row is written a list of keys before the last one, which swaps its other value.
  await installation.app.query(`UPDATE t SET n = 1; UPDATE t SET v = 'x' WHERE id = 1499; UPDATE t SET v = '1499' WHERE id = 1500;
        UPDATE t SET v = '1500' WHERE id = 1499`)
  await drainNow(installation)
  assert.deepEqual(await installation.rows('SELECT id, v FROM t WHERE id IN (1, 1499, 1500) ORDER BY id'), [['1', '1'], ['1499', '1500'], ['1500', '1499']]) // biome-ignore format: rows
})

test('values of a referenced UNIQUE move round among rows of many batches', async () => {
  await using installation = await copied(
    'u_round',
    `CREATE TABLE p (id INT PRIMARY KEY, u INT NOT NULL, UNIQUE KEY (u)) ENGINE=InnoDB;
     CREATE TABLE q (id INT PRIMARY KEY, u INT, FOREIGN KEY (u) REFERENCES p (u)) ENGINE=InnoDB;
     INSERT INTO p WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, i FROM n;
     INSERT INTO p SELECT id + 900, u + 900 FROM p; INSERT INTO p VALUES (1801, 1801)`,
  )
  await installation.app.query(
    'START TRANSACTION; UPDATE p SET u = u + 10000; DELETE FROM p WHERE id = 1801; UPDATE p SET u = IF(id = 1800, 1801, u - 9999); COMMIT',
  )
  await drainNow(installation)
  await assertEqual(installation, ['p', 'q'])
  await installation.app.query(
    'START TRANSACTION; UPDATE p SET u = u + 10000; UPDATE p SET u = IF(u = 10002, 1801, u - 10001); COMMIT',
  )
  await drainNow(installation)
  await assertEqual(installation, ['p', 'q'])
  assert.deepEqual(await suspended(installation), [])
})

test('a violated referenced UNIQUE is suspended with its foreign keys, and all return', async () => {
  await using installation = await copied(
    'u_referenced',
    `CREATE TABLE p (id INT PRIMARY KEY, code VARCHAR(20) COLLATE utf8mb4_bin NOT NULL, UNIQUE KEY code (code)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     CREATE TABLE c (id INT PRIMARY KEY, code VARCHAR(20) COLLATE utf8mb4_bin, CONSTRAINT c_p FOREIGN KEY (code) REFERENCES p (code)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     INSERT INTO p VALUES (1, 'one'); INSERT INTO c VALUES (1, 'one')`,
  )
  await installation.app.query("INSERT INTO p VALUES (2, 'abx'), (3, 'ab\\0x'); INSERT INTO c VALUES (2, 'abx')")
  await drainNow(installation)
  assert.deepEqual([await keys(installation, 'p'), await keys(installation, 'c')], ['1,2,3', '1,2'])
  assert.deepEqual(await suspended(installation), [['c', 'c_p', 'foreign-key'], ['p', 'p_code', 'unique']]) // biome-ignore format: rows
  await installation.app.query("UPDATE p SET code = 'aby' WHERE id = 3")
  await settle(installation)
  await assertEqual(installation, ['p', 'c'])
  assert.deepEqual(await suspended(installation), [])
})

test('a referenced UNIQUE that becomes an index at the source admits equal rows', async () => {
  await using installation = await copied(
    'u_index',
    `CREATE TABLE p (id INT PRIMARY KEY, a INT, UNIQUE KEY u (a)) ENGINE=InnoDB;
     CREATE TABLE c (id INT PRIMARY KEY, a INT, CONSTRAINT c_p FOREIGN KEY (a) REFERENCES p (a)) ENGINE=InnoDB;
     INSERT INTO p VALUES (1, 1); INSERT INTO c VALUES (1, 1)`,
  )
  await installation.app.query('ALTER TABLE p ADD INDEX n (a), DROP INDEX u; INSERT INTO p VALUES (2, 2), (3, 2)')
  await drainNow(installation)
  await settle(installation)
  await assertEqual(installation, ['p', 'c'])
  await installation.app.query('UPDATE c SET a = 2; INSERT INTO p VALUES (4, 2)')
  await settle(installation)
  await assertEqual(installation, ['p', 'c'])
  assert.deepEqual(await states(installation), { c: 'live', p: 'live' })
})

test("a user's index that source rows violate is suspended, live and during a recopy", async () => {
  await using installation = await copied(
    'u_own',
    `CREATE TABLE t (id INT PRIMARY KEY, mail VARCHAR(40) COLLATE utf8mb4_bin) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     INSERT INTO t VALUES (1, 'a@b'), (2, 'c@d')`,
  )
  await installation.reader.query('CREATE UNIQUE INDEX mine ON t (lower(mail))')
  await installation.app.query("INSERT INTO t VALUES (3, 'A@b')")
  await drainNow(installation)
  await assertEqual(installation, ['t'])
  assert.deepEqual(await suspended(installation), [['t', 'mine', 'unique']])
  await installation.app.query('DELETE FROM t WHERE id = 3')
  await drainNow(installation)
  await installation.reader.query('CREATE UNIQUE INDEX again ON t (lower(mail))')
  await installation.app.query("TRUNCATE TABLE t; INSERT INTO t VALUES (5, 'a@b'), (6, 'A@b'), (7, 'x'), (1, 'X')")
  await settle(installation)
  assert.deepEqual(await states(installation), { t: 'live' })
  await assertEqual(installation, ['t'])
  const told = await installation.rows('SELECT detail FROM mylab_sync.sync_constraint ORDER BY name')
  for (const [detail] of told) assert.match(detail ?? '', /not one of the source/)
  assert.equal(told.length, 2)
})

test('a UNIQUE over the key columns, in any order and even referenced, blocks no row', async () => {
  await using installation = await copied(
    'u_key',
    `CREATE TABLE serial (id SERIAL PRIMARY KEY, v INT) ENGINE=InnoDB;
     CREATE TABLE turned (a INT, b INT, v INT, PRIMARY KEY (a, b), UNIQUE KEY turned (b, a)) ENGINE=InnoDB;
     CREATE TABLE child (id INT PRIMARY KEY, b INT, a INT, FOREIGN KEY (b, a) REFERENCES turned (b, a) ON UPDATE CASCADE ON DELETE CASCADE) ENGINE=InnoDB;
     CREATE TABLE bare (x INT NOT NULL, y INT NOT NULL, v INT, UNIQUE KEY one (x, y), UNIQUE KEY two (y, x), UNIQUE KEY three (x, y)) ENGINE=InnoDB;
     CREATE TABLE word (w VARCHAR(20) PRIMARY KEY, v INT, UNIQUE KEY again (w)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     INSERT INTO serial SELECT seq, 0 FROM seq_1_to_900; INSERT INTO turned VALUES (1, 1, 0), (1, 2, 0); INSERT INTO child VALUES (1, 1, 1), (2, 2, 1);
     INSERT INTO bare VALUES (1, 1, 0), (1, 2, 0); INSERT INTO word VALUES ('a', 0)`,
  )
  const all = ['serial', 'turned', 'child', 'bare', 'word']
  await assertEqual(installation, all)
  await installation.app.query(`UPDATE serial SET v = 1; UPDATE turned SET a = 3 - a, b = 7 - b WHERE b = 1; DELETE FROM turned WHERE b = 2;
        UPDATE bare SET v = 2; INSERT INTO bare VALUES (2, 1, 3); UPDATE word SET w = 'A', v = 1; INSERT INTO word VALUES ('b', 2)`)
  await drainNow(installation)
  await assertEqual(installation, all)
  await installation.app.query(
    'TRUNCATE word; INSERT INTO word VALUES ("c", 1); UPDATE serial SET id = id + 1 ORDER BY id DESC',
  )
  await settle(installation)
  await assertEqual(installation, all)
  assert.deepEqual(await suspended(installation), [])
})

test('a table that gets a deferrable key waits, with the statement that removes it', async () => {
  const schema = 'CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; CREATE TABLE other LIKE t'
  await using installation = await copied('u_later', schema)
  await installation.reader.query('ALTER TABLE t ADD CONSTRAINT later UNIQUE (id) DEFERRABLE')
  await installation.app.query('INSERT INTO t VALUES (1, 1); INSERT INTO other VALUES (1, 1)')
  await settle(installation)
  assert.deepEqual(await states(installation), { other: 'live', t: 'suspect' })
  await assertEqual(installation, ['other'])
  const [[problem] = []] = await installation.rows(
    "SELECT problem FROM mylab_sync.sync_progress WHERE table_name = 't'",
  )
  assert.equal(problem, 'waits for: ALTER TABLE "public"."t" DROP CONSTRAINT "later"')
  await installation.reader.query('ALTER TABLE t DROP CONSTRAINT later')
  await settle(installation)
  assert.deepEqual(await states(installation), { other: 'live', t: 'live' })
  await assertEqual(installation, ['t', 'other'])
})

test("a user's deferrable constraint on the key columns is named before any copy", async () => {
  await using installation = await createInstallation(servers, 'u_waits', {
    schema: 'CREATE TABLE t (a INT, b INT, v INT, PRIMARY KEY (a, b)) ENGINE=InnoDB',
  })
  await installation.reader.query(`CREATE TABLE t (a integer, b integer, v integer, CONSTRAINT now PRIMARY KEY (a, b),
      CONSTRAINT later UNIQUE (b, a) DEFERRABLE, CONSTRAINT other UNIQUE (b, v) DEFERRABLE)`)
  const { listed } = await copyAll(installation.context)
  const problem = "the target's table differs: constraint later over the key is DEFERRABLE"
  assert.deepEqual(listed, [{ table: 't', problem }])
})
