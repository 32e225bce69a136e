import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ServerSet } from '@mylab-sync/testkit'
import {
  assertEqual,
  copyAll,
  drainNow,
  type Installation,
  installation,
  settle,
  states,
  withCopied,
} from '../support/installation.js'

let servers: ServerSet
before(async () => {
  servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
})
after(() => servers.close())

const carried = (name: string, schema: string, use: (at: Installation) => Promise<void>): Promise<void> =>
  withCopied(servers, { name, schema }, use)

const suspended = (at: Installation): Promise<(string | null)[][]> =>
  at.rows("SELECT table_name, name, kind FROM mylab_sync.sync_constraint WHERE state = 'suspended' ORDER BY 1, 2")
const keys = (at: Installation, table: string): Promise<string> =>
  at.rows(`SELECT id FROM ${table} ORDER BY 1`).then((rows) => rows.flat().join())

test('a UNIQUE that the source drops goes in the target too, and takes no row along', async () => {
  await carried(
    'u_prefix',
    `CREATE TABLE t (id INT PRIMARY KEY, w VARCHAR(20), UNIQUE KEY w (w(3))) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     INSERT INTO t VALUES (1, 'abcd'), (2, 'xyz')`,
    async (at) => {
      await at.app.query("ALTER TABLE t DROP INDEX w; INSERT INTO t VALUES (3, 'abce')")
      await settle(at)
      await assertEqual(at, ['t'])
      await at.app.query("UPDATE t SET w = 'abcg' WHERE id = 2; INSERT INTO t VALUES (4, 'abch')")
      await settle(at)
      await assertEqual(at, ['t'])
      assert.deepEqual(await suspended(at), [])
    },
  )
})

test('rows equal only by our sanitising suspend a UNIQUE prefix, in one drain or two', async () => {
  await carried(
    'u_nul',
    `CREATE TABLE one (id INT PRIMARY KEY, v VARCHAR(20) COLLATE utf8mb4_bin, UNIQUE KEY v (v(5))) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     CREATE TABLE two LIKE one`,
    async (at) => {
      await at.app.query(
        "INSERT INTO one (id, v) VALUES (1, 'abx'), (2, 'ab\\0x'); INSERT INTO two (id, v) VALUES (1, 'abx')",
      )
      await drainNow(at)
      await at.app.query("INSERT INTO two (id, v) VALUES (2, 'ab\\0x')")
      await drainNow(at)
      assert.deepEqual([await keys(at, 'one'), await keys(at, 'two')], ['1,2', '1,2'])
      assert.deepEqual(await suspended(at), [['one', 'one_v', 'unique'], ['two', 'two_v', 'unique']]) // biome-ignore format: rows
      await at.app.query("UPDATE one SET v = 'other' WHERE id = 2; DELETE FROM two WHERE id = 1")
      await settle(at)
      assert.deepEqual(await suspended(at), [])
    },
  )
})

test('equal values in a suspended UNIQUE are no conflict when another one must yield', async () => {
  await carried(
    'u_other',
    `CREATE TABLE t (id INT PRIMARY KEY, w VARCHAR(20), v VARCHAR(20), n INT DEFAULT 0, UNIQUE KEY w (w(3)), UNIQUE KEY v (v(4))) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     INSERT INTO t (id, w, v) SELECT seq, LPAD(HEX(seq), 3, '0'), seq FROM seq_1_to_1500`,
    async (at) => {
      await at.app.query("UPDATE t SET w = '0\\001' WHERE id = 1500")
      await settle(at)
      assert.deepEqual(await suspended(at), [['t', 't_w', 'unique']])
      // The first row is written a list of keys before the last one, which swaps its other value.
      await at.app.query(`UPDATE t SET n = 1; UPDATE t SET v = 'x' WHERE id = 1499; UPDATE t SET v = '1499' WHERE id = 1500;
        UPDATE t SET v = '1500' WHERE id = 1499`)
      await drainNow(at)
      assert.deepEqual(await at.rows('SELECT id, v FROM t WHERE id IN (1, 1499, 1500) ORDER BY id'), [['1', '1'], ['1499', '1500'], ['1500', '1499']]) // biome-ignore format: rows
    },
  )
})

