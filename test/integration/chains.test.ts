import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plan, status } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { assertEqual, copyAll, createInstallation, type Installation, settle, states } from '../support/installation.js'

/** f <- a <- b <- c: what happens to a row reaches the whole chain, and `lone` beside it. */
const CHAIN = `
  CREATE TABLE f (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE a (id INT PRIMARY KEY, fid INT, FOREIGN KEY (fid) REFERENCES f (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE b (id INT PRIMARY KEY, aid INT, FOREIGN KEY (aid) REFERENCES a (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE c (id INT PRIMARY KEY, bid INT, FOREIGN KEY (bid) REFERENCES b (id) ON DELETE SET NULL) ENGINE=InnoDB;
  CREATE TABLE lone (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO f VALUES (1, 1), (2, 2), (3, 3); INSERT INTO a VALUES (1, 1), (2, 2), (3, 3); INSERT INTO b VALUES (1, 1), (2, 2), (3, 3);
  INSERT INTO c VALUES (1, 1), (2, 2), (3, 3); INSERT INTO lone VALUES (1, 1)`
const LIVE = { a: 'live', b: 'live', c: 'live', f: 'live', lone: 'live' }

const servers = await sharedServers()

interface Scene {
  readonly what: string
  /** State of the middle table; undefined: it is not listed. */
  readonly state: string | undefined
  readonly begin: (installation: Installation) => Promise<Installation>
  readonly end: (installation: Installation) => Promise<Installation>
}

const sql =
  (statements: string) =>
  async (installation: Installation): Promise<Installation> => {
    await installation.app.query(statements)
    return installation
  }
const excluding =
  (exclude: readonly string[]) =>
  async (installation: Installation): Promise<Installation> =>
    await Promise.resolve({
      ...installation,
      context: { ...installation.context, options: { ...installation.context.options, exclude } },
    })

const SCENES: readonly Scene[] = [
  {
    what: 'renamed',
    state: 'gone',
    begin: sql('RENAME TABLE a TO elsewhere'),
    end: sql('RENAME TABLE elsewhere TO a'),
  },
  {
    what: 'dropped',
    state: 'gone',
    begin: sql('SET FOREIGN_KEY_CHECKS = 0; DROP TABLE a; SET FOREIGN_KEY_CHECKS = 1'),
    end: sql(`CREATE TABLE a (id INT PRIMARY KEY, fid INT, FOREIGN KEY (fid) REFERENCES f (id) ON DELETE CASCADE) ENGINE=InnoDB;
      INSERT INTO a SELECT id, id FROM f`),
  },
  { what: 'excluded', state: undefined, begin: excluding(['a']), end: excluding([]) },
  {
    what: 'unreadable',
    state: 'broken',
    begin: sql(
      `ALTER TABLE a DROP FOREIGN KEY a_ibfk_1; SET FOREIGN_KEY_CHECKS = 0; ALTER TABLE a DISCARD TABLESPACE; SET FOREIGN_KEY_CHECKS = 1`,
    ),
    end: sql(`SET FOREIGN_KEY_CHECKS = 0; DROP TABLE a; SET FOREIGN_KEY_CHECKS = 1;
      CREATE TABLE a (id INT PRIMARY KEY, fid INT, FOREIGN KEY (fid) REFERENCES f (id) ON DELETE CASCADE) ENGINE=InnoDB; INSERT INTO a SELECT id, id FROM f`),
  },
]

async function copies(installation: Installation): Promise<unknown> {
  return installation.rows('SELECT table_name, copy_no FROM mylab_sync.sync_progress ORDER BY 1')
}

async function problems(installation: Installation): Promise<Record<string, string | null>> {
  return Object.fromEntries((await status(installation.context)).tables.map(({ table, problem }) => [table, problem]))
}

for (const { what, state, begin, end } of SCENES)
  test(`a live action chain whose middle is ${what} stops with reasons and recovers`, async () => {
    await using copied = await createInstallation(servers, `chain_${what}`, { schema: CHAIN, copied: true })
    const at = await begin(copied)
    await at.app.query('UPDATE lone SET v = v + 1; UPDATE f SET v = v + 1')
    await settle(at)
    await settle(at)
    const before = { copies: await copies(at), states: await states(at), problems: await problems(at) }
    assert.equal(before.states['a'], state)
    for (const table of ['b', 'c']) {
      assert.ok(['refused', 'suspect'].includes(before.states[table] ?? ''), `${table} is ${before.states[table]}`)
      assert.match(before.problems[table] ?? '', /table [ab]|elsewhere|does not exist/)
    }
    await at.app.query('UPDATE lone SET v = v + 1; UPDATE c SET bid = NULL WHERE id = 3')
    await settle(at)
    assert.deepEqual(
      { copies: await copies(at), states: await states(at), problems: await problems(at) },
      before,
      'nothing goes round',
    )
    await assertEqual(at, ['f', 'lone'])
    const back = await end(at)
    if (state === 'broken') await copyAll(back.context, ['a'])
    await settle(back)
    await settle(back)
    assert.deepEqual(await states(back), LIVE)
    await assertEqual(back, ['a', 'b', 'c', 'f', 'lone'])
  })

test('plan lists each table of a chain once, live or refused', async () => {
  await using copied = await createInstallation(servers, 'chain_plan', { schema: CHAIN, copied: true })
  const at = await excluding(['a'])(copied)
  const { tables, refused, captureOnly } = await plan(at.context, [])
  assert.deepEqual(tables.map(({ table }) => table).sort(), ['f', 'lone'])
  assert.deepEqual(refused.map(({ table }) => table).sort(), ['b', 'c'])
  assert.deepEqual(captureOnly, [])
})
