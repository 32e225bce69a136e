import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ALL_RULES, drain, type EngineContext, loadModel, type ProtocolRules } from '@mylab-sync/engine'
import { isDeepStrictEqual } from 'node:util'
import { sharedServers } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import { copyAll, createInstallation, type Installation } from '../support/installation.js'
import { watched } from '../support/moments.js'

/**
 * What random writers hit once in thousands of drains, as scenes: each shows that a rule of the opening is needed,
 * by the same comparison with the rule and without it.
 */
interface Scene {
  readonly rule: keyof ProtocolRules
  readonly schema: string
  readonly tables: readonly string[]
  /** What happens at the named point, once; a drain follows it there. */
  readonly at: 'chunk:read' | 'catch-up:begun' | 'catch-up:applied'
  readonly statements: string
  /** What has to be parked before, so that there is something to catch up: after the first chunk. */
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

const SCENES: readonly Scene[] = [
  {
    rule: 'orphanScan',
    schema: GRANDCHILD_FIRST,
    tables: ['a_low', 'b_middle', 'c_top'],
    at: 'chunk:read',
    statements: 'DELETE FROM c_top WHERE id = 1',
  },
  {
    // A slice reads the low row under a middle row's new key, which no image of the middle row ever has.
    rule: 'orphanScan',
    schema: KEYS_CASCADE_TWICE,
    tables: ['a_low', 'b_middle', 'c_top'],
    before: 'UPDATE a_low SET v = 1 WHERE id = 1',
    begun: 'UPDATE c_top SET id = 49 WHERE id = 1',
    at: 'catch-up:applied',
    statements: 'DELETE FROM c_top WHERE id = 49',
  },
  {
    rule: 'parkedBeforeSnapshot',
    schema: ONE_TABLE,
    tables: ['a_low'],
    before: 'UPDATE a_low SET v = 10 WHERE id = 1',
    at: 'catch-up:begun',
    statements: 'UPDATE a_low SET v = 20 WHERE id = 2',
  },
  {
    rule: 'parkedPerDrain',
    schema: ONE_TABLE,
    tables: ['a_low'],
    before: 'UPDATE a_low SET v = 10 WHERE id = 1',
    at: 'catch-up:applied',
    statements: 'UPDATE a_low SET v = 30 WHERE id = 1',
  },
]

const servers = await sharedServers()

/** Plays the scene and compares every row of both sides. */
async function isEqualAfter(scene: Scene, rules: ProtocolRules): Promise<boolean> {
  const name = `scene_${SCENES.indexOf(scene)}_${rules[scene.rule] ? 'with' : 'without'}`
  await using installation = await createInstallation(servers, name)
  const played = new Set<string>()
  const play = async (statements: string | undefined): Promise<boolean> => {
    if (!statements || played.has(statements)) return false
    played.add(statements)
    await installation.app.query(statements)
    return true
  }
  const playAndDrain = async (statements: string | undefined): Promise<void> => {
    // The drain beside the copy may be running, in a snapshot from before these statements.
    if (await play(statements))
      await drain(installation.context, await loadModel(installation.context), { waitMs: 20_000 })
  }
  const context: EngineContext = {
    ...installation.context,
    options: { ...installation.context.options, copyConcurrency: 1 },
    limits: { lastSliceKeys: 0, catchUpKeys: 10 },
    rules,
  }
  const playing = watched(watched(context, { [scene.at]: () => playAndDrain(scene.statements) }), {
    'chunk:read': () => playAndDrain(scene.before),
    'catch-up:begun': () => play(scene.begun),
  })
  await installation.app.query(scene.schema)
  // drains inside the scene go by the same rules, and play nothing
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

for (const scene of SCENES) {
  test(`the opening needs ${scene.rule}: ${scene.statements}`, async () => {
    assert.equal(await isEqualAfter(scene, ALL_RULES), true)
    assert.equal(await isEqualAfter(scene, { ...ALL_RULES, [scene.rule]: false }), false)
  })
}
