import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { afterEach, test } from 'node:test'
import type { SyncError } from '@mylab-sync/core'
import { eventually, shared, sharedServers } from '@mylab-sync/testkit'
import { Redis } from 'ioredis'
import { checkRedis } from './connection.js'
import { Consumer, type Handlers, type Work } from './consumer.js'
import { type JobOf, QUEUE_NAMES } from './jobs.js'
import { Producer } from './producer.js'

const WAIT_MS = 15_000

const closers: (() => Promise<unknown>)[] = []
const servers = await sharedServers({
  services: ['redis'],
  extraArguments: { redis: ['--enable-protected-configs', 'yes'] },
})
const redis = await shared(new Redis(servers.redisUrl), (connection) => connection.disconnect())
redis.on('error', () => {})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await redis.flushall()
})

const settings = (prefix = '{test}') => ({ redisUrl: servers.redisUrl, prefix })

async function producer(prefix?: string): Promise<Producer> {
  const opened = await Producer.open(settings(prefix))
  closers.push(() => opened.close())
  return opened
}

const idle: Handlers = {
  copy: () => Promise.resolve(),
  drain: () => Promise.resolve(),
  control: () => Promise.resolve(),
}

/** Serves the queues that have a handler. */
function consumer(handlers: Partial<Handlers>, concurrency = 1, problems: string[] = []): Consumer {
  const made = new Consumer({
    settings: settings(),
    handlers: { ...idle, ...handlers },
    concurrency: new Map(QUEUE_NAMES.filter((name) => name in handlers).map((name) => [name, concurrency])),
    onProblem: (queue, error) => problems.push(`${queue}: ${error instanceof Error ? error.message : String(error)}`),
  })
  closers.push(() => made.close(1_000))
  return made
}

const chunk = (number: number): JobOf<'copy'> => ({ kind: 'copy-chunk', table: 't', chunk: number })
const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

test('the same work is queued once, again after it ended, and prefixes never collide', async () => {
  const [one, other] = [await producer(), await producer('{other}')]
  const [first] = await one.add('copy', [chunk(1)])
  assert.deepEqual(await one.add('copy', [chunk(1)]), [first])
  assert.equal(await one.waiting('copy'), 1)
  assert.equal(await other.waiting('copy'), 0)
  const done: number[] = []
  const problems: string[] = []
  const copy = (job: JobOf<'copy'>): Promise<void> => {
    if (job.kind === 'copy-chunk') done.push(job.chunk)
    return Promise.resolve()
  }
  consumer({ copy }, 1, problems)
  await eventually('the chunk is copied', () => done.length === 1, WAIT_MS)
  await eventually(
    'it can be asked for again',
    async () => (await one.add('copy', [chunk(1)])) && done.length >= 2,
    WAIT_MS,
  )
  // A payload that fits no schema fails for good at once, and does not block the next job.
  await redis.flushall()
  await one.add('copy', [{ kind: 'copy-chunk', table: '', chunk: 9 }])
  await eventually(
    'it is refused',
    () => problems.some((problem) => problem.endsWith('is not a job of the queue copy')),
    WAIT_MS,
  )
  await one.add('copy', [chunk(10)])
  await eventually('the next one is done', () => done.includes(10), WAIT_MS)
})

test('one drain runs at a time, and one requested meanwhile runs after it', async () => {
  const jobs = await producer()
  let [running, most, runs] = [0, 0, 0]
  let release = (): void => {}
  const drain = async (): Promise<void> => {
    runs++
    most = Math.max(most, ++running)
    await new Promise<void>((resolve) => (release = resolve))
    running--
  }
  consumer({ drain }, 4)
  await jobs.add('drain', [{ kind: 'drain' }])
  await eventually('it runs', () => runs === 1, WAIT_MS)
  for (let add = 0; add < 20; add++) await jobs.add('drain', [{ kind: 'drain' }])
  release()
  await eventually('the one asked for meanwhile runs', () => runs === 2, WAIT_MS)
  release()
  await eventually('nothing runs', () => running === 0, WAIT_MS)
  assert.equal(most, 1)
})

