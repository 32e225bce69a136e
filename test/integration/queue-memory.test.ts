import { after, before, test } from 'node:test'
import { ServerSet } from '@mylab-sync/testkit'
import { assertBounded, copyManyChunks } from '../support/many-chunks.js'

/** `npm run bench -- redis` is the long form, of 10,000. */
const CHUNKS = 1_000

let servers: ServerSet
before(async () => {
  servers = await ServerSet.start({ services: ['mariadb', 'postgres', 'redis'] })
})
after(() => servers.close())

test('a copy of very many chunks leaves a bounded trace in Redis, in chunks as small as initial was told', async (t) => {
  const figures = await copyManyChunks(servers, 'queue_memory', CHUNKS)
  t.diagnostic(JSON.stringify(figures))
  assertBounded(figures)
})
