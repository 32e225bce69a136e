import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_DRAIN } from '@mylab-sync/core'
import { verify } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { createInstallation } from '../support/installation.js'
import { intercept } from '../support/intercept.js'
import { importMutant } from '../support/mutants.js'
import { playScenes, reportedKeys, type Scene, SCENES } from './verify-scenes.js'

const servers = await sharedServers()

const TRUE = ['m 2,1 missing ']

test('only what was spoilt is reported, whatever changes between the snapshots', async () => {
  const reported = await playScenes(servers, 'verify_scenes')
  for (const scene of Object.keys(SCENES)) assert.deepEqual(reported[scene], TRUE, scene)
})

const ALIKE = `
  CREATE TABLE ci (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE padded (k CHAR(20) CHARACTER SET latin1 COLLATE latin1_bin PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE numbers (k DECIMAL(6,2) PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE pairs (n INT, k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, PRIMARY KEY (n, k)) ENGINE=InnoDB;
  INSERT INTO ci VALUES ('alpha', 1), ('beta', 2), ('caf\u00e9', 3), ('pad', 4);
  INSERT INTO padded VALUES ('a', 1), ('b', 2); INSERT INTO numbers VALUES (1.5, 1), (2.5, 2); INSERT INTO pairs VALUES (1, 'x'), (2, 'y')`
const hex = (text: string): string => Buffer.from(text).toString('hex').toUpperCase()
const LIKE_DIRTY: readonly (readonly [table: string, key: string])[] = [
  ['ci', hex('BETA')],
  ['ci', hex('cafe')],
  ['ci', hex('pad ')],
  ['padded', hex('b ')],
  ['numbers', '2.5'],
  ['pairs', `2,${hex('Y')}`],
]

test('a dirty key hides no row whose key the source only equates with it', async () => {
  await using installation = await createInstallation(servers, 'verify_alike', { schema: ALIKE, copied: true })
  await installation.reader.query(
    "DELETE FROM ci WHERE k <> 'alpha'; DELETE FROM padded WHERE v = 2; DELETE FROM numbers WHERE v = 2; DELETE FROM pairs WHERE n = 2",
  )
  // A drain would carry the rows that it finds by such keys: another process makes them dirty after the moment's own.
  const park = async (): Promise<void> => {
    await using target = await installation.target.begin()
    await target.parked.park(LIKE_DIRTY.map(([table, key]) => ({ table, key, drain: NO_DRAIN, start: true })))
    await target.commit()
  }
  const context = intercept(installation.context, async ({ point }) => {
    if (point === 'target.beginSnapshot:before') await park()
  })
  assert.deepEqual(reportedKeys(await verify(context, { tables: [] })), [
    'ci beta missing ',
    'ci caf\u00e9 missing ',
    'ci pad missing ',
    'numbers 2.50 missing ',
    'padded b missing ',
    'pairs 2,y missing ',
  ])
})

/** What a pass without the rule reports falsely. */
const FALSELY: readonly { readonly rule: string; readonly scene: Scene; readonly reported: readonly string[] }[] = [
  {
    rule: 'verify-before-snapshot',
    scene: 'a row changes after the drain',
    reported: ['a 2 different v', ...TRUE],
  },
  {
    rule: 'verify-carried-keys',
    scene: 'a row changes between the two snapshots of the source',
    reported: ['a 1 different v', ...TRUE],
  },
  {
    rule: 'verify-later-drains',
    scene: 'another process drains before the target is looked at',
    reported: ['a 3 different v', 'a 4 different v', ...TRUE],
  },
  {
    rule: 'transient-keys',
    scene: 'cascades give a row a key for a while',
    reported: [...TRUE, 'm 50,1 missing '],
  },
]
const MODULE = import.meta.resolve('./verify-scenes.js')

for (const { rule, scene, reported } of FALSELY) {
  test(`without ${rule} verification reports what is no difference`, async () => {
    const mutant = await importMutant<typeof import('./verify-scenes.js')>(rule, MODULE)
    const found = await mutant.playScenes(servers, rule.replaceAll('-', '_'))
    assert.deepEqual(found[scene], reported)
  })
}
