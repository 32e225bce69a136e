import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drain, JobHandlers, loadModel } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import {
  assertEqual,
  copyAll,
  createInstallation,
  drainNow,
  type Installation,
  NEVER_ABORTED,
  problemOf,
  settle,
  states,
  unwatched,
} from '../support/installation.js'
import type { Watch } from '../support/intercept.js'
import { during } from '../support/moments.js'

const FAMILY = `
  CREATE TABLE p (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE c (id INT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
  CREATE TABLE other (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO p VALUES (1, 1), (2, 2), (3, 3); INSERT INTO c VALUES (1, 1), (2, 2), (3, 3); INSERT INTO other VALUES (1, 1), (2, 2)`
const LIVE = { c: 'live', other: 'live', p: 'live' }

const servers = await sharedServers()

const family = (name: string, watch?: Watch): Promise<Installation> =>
  createInstallation(servers, name, { schema: FAMILY, ...(watch ? { watch } : {}) })

test('two columns that swap names take their values along, key columns too', async () => {
  const query = 'SELECT a, b, x, y FROM pair ORDER BY 1, 2'
  const equal = async (installation: Installation): Promise<void> =>
    assert.deepEqual(await installation.rows(query), await textRows(installation.app, query))
  await using installation = await family('r_names')
  await installation.app.query(`CREATE TABLE pair (a INT, b INT, x INT, y INT, PRIMARY KEY (a, b)) ENGINE=InnoDB;
      INSERT INTO pair VALUES (1, 2, 3, 4), (2, 1, 5, 6), (7, 7, 7, 7)`)
  await copyAll(installation.context)
  await installation.app.query('ALTER TABLE pair RENAME COLUMN x TO y, RENAME COLUMN y TO x')
  await installation.app.query('UPDATE pair SET x = 9 WHERE a = 1')
  await drainNow(installation)
  await settle(installation)
  await equal(installation)
  await installation.app.query('ALTER TABLE pair RENAME COLUMN a TO b, RENAME COLUMN b TO a')
  await installation.app.query('UPDATE pair SET x = 10 WHERE a = 1; DELETE FROM pair WHERE a = 2')
  await drainNow(installation)
  await settle(installation)
  assert.equal((await states(installation))['pair'], 'live')
  await equal(installation)
  await installation.app.query('UPDATE pair SET x = 11; INSERT INTO pair VALUES (8, 9, 1, 1)')
  await drainNow(installation)
  await equal(installation)
})

test('a changed key recopies its table, which waits if user data cannot hold that key', async () => {
  await using installation = await family('r_key')
  await installation.app.query(`CREATE TABLE kept (x INT, y INT, PRIMARY KEY (x, y)) ENGINE=InnoDB; INSERT INTO kept VALUES (1, 1), (2, 1);
      CREATE TABLE lost LIKE kept; INSERT INTO lost SELECT * FROM kept; CREATE TABLE fresh LIKE kept; INSERT INTO fresh SELECT * FROM kept;
      CREATE TABLE less LIKE kept; INSERT INTO less SELECT * FROM kept`)
  await copyAll(installation.context)
  await installation.reader.query("ALTER TABLE fresh ADD mine text; UPDATE fresh SET mine = 'a note'")
  await installation.app.query(`ALTER TABLE kept DROP PRIMARY KEY, ADD PRIMARY KEY (x), MODIFY y INT NULL; INSERT INTO kept VALUES (3, NULL);
      ALTER TABLE lost DROP PRIMARY KEY; INSERT INTO lost VALUES (1, 1);
      ALTER TABLE fresh DROP PRIMARY KEY, ADD id INT AUTO_INCREMENT PRIMARY KEY; INSERT INTO fresh VALUES (1, 1, 9);
      ALTER TABLE less DROP PRIMARY KEY, DROP COLUMN y, ADD v INT, ADD PRIMARY KEY (x); UPDATE other SET v = 2`)
  await settle(installation)
  await assertEqual(installation, ['kept', 'lost', 'other'])
  assert.equal((await states(installation))['kept'], 'live')
  // its trigger named a dropped column, and was re-created
  await installation.app.query('UPDATE less SET v = x; INSERT INTO less VALUES (3, 3)')
  await drainNow(installation)
  assert.deepEqual(await installation.rows('SELECT x, v FROM less ORDER BY 1'), [['1', '1'], ['2', '2'], ['3', '3']]) // biome-ignore format: rows
  const waiting = await problemOf(installation, 'fresh')
  assert.equal(waiting, 'waits for: TRUNCATE TABLE "public"."fresh" /* no new key: rows hold NULL (23502) */')
  await installation.reader.query(waiting.slice('waits for: '.length))
  await settle(installation)
  assert.equal((await states(installation))['fresh'], 'live')
  await installation.app.query('DELETE FROM fresh WHERE id = 9; UPDATE kept SET y = NULL; DELETE FROM lost WHERE x = 2')
  await settle(installation)
  await installation.reader.query('ALTER TABLE fresh DROP mine')
  await assertEqual(installation, ['fresh', 'kept', 'lost'])
  await installation.app.query(
    'ALTER TABLE fresh DROP PRIMARY KEY, DROP COLUMN id, ADD n INT AUTO_INCREMENT PRIMARY KEY',
  )
  await settle(installation)
  assert.equal((await states(installation))['fresh'], 'live')
  assert.deepEqual(
    await installation.rows('SELECT x, y, n FROM fresh ORDER BY 3'),
    await textRows(installation.app, 'SELECT x, y, n FROM fresh ORDER BY 3'),
  )
})

