import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { assertBounded, copyManyChunks } from '../support/many-chunks.js'

/** `npm run bench -- redis` is the long form, of 10,000. */
const CHUNKS = 1_000

const servers = await sharedServers({ services: ['mariadb', 'postgres', 'redis'] })

test('a copy of many chunks, as small as requested, leaves a bounded trace in Redis', async (t) => {
  const figures = await copyManyChunks(servers, 'queue_memory', CHUNKS)
  t.diagnostic(JSON.stringify(figures))
  assertBounded(figures)
})
