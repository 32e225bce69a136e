import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { drain, type EngineContext, loadModel } from '@mylab-sync/engine'
import type { ServerSet } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import { copyAll, createInstallation, drainNow, type Installation } from '../support/installation.js'
import { watched } from '../support/moments.js'

/**
 * A slice reads a child under a value that its parent gets in a later slice, or never: the value comes and goes between
 * two of the backlog's snapshots. The constraint that would reveal it is suspended, since the application has an orphan.
 */
export interface Scene {
  readonly what: string
  readonly schema: string
  readonly orphan: string
  /** The child's entry comes first, so its slice does too. */
  readonly pending: string
  /** Between the first snapshot and the second. */
  readonly between: string
}

export const SCENES: readonly Scene[] = [
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

/** Slices of one entry, each with a snapshot of its own; the statements come between the first and the second. */
export function inSlices({ app, context }: Installation, statements: string): EngineContext {
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

export async function isRight(servers: ServerSet, scene: Scene, name: string): Promise<boolean> {
  await using installation = await createInstallation(servers, name)
  await installation.app.query(scene.schema)
  await copyAll(installation.context)
  await installation.app.query(`SET FOREIGN_KEY_CHECKS = 0; ${scene.orphan}; SET FOREIGN_KEY_CHECKS = 1`)
  await drainNow(installation)
  await installation.app.query(scene.pending)
  const context = inSlices(installation, scene.between)
  const report = await drain(context, await loadModel(context))
  assert.ok(report.kind === 'done' && report.slices > 2, 'the backlog took several slices')
  const query = 'SELECT * FROM child ORDER BY id'
  return isDeepStrictEqual(await installation.rows(query), await textRows(installation.app, query))
}
