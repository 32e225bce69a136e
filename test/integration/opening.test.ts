import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { importMutant } from '../support/mutants.js'
import { isEqualAfter, SCENES } from './opening-scenes.js'

const servers = await sharedServers()
const SCENES_MODULE = import.meta.resolve('./opening-scenes.js')

for (const [number, scene] of SCENES.entries()) {
  test(`the opening needs ${scene.rule}: ${scene.statements}`, async () => {
    assert.equal(await isEqualAfter(servers, scene, `scene_${number}_with`), true)
    const without = await importMutant<typeof import('./opening-scenes.js')>(scene.rule, SCENES_MODULE)
    assert.equal(await without.isEqualAfter(servers, scene, `scene_${number}_without`), false)
  })
}
