import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { ALL_RULES, drain, type DrainReport, type EngineContext, loadModel } from '@mylab-sync/engine'
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
import { watched } from '../support/moments.js'

/**
 * A slice reads a child under a value that its parent gets in a later slice, or never: the value comes and goes between
 * two of the backlog's snapshots. The constraint that would tell is suspended, since the application has an orphan.
 */
interface Scene {
  readonly what: string
  readonly schema: string
  readonly orphan: string
  /** The child's entry comes first, so its slice does too. */
  readonly pending: string
  /** Between the first snapshot and the second. */
  readonly between: string
}

const SCENES: readonly Scene[] = [
  {
    what: 'a key that cascades twice',
    schema: `
      CREATE TABLE parent (id INT PRIMARY KEY) ENGINE=InnoDB;
      CREATE TABLE middle (parent INT, x INT, PRIMARY KEY (parent, x), FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
      CREATE TABLE child (id INT PRIMARY KEY, parent INT, x INT, v INT, FOREIGN KEY (parent, x) REFERENCES middle (parent, x) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
      INSERT INTO parent VALUES (1); INSERT INTO middle VALUES (1, 1); INSERT INTO child VALUES (1, 1, 1, 0)`,
    orphan: 'INSERT INTO child VALUES (9, 9, 9, 9)',
    pending: 'UPDATE child SET v = 1 WHERE id = 1; UPDATE parent SET id = 2 WHERE id = 1',
    between: 'DELETE FROM parent WHERE id = 2',
  },
  {
    what: 'a referenced column outside the key',
    schema: `
      CREATE TABLE parent (id INT PRIMARY KEY, code INT UNIQUE) ENGINE=InnoDB;
      CREATE TABLE child (id INT PRIMARY KEY, code INT, v INT, FOREIGN KEY (code) REFERENCES parent (code) ON DELETE SET NULL ON UPDATE CASCADE) ENGINE=InnoDB;
      INSERT INTO parent VALUES (1, 1); INSERT INTO child VALUES (1, 1, 0)`,
    orphan: 'INSERT INTO child VALUES (9, 9, 9)',
    pending: 'UPDATE child SET v = 1 WHERE id = 1; UPDATE parent SET code = 2 WHERE id = 1',
    between: 'DELETE FROM parent WHERE id = 1',
  },
]

const servers = await sharedServers()

/** Slices of one entry, each with a snapshot of its own; the statements come between the first and the second. */
function inSlices({ app, context }: Installation, statements: string): EngineContext {
  let played = false
  return {
    ...watched(context, {
      'drain:closed': async () => {
        if (played) return
        played = true
        await app.query(statements)
      },
    }),
    limits: { sliceEntries: 1, snapshotMs: 0 },
  }
}

async function isRight(scene: Scene, orphanScan: boolean): Promise<boolean> {
  await using installation = await createInstallation(
    servers,
    `backlog_${SCENES.indexOf(scene)}_${orphanScan ? 'with' : 'without'}`,
  )
  await installation.app.query(scene.schema)
  await copyAll(installation.context)
  await installation.app.query(`SET FOREIGN_KEY_CHECKS = 0; ${scene.orphan}; SET FOREIGN_KEY_CHECKS = 1`)
  await drainNow(installation)
  await installation.app.query(scene.pending)
  const context = { ...inSlices(installation, scene.between), rules: { ...ALL_RULES, orphanScan } }
  const report = await drain(context, await loadModel(context))
  assert.ok(report.kind === 'done' && report.slices > 2, 'the backlog took several slices')
  const query = 'SELECT * FROM child ORDER BY id'
  return isDeepStrictEqual(await installation.rows(query), await textRows(installation.app, query))
}

for (const scene of SCENES) {
  test(`a backlog needs the orphan scan to be right: ${scene.what}`, async () => {
    assert.equal(await isRight(scene, true), true)
    assert.equal(await isRight(scene, false), false)
  })
}

/** Two entries of a table of its own, so that the backlog has two snapshots; what happens between them has no entry. */
async function backlogAround(installation: Installation, statements: string): Promise<DrainReport> {
  await installation.app.query(`
    CREATE TABLE busy (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
    CREATE TABLE still (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
    INSERT INTO busy VALUES (1, 0), (2, 0); INSERT INTO still VALUES (1, 1), (2, 2)`)
  await copyAll(installation.context)
  await installation.app.query('UPDATE busy SET v = 1')
  return await drain(inSlices(installation, statements), await loadModel(installation.context))
}

test('a table emptied between two backlog snapshots is not live at commit, but heals', async () => {
  await using installation = await createInstallation(servers, 'backlog_truncate')
  const report = await backlogAround(installation, 'TRUNCATE still; INSERT INTO still VALUES (3, 3)')
  assert.ok(report.kind === 'done')
  assert.deepEqual(
    report.setAside.map(({ table }) => table),
    ['still'],
  )
  assert.deepEqual(await states(installation), { busy: 'live', still: 'suspect' })
  await assertEqual(installation, ['busy'])
  await settle(installation)
  assert.deepEqual(await states(installation), { busy: 'live', still: 'live' })
  await assertEqual(installation, ['busy', 'still'])
})

test('a table dropped between two snapshots of a backlog is gone', async () => {
  await using installation = await createInstallation(servers, 'backlog_drop')
  await backlogAround(installation, 'DROP TABLE still')
  await settle(installation)
  assert.deepEqual(await states(installation), { busy: 'live', still: 'gone' })
})
