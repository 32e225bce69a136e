import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { createInstallation } from '../support/installation.js'
import { importMutant } from '../support/mutants.js'
import { reported, SCHEMA, SPOIL } from './digest-scenes.js'

const NAME = 'digest_mutants'
const servers = await sharedServers()
const MODULE = import.meta.resolve('./digest-scenes.js')

const ALL = [
  'another 1 different z',
  'bare 1 missing 1 surplus',
  'crossed 1 different a,b',
  'emptied 1 different t',
  'lacking 1 missing ',
  'shown 1 different f',
  'swapped 1 different v',
  'swapped 2 different v',
]

/** Tables whose difference a digest of this kind does not show. */
const MISSED: Readonly<Record<string, readonly string[]>> = {
  'digest-association': ['crossed', 'swapped'],
  'digest-column': ['another'],
  'digest-count': ['another', 'bare', 'crossed', 'emptied', 'swapped'],
  'digest-null': ['emptied'],
  'digest-undigested': ['shown'],
}

test('each kind of difference is found, and missed by digests that lack the rule', async () => {
  await using installation = await createInstallation(servers, NAME, { schema: SCHEMA, copied: true })
  assert.deepEqual(await reported(servers, NAME), [])
  await installation.reader.query(SPOIL)
  assert.deepEqual(await reported(servers, NAME), ALL)
  for (const [rule, missed] of Object.entries(MISSED)) {
    const mutant = await importMutant<typeof import('./digest-scenes.js')>(rule, MODULE)
    const found = ALL.filter((each) => !missed.some((table) => each.startsWith(`${table} `)))
    assert.deepEqual(await mutant.reported(servers, NAME), found, rule)
  }
})