test('a violated referenced UNIQUE is suspended with its foreign keys, and all return', async () => {
  await carried(
    'u_referenced',
    `CREATE TABLE p (id INT PRIMARY KEY, code VARCHAR(20) COLLATE utf8mb4_bin NOT NULL, UNIQUE KEY code (code)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     CREATE TABLE c (id INT PRIMARY KEY, code VARCHAR(20) COLLATE utf8mb4_bin, CONSTRAINT c_p FOREIGN KEY (code) REFERENCES p (code)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     INSERT INTO p VALUES (1, 'one'); INSERT INTO c VALUES (1, 'one')`,
    async (at) => {
      await at.app.query("INSERT INTO p VALUES (2, 'abx'), (3, 'ab\\0x'); INSERT INTO c VALUES (2, 'abx')")
      await drainNow(at)
      assert.deepEqual([await keys(at, 'p'), await keys(at, 'c')], ['1,2,3', '1,2'])
      assert.deepEqual(await suspended(at), [['c', 'c_p', 'foreign-key'], ['p', 'p_code', 'unique']]) // biome-ignore format: rows
      await at.app.query("UPDATE p SET code = 'aby' WHERE id = 3")
      await settle(at)
      await assertEqual(at, ['p', 'c'])
      assert.deepEqual(await suspended(at), [])
    },
  )
})

test('a referenced UNIQUE that becomes an index at the source admits equal rows', async () => {
  await carried(
    'u_index',
    `CREATE TABLE p (id INT PRIMARY KEY, a INT, UNIQUE KEY u (a)) ENGINE=InnoDB;
     CREATE TABLE c (id INT PRIMARY KEY, a INT, CONSTRAINT c_p FOREIGN KEY (a) REFERENCES p (a)) ENGINE=InnoDB;
     INSERT INTO p VALUES (1, 1); INSERT INTO c VALUES (1, 1)`,
    async (at) => {
      await at.app.query('ALTER TABLE p ADD INDEX n (a), DROP INDEX u; INSERT INTO p VALUES (2, 2), (3, 2)')
      await drainNow(at)
      await settle(at)
      await assertEqual(at, ['p', 'c'])
      await at.app.query('UPDATE c SET a = 2; INSERT INTO p VALUES (4, 2)')
      await settle(at)
      await assertEqual(at, ['p', 'c'])
      assert.deepEqual(await states(at), { c: 'live', p: 'live' })
    },
  )
})

test("a user's index that source rows violate is suspended, live and during a recopy", async () => {
  await carried(
    'u_own',
    `CREATE TABLE t (id INT PRIMARY KEY, mail VARCHAR(40) COLLATE utf8mb4_bin) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     INSERT INTO t VALUES (1, 'a@b'), (2, 'c@d')`,
    async (at) => {
      await at.reader.query('CREATE UNIQUE INDEX mine ON t (lower(mail))')
      await at.app.query("INSERT INTO t VALUES (3, 'A@b')")
      await drainNow(at)
      await assertEqual(at, ['t'])
      assert.deepEqual(await suspended(at), [['t', 'mine', 'unique']])
      await at.app.query('DELETE FROM t WHERE id = 3')
      await drainNow(at)
      await at.reader.query('CREATE UNIQUE INDEX again ON t (lower(mail))')
      await at.app.query("TRUNCATE TABLE t; INSERT INTO t VALUES (5, 'a@b'), (6, 'A@b'), (7, 'x'), (1, 'X')")
      await settle(at)
      assert.deepEqual(await states(at), { t: 'live' })
      await assertEqual(at, ['t'])
      const told = await at.rows('SELECT detail FROM mylab_sync.sync_constraint ORDER BY name')
      for (const [detail] of told) assert.match(detail ?? '', /not one of the source/)
      assert.equal(told.length, 2)
    },
  )
})