test('failed work is retried later, and Redis keeps no driver text', async () => {
  const jobs = await producer()
  const problems: string[] = []
  let tries = 0
  const control = (): Promise<void> => {
    if (++tries < 3) throw new TypeError('duplicate key value (42, secret)')
    return Promise.resolve()
  }
  consumer({ control }, 1, problems)
  const [id] = await jobs.add('control', [{ kind: 'maintain' }])
  await eventually('the third try succeeds', () => tries === 3, WAIT_MS)
  assert.deepEqual(problems, Array(2).fill('control: duplicate key value (42, secret)'))
  const kept = await eventually(
    'it is finished',
    async () => {
      const job = await redis.hgetall(`{test}:control:${id}`)
      return job['finishedOn'] !== undefined && job
    },
    WAIT_MS,
  )
  assert.doesNotMatch(JSON.stringify(kept), /secret/)
})

test('a delay set by a host with a fast clock ends by the clock of the others', async (t) => {
  const jobs = await producer()
  let tries = 0
  const control = (): Promise<void> => {
    if (++tries < 2) throw new Error('fails once')
    return Promise.resolve()
  }
  const now = Date.now
  t.mock.method(Date, 'now', () => now() + 3_600_000)
  const ahead = consumer({ control })
  await jobs.add('control', [{ kind: 'maintain' }])
  const delayed = async (): Promise<number> =>
    (await jobs.counts()).reduce((sum, { state, jobs }) => sum + (state === 'delayed' ? jobs : 0), 0)
  await eventually('it is put off', async () => (await delayed()) === 1, WAIT_MS)
  await ahead.close(1_000)
  t.mock.restoreAll()
  consumer({ control })
  assert.equal(await jobs.promoteOverdue(), 1)
  await eventually('it is tried again', () => tries === 2, WAIT_MS)
  assert.equal(await jobs.promoteOverdue(), 0)
})

test('a lost lock cancels work, emptied queues take new jobs, workers are counted', async () => {
  const jobs = await producer()
  assert.deepEqual((await jobs.health()).workers, { copy: 0, drain: 0, control: 0 })
  let cancelled = 0
  let started = 0
  const drain = async (_: JobOf<'drain'>, work: Work): Promise<void> => {
    started++
    await aborted(work.signal)
    cancelled++
  }
  consumer({ drain })
  await eventually('the workers are known', async () => (await jobs.health()).workers.drain === 1, WAIT_MS)
  await jobs.add('drain', [{ kind: 'drain' }])
  await eventually('it runs', () => started === 1, WAIT_MS)
  await redis.flushall()
  await eventually('it is cancelled', () => cancelled === 1, WAIT_MS)
  await jobs.add('drain', [{ kind: 'drain' }])
  await eventually('the next one runs', () => started === 2, WAIT_MS)
})

test('closing lets work reach a safe point, even without Redis, until the deadline', async () => {
  const jobs = await producer()
  const seen: string[] = []
  const willing = consumer({
    control: async (_, work) => {
      seen.push('control')
      await aborted(work.yielding)
      seen.push('yields')
    },
  })
  await jobs.add('control', [{ kind: 'maintain' }])
  await eventually('it runs', () => seen.includes('control'), WAIT_MS)
  assert.equal(await willing.close(10_000), true)
  assert.deepEqual(seen, ['control', 'yields'])

  const away = consumer({ control: (_, work) => aborted(work.yielding) })
  const stubborn = consumer({
    copy: async (_, work) => {
      seen.push('copy')
      await aborted(work.signal)
      seen.push('cancelled')
    },
  })
  await jobs.add('copy', [chunk(1)])
  await eventually('the chunk runs', () => seen.includes('copy'), WAIT_MS)
  assert.equal(await stubborn.close(200), false)
  assert.equal(seen.at(-1), 'cancelled')
  await servers.kill('redis')
  const started = performance.now()
  await assert.rejects(jobs.add('copy', [chunk(2)]), { name: 'SyncError', code: 'lost-connection' })
  await assert.rejects(checkRedis(servers), { name: 'SyncError', code: 'cannot-connect' })
  await away.close(5_000)
  assert.ok(performance.now() - started < 10_000, 'closing waited for Redis')
  await servers.start('redis')
})

test('a Redis that may evict jobs is reported', async () => {
  assert.deepEqual(await checkRedis(servers), [])
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
  try {
    assert.match((await checkRedis(servers)).join(), /noeviction \(found allkeys-lru\)/)
  } finally {
    await redis.config('SET', 'maxmemory-policy', 'noeviction')
  }
})

