import { ServerSet } from '@mylab-sync/testkit'
import { assertBounded, copyManyChunks } from '../support/many-chunks.js'

const CHUNKS = Number(process.env['BENCH_CHUNKS'] ?? 10_000)

/** What a great number of chunks leaves in Redis, and what passing them through it costs. */
export async function redis(): Promise<readonly object[]> {
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres', 'redis'] })
  try {
    const figures = await copyManyChunks(servers, 'bench_redis', CHUNKS)
    assertBounded(figures)
    return [{ ...figures, chunksASecond: Math.round(figures.chunks / figures.copySeconds) }]
  } finally {
    await servers.close()
  }
}
