import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plan, resyncTables } from '@mylab-sync/engine'
import { defaultMappingOptions } from '@mylab-sync/mapping'
import { ServerSet, sharedServers } from '@mylab-sync/testkit'
import { connect } from '../support/connect.js'
import {
  assertEqual,
  copyAll,
  createInstallation,
  drainNow,
  type Installation,
  overSides,
  settle,
  states,
} from '../support/installation.js'

const servers = await sharedServers()

const uniques = (installation: Installation, table: string): Promise<string> =>
  installation
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
const constraints = (installation: Installation): Promise<(string | null)[][]> =>
  installation.rows('SELECT * FROM mylab_sync.sync_constraint')

test('indexes that want one name get one each, replacing no other, key or sequence', async () => {
  const schema = `CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, x INT, y INT, UNIQUE KEY b_c (x), UNIQUE KEY pkey (y), UNIQUE KEY id_seq (x, y)) ENGINE=InnoDB;
    CREATE TABLE a_b (id INT PRIMARY KEY, z VARCHAR(9), UNIQUE KEY c (z(3))) ENGINE=InnoDB; CREATE TABLE a_x (id INT PRIMARY KEY) ENGINE=InnoDB;
    ALTER TABLE a ADD INDEX x (x); INSERT INTO a VALUES (1, 1, 1); INSERT INTO a_b VALUES (1, 'abc')`
  await using installation = await createInstallation(servers, 'n_index', { schema, copied: true })
  const standing = async (): Promise<void> => {
    assert.deepEqual(
      [await uniques(installation, 'a'), await uniques(installation, 'a_b')],
      ['x; x, y; y', '"left"((z)::text, 3)'],
    )
    assert.deepEqual(await constraints(installation), [])
  }
  await standing()
  await installation.app.query("TRUNCATE a_b; INSERT INTO a_b VALUES (2, 'b'); INSERT INTO a VALUES (2, 2, 2)")
  await settle(installation)
  await standing()
  await assertEqual(installation, ['a', 'a_b'])
})

test("a user's index that has the name of one of ours stays", async () => {
  await using installation = await createInstallation(servers, 'n_users', {
    schema: `CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9), UNIQUE KEY v (v(3))) ENGINE=InnoDB; INSERT INTO t VALUES (1, 'abc')`,
  })
  await installation.reader.query('CREATE TABLE mine (v INT); CREATE UNIQUE INDEX t_v ON mine (v)')
  await copyAll(installation.context)
  await installation.app.query('TRUNCATE t')
  await settle(installation)
  assert.equal(await uniques(installation, 'mine'), 'v')
  assert.deepEqual(await states(installation), { t: 'live' })
})

test('a foreign key is created whatever other constraint or system column has its name', async () => {
  const long = 'f'.repeat(60)
  const schema = `CREATE TABLE p (id INT PRIMARY KEY, ctid INT, ctid_ INT) ENGINE=InnoDB; CREATE TABLE c (id INT PRIMARY KEY, a INT, b INT, UNIQUE KEY a (a),
      CONSTRAINT c_a FOREIGN KEY (a) REFERENCES p (id), CONSTRAINT ${long}üx FOREIGN KEY (b) REFERENCES p (id), CONSTRAINT ${long}üy FOREIGN KEY (id) REFERENCES p (id)) ENGINE=InnoDB;
    INSERT INTO p VALUES (1, 2, 3); INSERT INTO c VALUES (1, 1, 1)`
  await using installation = await createInstallation(servers, 'n_foreign', { schema, copied: true })
  assert.deepEqual(await installation.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"), [
    ['3'],
  ])
  assert.deepEqual(await constraints(installation), [])
  assert.deepEqual(await installation.rows('SELECT ctid_, ctid__ FROM p'), [['3', '2']])
  await installation.app.query('UPDATE p SET ctid = 9, ctid_ = 8; INSERT INTO p VALUES (2, 0, 0)')
  await drainNow(installation)
  assert.deepEqual(await installation.rows('SELECT ctid_, ctid__ FROM p ORDER BY id'), [['8', '9'], ['0', '0']]) // biome-ignore format: rows
})

test('plan names the two ends of a foreign key that a type option makes differ', async () => {
  await using installation = await createInstallation(servers, 'n_types', {
    schema: `CREATE TABLE p (id TINYINT(1) PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE c (id INT PRIMARY KEY, pid TINYINT(1), FOREIGN KEY (pid) REFERENCES p (id)) ENGINE=InnoDB`,
  })
  const mapping = { ...defaultMappingOptions, columns: { c: { pid: 'boolean' } } }
  const { refused } = await plan({ ...installation.context, options: { ...installation.context.options, mapping } }, [])
  assert.match(JSON.stringify(refused), /column pid becomes boolean, but the column it references becomes smallint/)
})

test('the next copy of a keyed table without transactions removes surplus rows', async () => {
  const schema = 'CREATE TABLE m (id INT PRIMARY KEY, v INT) ENGINE=MyISAM; INSERT INTO m VALUES (1, 1), (2, 2)'
  await using installation = await createInstallation(servers, 'n_resync', { schema, copied: true })
  await installation.reader.query('INSERT INTO m VALUES (7, 7); UPDATE m SET v = 9 WHERE id = 1')
  assert.deepEqual(
    await resyncTables(installation.context, ['m'], { progress: () => {}, signal: new AbortController().signal }),
    ['m'],
  )
  await settle(installation)
  await assertEqual(installation, ['m'])
  assert.deepEqual(await states(installation), { m: 'recopied' })
})

test("a database is found in the server's spelling under lower_case_table_names", async () => {
  await using lower = await ServerSet.start({
    services: ['mariadb', 'postgres'],
    extraArguments: { mariadb: ['--lower-case-table-names=1'] },
  })
  await using ours = await createInstallation(lower, 'n_lower')
  await using sides = await connect(lower, { source: 'N_LOWER', target: 'n_lower' })
  const installation = overSides(ours, sides)
  await installation.app.query(`CREATE TABLE Patients (Id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO Patients VALUES (1, 1), (2, 2);
    CREATE TABLE Visits (id INT PRIMARY KEY, pid INT, FOREIGN KEY (PID) REFERENCES Patients (ID) ON DELETE CASCADE) ENGINE=InnoDB; INSERT INTO Visits VALUES (1, 1), (2, 2);
    CREATE TABLE Other LIKE Patients; INSERT INTO Other VALUES (1, 1)`)
  await copyAll(installation.context)
  await installation.app.query('DELETE FROM patients WHERE id = 1; TRUNCATE other; INSERT INTO patients VALUES (3, 3)')
  await settle(installation)
  assert.deepEqual(await states(installation), { other: 'live', patients: 'live', visits: 'live' })
  await assertEqual(installation, ['patients', 'visits', 'other'])
})

test("a user's json column takes JSON, in changed rows too", async () => {
  await using installation = await createInstallation(servers, 'n_json')
  await installation.reader.query('CREATE TABLE j (id int PRIMARY KEY, v json)')
  await installation.app.query(
    `CREATE TABLE j (id INT PRIMARY KEY, v JSON) ENGINE=InnoDB; INSERT INTO j VALUES (1, '{"a": 1}')`,
  )
  await copyAll(installation.context)
  await installation.app.query(`UPDATE j SET v = '{"a": 2}'`)
  await drainNow(installation)
  assert.deepEqual(await installation.rows('SELECT v FROM j'), [['{"a": 2}']])
  assert.deepEqual(await states(installation), { j: 'live' })
})
