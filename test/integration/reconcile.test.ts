import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drain, loadModel, status } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { connect } from '../support/connect.js'
import { FAMILY } from '../support/family.js'
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
import type { PortCall, Watch } from '../support/intercept.js'
import { during, tableOf } from '../support/moments.js'

const servers = await sharedServers()

test('the next drain notices TRUNCATE, goes on without the table, and it heals', async () => {
  await using installation = await createInstallation(servers, 'r_truncate', { schema: FAMILY, copied: true })
  await installation.app.query('TRUNCATE other; INSERT INTO other VALUES (2, 2); INSERT INTO p VALUES (4, 4)')
  await drainNow(installation)
  assert.deepEqual(await states(installation), { c: 'live', g: 'live', other: 'suspect', p: 'live' })
  await assertEqual(installation, ['p', 'c', 'g'])
  await settle(installation)
  assert.equal((await states(installation))['other'], 'live')
  await assertEqual(installation, ['p', 'c', 'g', 'other'])
})

test('added columns, widened types, foreign keys come and gone, and swaps are followed', async () => {
  await using installation = await createInstallation(servers, 'r_alter', { schema: FAMILY, copied: true })
  await installation.app.query(
    'ALTER TABLE other ADD COLUMN extra VARCHAR(10) DEFAULT "x", MODIFY v BIGINT; INSERT INTO other VALUES (2, 5000000000, "y")',
  )
  await settle(installation)
  await assertEqual(installation, ['other'])
  await installation.app.query(
    'ALTER TABLE other ADD COLUMN pid INT DEFAULT 3; ALTER TABLE other ADD CONSTRAINT other_p FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE',
  )
  await settle(installation)
  await installation.app.query('DELETE FROM p WHERE id = 3')
  await settle(installation)
  await assertEqual(installation, ['p', 'c', 'g', 'other'])
  await installation.app.query(
    'ALTER TABLE other DROP FOREIGN KEY other_p; CREATE TABLE fresh LIKE other; INSERT INTO fresh VALUES (7, 7, "z", NULL); RENAME TABLE other TO old, fresh TO other, old TO fresh',
  )
  await settle(installation)
  assert.equal((await states(installation))['other'], 'live')
  await assertEqual(installation, ['p', 'c', 'g', 'other'])
})

test('where type changes must wait, the table waits with statements; the rest goes on', async () => {
  await using applying = await createInstallation(servers, 'r_waits', { schema: FAMILY })
  const { context } = applying
  const installation: Installation = {
    ...applying,
    context: { ...context, options: { ...context.options, schemaChanges: 'wait' } },
  }
  await copyAll(installation.context)
  await installation.app.query('ALTER TABLE other MODIFY v VARCHAR(20); UPDATE other SET v = "one"; UPDATE p SET v = 5')
  await settle(installation)
  await assertEqual(installation, ['p', 'c', 'g'])
  const waiting = (await status(installation.context)).tables.find((table) => table.table === 'other')
  assert.equal(waiting?.state, 'suspect')
  const [, statement = ''] = /^waits for: (.*)$/.exec(waiting.problem ?? '') ?? []
  await installation.reader.query(statement)
  await settle(installation)
  await assertEqual(installation, ['other'])
  assert.equal((await status(installation.context)).tables.find((table) => table.table === 'other')?.problem, null)
})

test('a wholly published target is written, tables without a primary key included', async () => {
  await using installation = await createInstallation(servers, 'r_published', { schema: FAMILY })
  const tables = ['p', 'c', 'g', 'other', 'bare', 'single']
  await installation.app.query(`CREATE TABLE bare (a INT, b INT) ENGINE=InnoDB; INSERT INTO bare VALUES (1, 1), (1, 1), (2, 2);
      CREATE TABLE single (a INT NOT NULL UNIQUE, b INT) ENGINE=InnoDB; INSERT INTO single VALUES (1, 1), (2, 2)`)
  await copyAll(installation.context)
  const admin = await servers.targetAdmin('r_published')
  await admin.query('CREATE PUBLICATION everything FOR ALL TABLES').finally(() => admin.end())
  await installation.app.query(
    'UPDATE bare SET b = 9; UPDATE single SET b = 9; DELETE FROM p WHERE id = 1; UPDATE p SET id = 9 WHERE id = 2',
  )
  await settle(installation)
  assert.deepEqual(await states(installation), { bare: 'recopied', c: 'live', g: 'live', other: 'live', p: 'live', single: 'live' }) // biome-ignore format: one line
  await assertEqual(installation, tables)
  await installation.app.query('UPDATE p SET v = 7; DELETE FROM bare WHERE a = 2; DELETE FROM single WHERE a = 2')
  await drainNow(installation)
  await assertEqual(installation, tables)
})