test("a column that a user's view reads keeps only its own table waiting", async () => {
  await using installation = await family('r_view')
  await copyAll(installation.context)
  await installation.reader.query('CREATE VIEW seen AS SELECT v FROM other; CREATE VIEW above AS SELECT v FROM seen')
  await installation.app.query(
    'ALTER TABLE other MODIFY v BIGINT; ALTER TABLE p MODIFY v BIGINT; UPDATE p SET v = 5000000000',
  )
  await settle(installation)
  await assertEqual(installation, ['p', 'c'])
  const waiting = await problemOf(installation, 'other')
  assert.match(waiting, /^waits for: DROP VIEW public\.above .*; DROP VIEW public\.seen /)
  await installation.reader.query(waiting.slice('waits for: '.length))
  await settle(installation)
  assert.deepEqual(await states(installation), LIVE)
  await assertEqual(installation, ['p', 'c', 'other'])
})

test('a table replaced by a view counts as gone, and the rest goes on', async () => {
  await using installation = await family('r_place')
  await copyAll(installation.context)
  await installation.app.query('DROP TABLE other; CREATE VIEW other AS SELECT id, v FROM p; UPDATE p SET v = 5')
  await settle(installation)
  await assertEqual(installation, ['p', 'c'])
  assert.deepEqual(await states(installation), { ...LIVE, other: 'gone' })
  await installation.app.query('DROP VIEW other; UPDATE p SET v = 6')
  await settle(installation)
  await assertEqual(installation, ['p', 'c'])
})

for (const [name, tampering] of [
  ['dropped', 'DROP TABLE other'],
  ['renamed', 'ALTER TABLE other RENAME TO elsewhere'],
  ['without its key', 'ALTER TABLE other DROP CONSTRAINT other_pkey'],
  ['without a column', 'ALTER TABLE other RENAME COLUMN v TO w'],
  ['dropped as a parent', 'DROP TABLE p CASCADE'],
] as const)
  for (const when of ['under load', 'in silence'])
    test(`a target table ${name} ${when} is re-created; the rest goes on`, async () => {
      await using installation = await family('r_target')
      await copyAll(installation.context)
      const writes = 'UPDATE other SET v = v + 1; DELETE FROM p WHERE id = 2'
      await installation.reader.query(tampering)
      await installation.app.query(`${when === 'under load' ? writes : 'DO 0'}; UPDATE c SET pid = 1 WHERE id = 3`)
      assert.equal((await drainNow(installation)).kind, 'done')
      await settle(installation)
      if (when === 'in silence') await installation.app.query(writes)
      await settle(installation)
      await assertEqual(installation, ['p', 'c'])
      assert.deepEqual(await installation.rows('SELECT id, v FROM other ORDER BY 1'), [['1', '2'], ['2', '3']]) // biome-ignore format: rows
      assert.deepEqual(await states(installation), LIVE)
    })

test('a copied child follows what its parent did while the parent alone was set aside', async () => {
  let installation: Installation | undefined
  let done = false
  const act = async (): Promise<void> => {
    if (installation === undefined || done) return
    done = true
    const beside = unwatched(installation).context
    await installation.app.query('ALTER TABLE p FORCE')
    await drain(beside, await loadModel(beside))
    // the child is deleted with its parent, which returns: neither an orphan nor an entry of the child reveals it
    await installation.app.query('DELETE FROM p WHERE id = 3; INSERT INTO p VALUES (3, 3)')
    await drain(beside, await loadModel(beside))
  }
  await using installed = await family('r_alone', during({ 'opening:indexed': act }))
  installation = installed
  await copyAll(installed.context)
  await settle(installed)
  assert.ok(done)
  assert.deepEqual(await states(installed), LIVE)
  await assertEqual(installed, ['p', 'c', 'other'])
})

test('a write between setting a table aside and its new triggers blocks nobody', async () => {
  await using installation = await family('r_layout')
  await copyAll(installation.context)
  await installation.app.query('ALTER TABLE other MODIFY id BIGINT')
  await drainNow(installation)
  assert.deepEqual(await states(installation), { ...LIVE, other: 'suspect' })
  // by the existing triggers: their keys are those of an INT
  await installation.app.query('UPDATE other SET v = 5 WHERE id = 1; UPDATE p SET v = 6 WHERE id = 2')
  await new JobHandlers(installation.context).maintain(NEVER_ABORTED)
  assert.equal((await states(installation))['other'], 'copying')
  await drainNow(installation)
  await assertEqual(installation, ['p', 'c'])
  await settle(installation)
  assert.deepEqual(await states(installation), LIVE)
  await assertEqual(installation, ['p', 'c', 'other'])
})