test('ten thousand chunks leave a bounded trace in Redis', async () => {
  const jobs = await producer()
  let done = 0
  const copy = (): Promise<void> => {
    done++
    return Promise.resolve()
  }
  consumer({ copy }, 20)
  const used = async (): Promise<number> => Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1])
  const sizes: number[] = []
  for (let wave = 0; wave < 10; wave++) {
    await jobs.add(
      'copy',
      Array.from({ length: 1_000 }, (_, at) => chunk(wave * 1_000 + at + 1)),
    )
    await eventually('the wave is done', () => done === (wave + 1) * 1_000, WAIT_MS)
    sizes.push(await used())
  }
  const [first = 0, last = 0] = [sizes[0], sizes.at(-1)]
  process.stderr.write(`Redis after 1,000 chunks ${first} bytes, after 10,000 ${last} bytes\n`)
  assert.ok(last - first < 2 << 20, `grew by ${last - first} bytes`)
  assert.ok((await redis.zcard('{test}:copy:completed')) <= 1_200)
})

/** The line of the documents, as its fields. */
const [, ACL_LINE = ''] =
  /^ACL SETUSER (.*)$/m.exec(readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8')) ?? []

function urlOf(user: string, password: string): string {
  const url = new URL(servers.redisUrl)
  url.username = user
  url.password = password
  return url.href
}

test('the documented Redis rights suffice for everything, and nothing is denied', async () => {
  const [user = '', ...rules] = ACL_LINE.split(' ')
  await redis.acl('SETUSER', user, ...rules)
  closers.push(() => redis.acl('DELUSER', user))
  await redis.acl('LOG', 'RESET')
  const theirs = { redisUrl: urlOf(user, 'secret'), prefix: '{mylab-sync-default-0123456789ab}' }
  const problems: string[] = []
  const done: string[] = []
  await checkRedis(theirs)
  const puts = await Producer.open(theirs)
  closers.push(() => puts.close())
  let failures = 0
  const serves = new Consumer({
    settings: theirs,
    handlers: {
      copy: ({ kind }) => {
        if (failures++ === 0) return Promise.reject(new Error('the first attempt fails'))
        done.push(kind)
        return Promise.resolve()
      },
      drain: ({ kind }) => Promise.resolve(void done.push(kind)),
      control: ({ kind }) => Promise.resolve(void done.push(kind)),
    },
    concurrency: new Map(QUEUE_NAMES.map((name) => [name, 1])),
    onProblem: (queue, error) => problems.push(`${queue}: ${error instanceof Error ? error.message : String(error)}`),
  })
  closers.push(() => serves.close(1_000))
  await puts.add('copy', [chunk(1), { kind: 'plan-table', table: 't' }])
  await puts.add('drain', [{ kind: 'drain' }, { kind: 'drain' }])
  await puts.add('control', [{ kind: 'maintain' }])
  await puts.beatScheduler()
  await eventually('all jobs are done', () => done.length >= 4 && failures >= 3, WAIT_MS)
  await puts.promoteOverdue()
  await puts.counts()
  await puts.resume(QUEUE_NAMES)
  assert.deepEqual(await puts.health(), { workers: { copy: 1, drain: 1, control: 1 }, scheduler: true, held: [] })
  assert.ok(
    problems.every((problem) => problem === 'copy: the first attempt fails'),
    problems.join('; '),
  )
  assert.deepEqual(await redis.acl('LOG'), [])
})

test('a paused or limited queue is reported as such, and works again once resumed', async () => {
  const puts = await producer()
  const byName = (name: string) => puts.queues.find((queue) => queue.name === name)
  await byName('drain')?.pause()
  await byName('copy')?.setGlobalRateLimit(1, 60_000)
  await byName('control')?.setGlobalConcurrency(1)
  assert.deepEqual((await puts.health()).held, [
    { queue: 'copy', how: 'limited to 1 jobs in 60000 ms' },
    { queue: 'drain', how: 'paused' },
    { queue: 'control', how: 'limited to 1 jobs at once' },
  ])
  await puts.resume(QUEUE_NAMES)
  await byName('drain')?.rateLimit(50_000)
  assert.match((await puts.health()).held[0]?.how ?? '', /^held back for \d+ s$/)
  await puts.resume(['drain'])
  assert.deepEqual((await puts.health()).held, [])
})

/** What makes Redis refuse, and what ends that. */
const REFUSALS: readonly {
  /** How its answer begins. */
  readonly reply: string
  readonly code: string
  readonly says: RegExp
  readonly remedy: RegExp
  readonly before: readonly (readonly [string, ...string[]])[]
  readonly after: readonly (readonly [string, ...string[]])[]
}[] = [
  {
    reply: 'OOM',
    code: 'unavailable',
    says: /has used its maxmemory and takes no jobs \(OOM\)$/,
    remedy: /CONFIG SET maxmemory/,
    before: [['CONFIG', 'SET', 'maxmemory', '1']],
    after: [['CONFIG', 'SET', 'maxmemory', '0']],
  },
  {
    reply: 'WRONGTYPE',
    code: 'unavailable',
    says: /holds a key of the queues that is of another type \(WRONGTYPE\)$/,
    remedy: /SYNC_QUEUE_PREFIX/,
    before: [['SET', '{test}:drain:wait', 'x']],
    after: [],
  },
  {
    reply: 'READONLY',
    code: 'unavailable',
    says: /is a replica.* \((READONLY|MASTERDOWN)\)$/,
    remedy: /REDIS_URL/,
    before: [['REPLICAOF', '127.0.0.1', '1']],
    after: [['REPLICAOF', 'NO', 'ONE']],
  },
  {
    reply: 'NOREPLICAS',
    code: 'unavailable',
    says: /too few replicas to take writes \(NOREPLICAS\)$/,
    remedy: /min-replicas-to-write/,
    before: [['CONFIG', 'SET', 'min-replicas-to-write', '1']],
    after: [['CONFIG', 'SET', 'min-replicas-to-write', '0']],
  },
  {
    reply: 'MISCONF',
    code: 'unavailable',
    says: /cannot save to its disk and takes no writes until it can \(MISCONF\)$/,
    remedy: /free space on its disk/,
    // a folder has the name of the snapshot file
    before: [['CONFIG', 'SET', 'save', '3600 1'], ['CONFIG', 'SET', 'dbfilename', 'appendonlydir'], ['BGSAVE']],
    after: [
      ['CONFIG', 'SET', 'dbfilename', 'dump.rdb'],
      ['CONFIG', 'SET', 'save', ''],
    ],
  },
]

for (const { reply, code, says, remedy, before, after: ended } of REFUSALS)
  test(`a refusal by Redis is reported with cause and remedy: ${reply}`, async () => {
    const puts = await producer()
    try {
      for (const [name, ...args] of before) await redis.call(name, ...args)
      const error = await eventually(
        'it refuses',
        () =>
          puts.add('drain', [{ kind: 'drain' }]).then(
            () => false as const,
            (thrown: unknown) => thrown as SyncError,
          ),
        WAIT_MS,
      )
      assert.deepEqual(
        [error.code, says.test(error.message), remedy.test(error.remedy ?? '')],
        [code, true, true],
        `${error.message}: ${error.remedy}`,
      )
    } finally {
      for (const [name, ...args] of ended) await redis.call(name, ...args)
    }
  })

test('a missing password, a wrong one and a user without rights are told apart', async () => {
  await redis.acl('SETUSER', 'other', 'reset', 'on', '>pw', '~other', '+@all')
  await redis.acl('SETUSER', 'default', 'resetpass', '>master')
  closers.push(async () => {
    await redis.acl('SETUSER', 'default', 'nopass')
    await redis.acl('DELUSER', 'other')
  })
  const told = async (redisUrl: string): Promise<[string, string]> => {
    const error = await checkRedis({ redisUrl })
      .then(async () => {
        const puts = Producer.unopened({ redisUrl, prefix: '{test}' })
        closers.push(() => puts.close())
        return puts.add('drain', [{ kind: 'drain' }])
      })
      .then(
        () => assert.fail('it let us in'),
        (thrown: unknown) => thrown as SyncError,
      )
    return [error.code, /\((\w+)\)$/.exec(error.message)?.[1] ?? error.message]
  }
  assert.deepEqual(await told(servers.redisUrl), ['cannot-connect', 'NOAUTH'])
  assert.deepEqual(await told(urlOf('other', 'wrong')), ['cannot-connect', 'WRONGPASS'])
  assert.deepEqual(await told(urlOf('other', 'pw')), ['missing-right', 'NOPERM'])
})