test('a UNIQUE over the key columns, in any order and even referenced, blocks no row', async () => {
  await carried(
    'u_key',
    `CREATE TABLE serial (id SERIAL PRIMARY KEY, v INT) ENGINE=InnoDB;
     CREATE TABLE turned (a INT, b INT, v INT, PRIMARY KEY (a, b), UNIQUE KEY turned (b, a)) ENGINE=InnoDB;
     CREATE TABLE child (id INT PRIMARY KEY, b INT, a INT, FOREIGN KEY (b, a) REFERENCES turned (b, a) ON UPDATE CASCADE ON DELETE CASCADE) ENGINE=InnoDB;
     CREATE TABLE bare (x INT NOT NULL, y INT NOT NULL, v INT, UNIQUE KEY one (x, y), UNIQUE KEY two (y, x), UNIQUE KEY three (x, y)) ENGINE=InnoDB;
     CREATE TABLE word (w VARCHAR(20) PRIMARY KEY, v INT, UNIQUE KEY again (w)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
     INSERT INTO serial SELECT seq, 0 FROM seq_1_to_900; INSERT INTO turned VALUES (1, 1, 0), (1, 2, 0); INSERT INTO child VALUES (1, 1, 1), (2, 2, 1);
     INSERT INTO bare VALUES (1, 1, 0), (1, 2, 0); INSERT INTO word VALUES ('a', 0)`,
    async (at) => {
      const all = ['serial', 'turned', 'child', 'bare', 'word']
      await assertEqual(at, all)
      await at.app.query(`UPDATE serial SET v = 1; UPDATE turned SET a = 3 - a, b = 7 - b WHERE b = 1; DELETE FROM turned WHERE b = 2;
        UPDATE bare SET v = 2; INSERT INTO bare VALUES (2, 1, 3); UPDATE word SET w = 'A', v = 1; INSERT INTO word VALUES ('b', 2)`)
      await drainNow(at)
      await assertEqual(at, all)
      await at.app.query(
        'TRUNCATE word; INSERT INTO word VALUES ("c", 1); UPDATE serial SET id = id + 1 ORDER BY id DESC',
      )
      await settle(at)
      await assertEqual(at, all)
      assert.deepEqual(await suspended(at), [])
    },
  )
})

test('a table that gets a deferrable key waits, with the statement that removes it', async () => {
  const schema = 'CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; CREATE TABLE other LIKE t'
  await carried('u_later', schema, async (at) => {
    await at.reader.query('ALTER TABLE t ADD CONSTRAINT later UNIQUE (id) DEFERRABLE')
    await at.app.query('INSERT INTO t VALUES (1, 1); INSERT INTO other VALUES (1, 1)')
    await settle(at)
    assert.deepEqual(await states(at), { other: 'live', t: 'suspect' })
    await assertEqual(at, ['other'])
    const [[problem] = []] = await at.rows("SELECT problem FROM mylab_sync.sync_progress WHERE table_name = 't'")
    assert.equal(problem, 'waits for: ALTER TABLE "public"."t" DROP CONSTRAINT "later"')
    await at.reader.query('ALTER TABLE t DROP CONSTRAINT later')
    await settle(at)
    assert.deepEqual(await states(at), { other: 'live', t: 'live' })
    await assertEqual(at, ['t', 'other'])
  })
})

test("a user's deferrable constraint on the key columns is named before any copy", async () => {
  const at = await installation(servers, 'u_waits')
  try {
    await at.app.query('CREATE TABLE t (a INT, b INT, v INT, PRIMARY KEY (a, b)) ENGINE=InnoDB')
    await at.reader.query(`CREATE TABLE t (a integer, b integer, v integer, CONSTRAINT now PRIMARY KEY (a, b),
      CONSTRAINT later UNIQUE (b, a) DEFERRABLE, CONSTRAINT other UNIQUE (b, v) DEFERRABLE)`)
    const { listed } = await copyAll(at.context)
    const problem = "the target's table differs: constraint later over the key is DEFERRABLE"
    assert.deepEqual(listed, [{ table: 't', problem }])
  } finally {
    await at.close()
  }
})