test('a table gone from the source stays in the target, and status says so', async () => {
  await using installation = await createInstallation(servers, 'r_gone', { schema: FAMILY, copied: true })
  await installation.app.query('DROP TABLE other; UPDATE p SET v = 6')
  await settle(installation)
  assert.equal((await states(installation))['other'], 'gone')
  assert.deepEqual(await installation.rows('SELECT id FROM other'), [['1']])
  await assertEqual(installation, ['p', 'c', 'g'])
  const named = async (exclude: string[]): Promise<string | undefined> => {
    const { tables } = await status({ ...installation.context, options: { ...installation.context.options, exclude } })
    return tables.find(({ table }) => table === 'other')?.problem ?? undefined
  }
  assert.match((await named([])) ?? '', /no longer exists at the source.*tables\.exclude/)
  assert.equal(await named(['other']), undefined)
})

test('an excluded live table stays as it is, and is healed once it is selected again', async () => {
  await using installation = await createInstallation(servers, 'r_excluded', { schema: FAMILY, copied: true })
  const without = {
    ...installation,
    context: { ...installation.context, options: { ...installation.context.options, exclude: ['other', 'p'] } },
  }
  await installation.app.query(
    'UPDATE other SET v = 6; UPDATE p SET v = 6; UPDATE c SET v = 6; DELETE FROM p WHERE id = 1',
  )
  await settle(without)
  assert.deepEqual(await states(without), { c: 'live', g: 'live' })
  await assertEqual(installation, ['c', 'g'])
  assert.deepEqual(await installation.rows('SELECT v FROM other'), [['1']])
  await settle(installation)
  assert.deepEqual(await states(installation), { c: 'live', g: 'live', other: 'live', p: 'live' })
  await assertEqual(installation, ['p', 'c', 'g', 'other'])
})

test('a table that returns, or that can be carried again, resumes by itself', async () => {
  await using installation = await createInstallation(servers, 'r_back', { schema: FAMILY, copied: true })
  await installation.app.query(`DROP TABLE other; ALTER TABLE g ADD nul INT;
      CREATE TABLE keyless (id INT, KEY (id)) ENGINE=InnoDB; ALTER TABLE g ADD CONSTRAINT bare FOREIGN KEY (nul) REFERENCES keyless (id) ON DELETE SET NULL`)
  await settle(installation)
  assert.deepEqual(await states(installation), {
    c: 'live',
    g: 'refused',
    keyless: 'discovered',
    other: 'gone',
    p: 'live',
  })
  await installation.app.query(`CREATE TABLE other (id INT PRIMARY KEY, v INT, w INT) ENGINE=InnoDB; INSERT INTO other VALUES (5, 5, 5);
      ALTER TABLE g DROP FOREIGN KEY bare; UPDATE g SET nul = 3; UPDATE p SET v = 9`)
  await settle(installation)
  assert.deepEqual(await states(installation), {
    c: 'live',
    g: 'live',
    keyless: 'discovered',
    other: 'live',
    p: 'live',
  })
  assert.deepEqual(await installation.rows('SELECT id, v, w FROM other'), [['5', '5', '5']])
  assert.deepEqual(await installation.rows('SELECT DISTINCT nul FROM g'), [['3']])
  await assertEqual(installation, ['p', 'c'])
})

test('a new table of the source is named with its command until carried or excluded', async () => {
  await using installation = await createInstallation(servers, 'r_new', { schema: FAMILY, copied: true })
  await installation.app.query(
    'CREATE TABLE later (id INT PRIMARY KEY, v INT); INSERT INTO later VALUES (1, 1); CREATE VIEW seen AS SELECT 1',
  )
  await settle(installation)
  const said = async (exclude: string[] = []): Promise<[string | undefined, string]> => {
    const { tables, sentence } = await status({
      ...installation.context,
      options: { ...installation.context.options, exclude },
    })
    return [tables.find(({ table }) => table === 'later')?.state, sentence]
  }
  const [state, sentence] = await said()
  assert.equal(state, 'discovered')
  assert.match(sentence, /^4 of 5 tables equal .*; 1 is not carried yet: mylab-sync initial --create-tables\.$/)
  const [excluded, without] = await said(['later'])
  assert.equal(excluded, undefined)
  assert.match(without, /^4 of 4 tables equal [^;]*$/)
  await copyAll(installation.context)
  assert.equal((await said())[0], 'live')
  await assertEqual(installation, ['later'])
})

/** Deletes a parent and brings it back, once, when the child's rows have been read; a drain consumes the parent's entries. */
function losesItsParent(of: { at?: Installation; done: boolean }): Watch {
  return during({
    'chunk:read': async (call) => {
      if (tableOf(call) !== 'c' || of.done || !of.at) return
      of.done = true
      await of.at.app.query('DELETE FROM p WHERE id = 1; INSERT INTO p VALUES (1, 1)')
      await drainNow(of.at)
    },
  })
}

