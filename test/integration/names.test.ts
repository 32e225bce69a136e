import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { plan, resyncTables } from '@mylab-sync/engine'
import { defaultMappingOptions } from '@mylab-sync/mapping'
import { ServerSet } from '@mylab-sync/testkit'
import { connect } from '../support/connect.js'
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

const uniques = (at: Installation, table: string): Promise<string> =>
  at
    .rows(
      `SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '"${table}"'::regclass AND indisunique AND NOT indisprimary`,
    )
    .then((rows) =>
      rows
        .flat()
        .map((definition) => /\((.*)\)/.exec(definition ?? '')?.[1] ?? '')
        .sort()
        .join('; '),
    )
const constraints = (at: Installation): Promise<(string | null)[][]> =>
  at.rows('SELECT * FROM mylab_sync.sync_constraint')

test('indexes that want one name get one each, replacing no other, key or sequence', async () => {
  const schema = `CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, x INT, y INT, UNIQUE KEY b_c (x), UNIQUE KEY pkey (y), UNIQUE KEY id_seq (x, y)) ENGINE=InnoDB;
    CREATE TABLE a_b (id INT PRIMARY KEY, z VARCHAR(9), UNIQUE KEY c (z(3))) ENGINE=InnoDB; CREATE TABLE a_x (id INT PRIMARY KEY) ENGINE=InnoDB;
    ALTER TABLE a ADD INDEX x (x); INSERT INTO a VALUES (1, 1, 1); INSERT INTO a_b VALUES (1, 'abc')`
  await withCopied(servers, { name: 'n_index', schema }, async (at) => {
    const standing = async (): Promise<void> => {
      assert.deepEqual([await uniques(at, 'a'), await uniques(at, 'a_b')], ['x; x, y; y', '"left"((z)::text, 3)'])
      assert.deepEqual(await constraints(at), [])
    }
    await standing()
    await at.app.query("TRUNCATE a_b; INSERT INTO a_b VALUES (2, 'b'); INSERT INTO a VALUES (2, 2, 2)")
    await settle(at)
    await standing()
    await assertEqual(at, ['a', 'a_b'])
  })
})

test("a user's index that has the name of one of ours stays", async () => {
  const at = await installation(servers, 'n_users')
  try {
    await at.app.query(
      `CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9), UNIQUE KEY v (v(3))) ENGINE=InnoDB; INSERT INTO t VALUES (1, 'abc')`,
    )
    await at.reader.query('CREATE TABLE mine (v INT); CREATE UNIQUE INDEX t_v ON mine (v)')
    await copyAll(at.context)
    await at.app.query('TRUNCATE t')
    await settle(at)
    assert.equal(await uniques(at, 'mine'), 'v')
    assert.deepEqual(await states(at), { t: 'live' })
  } finally {
    await at.close()
  }
})