test('a table that gets its first key before its new triggers is carried by that key', async () => {
  await using installation = await family('r_first_key')
  await installation.app.query(
    'CREATE TABLE bare (id INT NOT NULL, v INT) ENGINE=InnoDB; INSERT INTO bare VALUES (1, 1), (2, 2)',
  )
  await copyAll(installation.context)
  await installation.app.query('ALTER TABLE bare ADD PRIMARY KEY (id)')
  await drainNow(installation)
  // by the existing triggers: no key at all
  await installation.app.query('UPDATE bare SET v = 5 WHERE id = 1')
  await new JobHandlers(installation.context).maintain(NEVER_ABORTED)
  assert.equal((await states(installation))['bare'], 'copying')
  await drainNow(installation)
  await settle(installation)
  assert.deepEqual(await states(installation), { ...LIVE, bare: 'live' })
  await installation.app.query('DELETE FROM bare WHERE id = 2')
  await drainNow(installation)
  await assertEqual(installation, ['bare', 'p', 'c', 'other'])
})

test('key ENUMs and SETs that gain or lose members are followed, even by stale models', async () => {
  await using installation = await family('r_members')
  await installation.app.query(`CREATE TABLE e (k ENUM('a', 'b') PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO e VALUES ('a', 1), ('b', 1);
      CREATE TABLE s (k SET('a', 'b') PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO s VALUES ('a', 1), ('b', 1), ('a,b', 1)`)
  await copyAll(installation.context)
  const old = await loadModel(installation.context)
  await installation.app.query(`ALTER TABLE e MODIFY k ENUM('a', 'b', 'c'); ALTER TABLE s MODIFY k SET('a', 'b', 'c');
      INSERT INTO e VALUES ('c', 1); INSERT INTO s VALUES ('a,c', 1), ('c', 1)`)
  await drain(installation.context, old)
  await installation.app.query("DELETE FROM e WHERE k = 'c'; DELETE FROM s WHERE k = 'a,c'; UPDATE other SET v = 7")
  await drain(installation.context, old)
  await settle(installation)
  const equal = async (): Promise<void> => {
    assert.deepEqual(
      await installation.rows('SELECT k, v FROM e ORDER BY 1'),
      await textRows(installation.app, 'SELECT k, v FROM e ORDER BY CAST(k AS CHAR)'),
    )
    assert.deepEqual(
      await installation.rows("SELECT array_to_string(k, ','), v FROM s ORDER BY 1"),
      await textRows(installation.app, 'SELECT k, v FROM s ORDER BY CAST(k AS CHAR)'),
    )
    assert.deepEqual(await states(installation), { ...LIVE, e: 'live', s: 'live' })
  }
  await equal()
  await assertEqual(installation, ['p', 'c', 'other'])
  await installation.app.query(`DELETE FROM e WHERE k = 'b'; DELETE FROM s WHERE FIND_IN_SET('b', k)`)
  await drainNow(installation)
  await installation.app.query(`INSERT INTO e VALUES ('b', 2); INSERT INTO s VALUES ('b', 2)`)
  await drainNow(installation)
  await installation.app.query(`DELETE FROM e WHERE k = 'b'; DELETE FROM s WHERE k = 'b';
      ALTER TABLE e MODIFY k ENUM('a', 'c'); ALTER TABLE s MODIFY k SET('a', 'c'); INSERT INTO e VALUES ('c', 3)`)
  await settle(installation)
  await equal()
  // The CHECKs of ENUMs list their current members.
  await settle(installation)
  assert.deepEqual(await installation.rows('SELECT * FROM mylab_sync.sync_constraint'), [])
  await assert.rejects(installation.reader.query("INSERT INTO e VALUES ('b', 1)"), /e_k_check/)
})

test('keys that an uncarried parent writes in another layout set its children aside', async () => {
  await using installation = await createInstallation(servers, 'r_parent_layout')
  const at = {
    ...installation,
    context: { ...installation.context, options: { ...installation.context.options, exclude: ['p'] } },
  }
  await at.app.query(FAMILY)
  await copyAll(at.context)
  await at.app.query(`ALTER TABLE c DROP FOREIGN KEY c_ibfk_1; ALTER TABLE p MODIFY id BIGINT; ALTER TABLE c MODIFY pid BIGINT;
      ALTER TABLE c ADD FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE; DELETE FROM p WHERE id = 1; INSERT INTO other VALUES (9, 9)`)
  await settle(at)
  assert.deepEqual(await states(at), { c: 'live', other: 'live' })
  await assertEqual(at, ['c', 'other'])
})