for (const [name, first] of [
  ['that is not carried', null],
  ['that is live already', ['p', 'other']],
] as const) {
  test(`a child follows its parent ${name}, even between copy and opening`, async () => {
    const of: { at?: Installation; done: boolean } = { done: false }
    await using installation = await createInstallation(servers, `r_parent_${first === null ? 'outside' : 'live'}`, {
      schema: FAMILY,
      watch: losesItsParent(of),
    })
    of.at = installation
    if (first) await copyAll(installation.context, first)
    await copyAll(installation.context, ['c', 'g'])
    assert.ok(of.done)
    await assertEqual(installation, ['c', 'g'])
    await installation.app.query('DELETE FROM p WHERE id = 2')
    await settle(installation)
    await assertEqual(installation, ['c', 'g'])
    assert.deepEqual(await installation.rows('SELECT * FROM mylab_sync.sync_parked_parent'), [])
  })
}

for (const [when, moment] of [
  ['after the target’s table was made', 'copy:asked'],
  ['after the target’s table was adapted', 'reconcile:asked'],
] as const)
  test(`a column added ${when} reaches the target too`, async () => {
    const name = `r_${moment.replace(':', '_')}`
    let altered = 0
    const alter = async (): Promise<void> => {
      if (++altered > 1) return
      const app = await servers.sourceAdmin(name)
      await app.query('ALTER TABLE other ADD COLUMN w INT NOT NULL DEFAULT 5').finally(() => app.end())
    }
    await using installation = await createInstallation(servers, name, {
      schema: FAMILY,
      watch: during({ [moment]: alter }),
    })
    await copyAll(installation.context)
    await installation.app.query('TRUNCATE other; INSERT INTO other (id, v) VALUES (7, 7)')
    await settle(installation)
    await settle(installation)
    assert.ok(altered > 0)
    assert.deepEqual(await states(installation), { c: 'live', g: 'live', other: 'live', p: 'live' })
    await assertEqual(installation, ['p', 'c', 'g', 'other'])
  })

test('a definition change during a first copy restarts that table, and all get copied', async () => {
  let chunks = 0
  const beforeChunk = async (call: PortCall): Promise<void> => {
    if (tableOf(call) !== 'many' || ++chunks !== 3) return
    const app = await servers.sourceAdmin('r_middle')
    await app.query('ALTER TABLE many ADD COLUMN w INT NOT NULL DEFAULT 5; UPDATE many SET v = 1 WHERE id < 20')
    await app.end()
  }
  await using installation = await createInstallation(servers, 'r_middle', {
    watch: during({ 'chunk:taken': beforeChunk }),
    batchRows: 10,
    schema: `${FAMILY}; CREATE TABLE many (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO many SELECT seq, 0 FROM seq_1_to_60`,
  })
  await copyAll(installation.context)
  assert.deepEqual(await states(installation), { c: 'live', g: 'live', many: 'live', other: 'live', p: 'live' })
  await settle(installation)
  await assertEqual(installation, ['p', 'c', 'g', 'other', 'many'])
})

test('without PROCESS, rows gone without an entry are noticed within a turn and healed', async () => {
  await using installation = await createInstallation(servers, 'r_blind')
  const account = { user: 'blind', password: 'x' }
  await installation.app.query(`CREATE USER blind@'%' IDENTIFIED BY 'x';
    GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, TRIGGER ON r_blind.* TO blind@'%'; ${FAMILY};
    CREATE TABLE parts (id INT PRIMARY KEY, v INT) ENGINE=InnoDB PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (50), PARTITION b VALUES LESS THAN (100), PARTITION c VALUES LESS THAN MAXVALUE);
    INSERT INTO parts SELECT seq, seq FROM seq_1_to_150`)
  await using sides = await connect(servers, 'r_blind', account)
  const blind = overSides(installation, sides)
  try {
    assert.equal(await blind.source.catalog.seesStorage(), false)
    await copyAll(blind.context)
    await settle(blind)
    await installation.app.query(
      'TRUNCATE other; INSERT INTO other VALUES (7, 7); ALTER TABLE parts TRUNCATE PARTITION c',
    )
    const probe = ['other', 'parts', 'p', 'c']
    const report = await drain(blind.context, await loadModel(blind.context), { probe })
    assert.deepEqual(report.kind === 'done' && report.setAside.map(({ table }) => table), ['other', 'parts'])
    await settle(blind)
    const live = { c: 'live', g: 'live', other: 'live', p: 'live', parts: 'live' }
    assert.deepEqual(await states(installation), live)
    await assertEqual(installation, ['p', 'c', 'g', 'other', 'parts'])
    // a single pass checks all of them, and a table that acts on others takes them along
    await installation.app.query('ALTER TABLE parts TRUNCATE PARTITION a; SET FOREIGN_KEY_CHECKS = 0; TRUNCATE p')
    await settle(blind)
    await assertEqual(installation, ['p', 'parts', 'other'])
  } finally {
    await installation.app.query("DROP USER blind@'%'")
  }
})