test('a foreign key is created whatever other constraint or system column has its name', async () => {
  const long = 'f'.repeat(60)
  const schema = `CREATE TABLE p (id INT PRIMARY KEY, ctid INT, ctid_ INT) ENGINE=InnoDB; CREATE TABLE c (id INT PRIMARY KEY, a INT, b INT, UNIQUE KEY a (a),
      CONSTRAINT c_a FOREIGN KEY (a) REFERENCES p (id), CONSTRAINT ${long}üx FOREIGN KEY (b) REFERENCES p (id), CONSTRAINT ${long}üy FOREIGN KEY (id) REFERENCES p (id)) ENGINE=InnoDB;
    INSERT INTO p VALUES (1, 2, 3); INSERT INTO c VALUES (1, 1, 1)`
  await withCopied(servers, { name: 'n_foreign', schema }, async (at) => {
    assert.deepEqual(await at.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"), [['3']])
    assert.deepEqual(await constraints(at), [])
    assert.deepEqual(await at.rows('SELECT ctid_, ctid__ FROM p'), [['3', '2']])
    await at.app.query('UPDATE p SET ctid = 9, ctid_ = 8; INSERT INTO p VALUES (2, 0, 0)')
    await drainNow(at)
    assert.deepEqual(await at.rows('SELECT ctid_, ctid__ FROM p ORDER BY id'), [['8', '9'], ['0', '0']]) // biome-ignore format: rows
  })
})

test('plan names the two ends of a foreign key that a type option makes differ', async () => {
  const at = await installation(servers, 'n_types')
  try {
    await at.app.query(
      `CREATE TABLE p (id TINYINT(1) PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE c (id INT PRIMARY KEY, pid TINYINT(1), FOREIGN KEY (pid) REFERENCES p (id)) ENGINE=InnoDB`,
    )
    const mapping = { ...defaultMappingOptions, columns: { c: { pid: 'boolean' } } }
    const { refused } = await plan({ ...at.context, options: { ...at.context.options, mapping } }, [])
    assert.match(JSON.stringify(refused), /column pid becomes boolean, but the column it references becomes smallint/)
  } finally {
    await at.close()
  }
})

test('the next copy of a keyed table without transactions removes surplus rows', async () => {
  const schema = 'CREATE TABLE m (id INT PRIMARY KEY, v INT) ENGINE=MyISAM; INSERT INTO m VALUES (1, 1), (2, 2)'
  await withCopied(servers, { name: 'n_resync', schema }, async (at) => {
    await at.reader.query('INSERT INTO m VALUES (7, 7); UPDATE m SET v = 9 WHERE id = 1')
    assert.deepEqual(
      await resyncTables(at.context, ['m'], { progress: () => {}, signal: new AbortController().signal }),
      ['m'],
    )
    await settle(at)
    await assertEqual(at, ['m'])
    assert.deepEqual(await states(at), { m: 'recopied' })
  })
})

test("a database is found in the server's spelling under lower_case_table_names", async () => {
  const lower = await ServerSet.start({
    services: ['mariadb', 'postgres'],
    extraArguments: { mariadb: ['--lower-case-table-names=1'] },
  })
  try {
    const made = await installation(lower, 'n_lower')
    const { source, target } = await connect(lower, { source: 'N_LOWER', target: 'n_lower' })
    const at = { ...made, context: { ...made.context, source, target } }
    try {
      await at.app.query(`CREATE TABLE Patients (Id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO Patients VALUES (1, 1), (2, 2);
        CREATE TABLE Visits (id INT PRIMARY KEY, pid INT, FOREIGN KEY (PID) REFERENCES Patients (ID) ON DELETE CASCADE) ENGINE=InnoDB; INSERT INTO Visits VALUES (1, 1), (2, 2);
        CREATE TABLE Other LIKE Patients; INSERT INTO Other VALUES (1, 1)`)
      await copyAll(at.context)
      await at.app.query('DELETE FROM patients WHERE id = 1; TRUNCATE other; INSERT INTO patients VALUES (3, 3)')
      await settle(at)
      assert.deepEqual(await states(at), { other: 'live', patients: 'live', visits: 'live' })
      await assertEqual(at, ['patients', 'visits', 'other'])
    } finally {
      await source.close()
      await target.close()
      await at.close()
    }
  } finally {
    await lower.close()
  }
})

test("a user's json column takes JSON, in changed rows too", async () => {
  const at = await installation(servers, 'n_json')
  try {
    await at.reader.query('CREATE TABLE j (id int PRIMARY KEY, v json)')
    await at.app.query(
      `CREATE TABLE j (id INT PRIMARY KEY, v JSON) ENGINE=InnoDB; INSERT INTO j VALUES (1, '{"a": 1}')`,
    )
    await copyAll(at.context)
    await at.app.query(`UPDATE j SET v = '{"a": 2}'`)
    await drainNow(at)
    assert.deepEqual(await at.rows('SELECT v FROM j'), [['{"a": 2}']])
    assert.deepEqual(await states(at), { j: 'live' })
  } finally {
    await at.close()
  }
})
