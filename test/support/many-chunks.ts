import assert from 'node:assert/strict'
import { eventually, type ServerSet } from '@mylab-sync/testkit'
import { Redis } from 'ioredis'
import { contentOf, textRows } from './content.js'
import { nap } from './fleet.js'
import { Cli } from './processes.js'

const ROWS_A_CHUNK = 5
const LOOK_MS = 50
const LIVE_MS = 600_000

export interface ManyChunks {
  readonly chunks: number
  /** Time from the first job to the last commit; `liveSeconds` until the table is live. */
  readonly copySeconds: number
  readonly liveSeconds: number
  /** Memory that Redis reports as used, in bytes. */
  readonly usedBefore: number
  readonly usedAfter: number
  readonly usedPeak: number
  /** Completed and failed jobs that are still kept; `commandsAChunk`: commands sent to Redis per chunk. */
  readonly jobsKept: number
  readonly commandsAChunk: number
  /** Share of the copy's time in which no chunk waited for a worker, so that workers may have been idle. */
  readonly idlePercent: number
}

const MOST_GROWTH = 2 << 20
/** Each queue keeps 200 completed and 500 failed jobs; of both, the excess is removed a hundred at a time. */
const MOST_KEPT = 3 * (300 + 600)

/** Asserts bounds that hold for any number of chunks. */
export function assertBounded({ usedBefore, usedAfter, usedPeak, jobsKept }: ManyChunks): void {
  assert.ok(usedPeak - usedBefore < MOST_GROWTH, `grew by ${usedPeak - usedBefore} bytes`)
  assert.ok(usedAfter - usedBefore < MOST_GROWTH, `kept ${usedAfter - usedBefore} bytes`)
  assert.ok(jobsKept <= MOST_KEPT, `kept ${jobsKept} jobs`)
}

/** Copies one table of very many tiny chunks through Redis, with a scheduler and two workers. */
export async function copyManyChunks(servers: ServerSet, name: string, chunks: number): Promise<ManyChunks> {
  await servers.createDatabases({ source: name, target: name })
  const app = await servers.sourceAdmin(name)
  const reader = await servers.targetAdmin(name)
  const cli = new Cli({ ...servers.environment({ source: name, target: name }), SYNC_QUEUE_PREFIX: `{${name}}` })
  const redis = new Redis(servers.redisUrl)
  try {
    await app.query(`CREATE TABLE a (id INT PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB;
      INSERT INTO a SELECT seq, seq FROM seq_1_to_${chunks * ROWS_A_CHUNK}; ANALYZE TABLE a`)
    const asked = await cli.run(['initial', '--create-tables', '--detach', '--batch', String(ROWS_A_CHUNK)])
    assert.equal(asked.code, 0, asked.err)
    cli.start(['scheduler'])
    const workers = [cli.start(['worker']), cli.start(['worker'])]
    const began = async (): Promise<boolean> => (await textRows(reader, CHUNKS))[0]?.[0] !== '0'
    await eventually('a chunk is planned', began, LIVE_MS)
    const before = { at: performance.now(), ...(await usage(redis)) }
    let [usedPeak, copySeconds, looks, idle] = [before.used, 0, 0, 0]
    for (let live = false; !live; await nap(LOOK_MS)) {
      usedPeak = Math.max(usedPeak, (await usage(redis)).used)
      const [[state, open] = []] = await textRows(reader, PROGRESS)
      if (copySeconds === 0 && open === '0') copySeconds = secondsSince(before.at)
      if (copySeconds === 0 && (await redis.llen(`{${name}}:copy:wait`)) === 0) idle++
      if (copySeconds === 0) looks++
      live = state === 'live'
      assert.ok(performance.now() - before.at < LIVE_MS, `not live: ${workers.map((worker) => worker.said).join()}`)
    }
    const liveSeconds = secondsSince(before.at)
    const after = await usage(redis)
    // One more: the last chunk has no upper bound.
    assert.equal(Number((await textRows(reader, CHUNKS))[0]?.[0]), chunks + 1)
    assert.equal(await contentOf(reader, 'a'), await contentOf(app, 'a'))
    return {
      chunks,
      copySeconds,
      liveSeconds,
      usedBefore: before.used,
      usedAfter: after.used,
      usedPeak,
      jobsKept: await jobsKept(redis, `{${name}}`),
      idlePercent: Math.round((100 * idle) / Math.max(1, looks)),
      commandsAChunk: Math.round((after.commands - before.commands) / chunks),
    }
  } finally {
    await cli.close()
    await redis.quit()
    await reader.end()
    await app.end()
  }
}

const CHUNKS = "SELECT count(*) FROM mylab_sync.sync_chunk WHERE table_name = 'a'"
/** The table's state, and how much is left to copy. */
const PROGRESS = `SELECT state, (NOT planned)::int + (SELECT count(*) FROM mylab_sync.sync_chunk WHERE state = 'open')
  FROM mylab_sync.sync_progress WHERE table_name = 'a'`

const secondsSince = (at: number): number => Math.round((performance.now() - at) / 10) / 100

async function usage(redis: Redis): Promise<{ used: number; commands: number }> {
  const info = await redis.info('everything')
  const figure = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1])
  return { used: figure('used_memory'), commands: figure('total_commands_processed') }
}

async function jobsKept(redis: Redis, prefix: string): Promise<number> {
  const lists = ['copy', 'drain', 'control'].flatMap((queue) => [`${queue}:completed`, `${queue}:failed`])
  const sizes = await Promise.all(lists.map((list) => redis.zcard(`${prefix}:${list}`)))
  return sizes.reduce((sum, size) => sum + size, 0)
}
