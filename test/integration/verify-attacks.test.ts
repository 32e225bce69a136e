import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { importMutant } from '../support/mutants.js'
import { playScenes, type Scene, SCENES } from './verify-scenes.js'

const servers = await sharedServers()

const TRUE = ['m 2,1 missing ']

test('only what was spoilt is reported, whatever changes between the snapshots', async () => {
  const reported = await playScenes(servers, 'verify_scenes')
  for (const scene of Object.keys(SCENES)) assert.deepEqual(reported[scene], TRUE, scene)
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
