import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { drain, type EngineContext, loadModel } from '@mylab-sync/engine'
import type { ServerSet } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import { copyAll, createInstallation, type Installation } from '../support/installation.js'
import { watched } from '../support/moments.js'

/**
 * What random writers hit once in thousands of drains, as scenes: each shows that a rule of the opening is needed,
 * by the same comparison with the rule and without it.
 */
export interface Scene {
  /** The mutant's name. */
  readonly rule: string
  readonly schema: string
  readonly tables: readonly string[]
  /** What happens at the named point, once; a drain follows it there. */
  readonly at: 'chunk:read' | 'catch-up:reading' | 'catch-up:applied'
  readonly statements: string
  /** Parked after the first chunk, so that there is something to catch up on. */
  readonly before?: string
  /** Between the first catch-up slice's parked keys and its snapshot. */
  readonly begun?: string
}

/** Chunks are taken in the order of the names: a grandchild, its parent, its grandparent. */
const GRANDCHILD_FIRST = `
  CREATE TABLE c_top (id INT PRIMARY KEY) ENGINE=InnoDB;
  CREATE TABLE b_middle (id INT PRIMARY KEY, top INT, FOREIGN KEY (top) REFERENCES c_top (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE a_low (id INT PRIMARY KEY, middle INT, FOREIGN KEY (middle) REFERENCES b_middle (id) ON DELETE CASCADE) ENGINE=InnoDB;
  INSERT INTO c_top VALUES (1), (2); INSERT INTO b_middle VALUES (1, 1), (2, 2); INSERT INTO a_low VALUES (1, 1), (2, 2)`
const KEYS_CASCADE_TWICE = `
  CREATE TABLE c_top (id INT PRIMARY KEY) ENGINE=InnoDB;
  CREATE TABLE b_middle (top INT, x INT, PRIMARY KEY (top, x), FOREIGN KEY (top) REFERENCES c_top (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
  CREATE TABLE a_low (id INT PRIMARY KEY, top INT, x INT, v INT, FOREIGN KEY (top, x) REFERENCES b_middle (top, x) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
  INSERT INTO c_top VALUES (1), (2); INSERT INTO b_middle VALUES (1, 1), (2, 2); INSERT INTO a_low VALUES (1, 1, 1, 0), (2, 2, 2, 0)`
const ONE_TABLE =
  'CREATE TABLE a_low (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a_low VALUES (1, 1), (2, 2)'

export const SCENES: readonly Scene[] = [
  {
    rule: 'orphan-scan',
    schema: GRANDCHILD_FIRST,
    tables: ['a_low', 'b_middle', 'c_top'],
    at: 'chunk:read',
    statements: 'DELETE FROM c_top WHERE id = 1',
  },
  {
    // A slice reads the low row under a middle row's new key, which no image of the middle row ever has.
    rule: 'orphan-scan',
    schema: KEYS_CASCADE_TWICE,
    tables: ['a_low', 'b_middle', 'c_top'],
    before: 'UPDATE a_low SET v = 1 WHERE id = 1',
    begun: 'UPDATE c_top SET id = 49 WHERE id = 1',
    at: 'catch-up:applied',
    statements: 'DELETE FROM c_top WHERE id = 49',
  },
  {
    // Between a snapshot that was opened too early and the read of the keys.
    rule: 'parked-before-snapshot',
    schema: ONE_TABLE,
    tables: ['a_low'],
    before: 'UPDATE a_low SET v = 10 WHERE id = 1',
    at: 'catch-up:reading',
    statements: 'UPDATE a_low SET v = 20 WHERE id = 2',
  },
  {
    rule: 'parked-per-drain',
    schema: ONE_TABLE,
    tables: ['a_low'],
    before: 'UPDATE a_low SET v = 10 WHERE id = 1',
    at: 'catch-up:applied',
    statements: 'UPDATE a_low SET v = 30 WHERE id = 1',
  },
]

const WAITING = { waitMs: 30_000 }

/** Plays the scene and compares every row of both sides. */
export async function isEqualAfter(servers: ServerSet, scene: Scene, name: string): Promise<boolean> {
  await using installation = await createInstallation(servers, name)
  const played = new Set<string>()
  const play = async (statements: string | undefined): Promise<boolean> => {
    if (!statements || played.has(statements)) return false
    played.add(statements)
    await installation.app.query(statements)
    return true
  }
  const playAndDrain = async (statements: string | undefined): Promise<void> => {
    // One beside the copy may run just then, with a snapshot that is older than these statements.
    if (await play(statements)) await drain(installation.context, await loadModel(installation.context), WAITING)
  }
  const context: EngineContext = {
    ...installation.context,
    options: { ...installation.context.options, copyConcurrency: 1 },
    limits: { lastSliceKeys: 0, catchUpKeys: 10 },
  }
  const playing = watched(watched(context, { [scene.at]: () => playAndDrain(scene.statements) }), {
    'chunk:read': () => playAndDrain(scene.before),
    'catch-up:begun': () => play(scene.begun),
  })
  await installation.app.query(scene.schema)
  // drains inside the scene play nothing
  Object.assign(installation, { context })
  await copyAll(playing)
  await drain(installation.context, await loadModel(installation.context))
  assert.ok(played.has(scene.statements), 'the scene was played')
  return await isEqual(installation, scene.tables)
}

async function isEqual(installation: Installation, tables: readonly string[]): Promise<boolean> {
  for (const table of tables) {
    const query = `SELECT * FROM ${table} ORDER BY 1`
    if (!isDeepStrictEqual(await installation.rows(query), await textRows(installation.app, query))) return false
  }
  return true
}
