import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, shared, sharedServers } from '@mylab-sync/testkit'
import { Redis } from 'ioredis'
import { Consumer } from './consumer.js'
import { Producer } from './producer.js'

const WAIT_MS = 30_000
const PREFIX = '{hostile}'
const key = (name: string): string => `${PREFIX}:copy:${name}`
const STATES = ['wait', 'paused', 'active', 'delayed', 'prioritized', 'waiting-children'] as const

const servers = await sharedServers({ services: ['redis'] })
const redis = await shared(new Redis(servers.redisUrl), (connection) => connection.disconnect())
const producer = await shared(Producer.open({ redisUrl: servers.redisUrl, prefix: PREFIX }), (opened) => opened.close())

/** Damage that a client of Redis can do to a waiting job. */
type Harm = (id: string) => Promise<unknown>
const field =
  (name: string, value: string): Harm =>
  (id) =>
    redis.hset(key(id), name, value)
const otherType =
  (...command: [string, ...string[]]): Harm =>
  async (id) => {
    const [name, ...args] = command
    await redis.del(key(id))
    await redis.call(name, key(id), ...args)
  }

const FIELDS = [
  ...['opts', 'progress', 'parent', 'data', 'stacktrace', 'returnvalue'].flatMap((name) =>
    ['{', '', 'null', '[]', '7', '"x"', '\u0000\u00ff', '{"a":{}}'].map((value) => [name, value] as const),
  ),
  ['opts', '{"removeOnFail":null,"removeOnComplete":null,"attempts":"many"}'],
  ['opts', '{"removeOnComplete":{"count":"x","age":[]},"attempts":1e308,"backoff":{"type":"none","delay":1e308}}'],
  ['opts', '{"delay":-1,"priority":1e300,"lifo":"x","repeat":{"every":1},"jobId":{},"de":{"id":7}}'],
  ['parent', '{"id":"1","queueKey":"nothing:here"}'],
  ['parentKey', 'nothing:here:1'],
  ['parentKey', key('wait')],
  ['rjk', 'a:b:c:d:e'],
  ['rjk', 'plain'],
  ['deid', 'x'.repeat(10_000)],
  ['name', 'a\nb\u001b[31m'],
  ...['ats', 'atm', 'stc', 'priority', 'delay', 'timestamp', 'processedOn', 'finishedOn', 'attemptsMade'].flatMap(
    (name) => ['x', 'nan', '1e400', '-1', '9223372036854775807', ''].map((value) => [name, value] as const),
  ),
] as const

const HARMS: readonly (readonly [what: string, harm: Harm])[] = [
  ...FIELDS.map(([name, value]) => [`${name}=${value.slice(0, 20)}`, field(name, value)] as const),
  ['no name', (id) => redis.hdel(key(id), 'name')],
  ['no options', (id) => redis.hdel(key(id), 'opts')],
  ['nothing at all', (id) => redis.del(key(id))],
  ['a string', otherType('SET', 'x')],
  ['a list', otherType('RPUSH', 'x')],
  ['a set', otherType('SADD', 'x')],
  ['a stream', otherType('XADD', '*', 'a', 'b')],
  ['a large payload', field('data', 'x'.repeat(30_000_000))],
  ['a large unknown field', field('zzz', 'x'.repeat(30_000_000))],
  [
    'many fields',
    (id) => redis.hset(key(id), Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`f${n}`, 'x']))),
  ],
  ['a lock of another type', (id) => redis.rpush(`${key(id)}:lock`, 'x')],
  ['children of another type', (id) => redis.set(`${key(id)}:dependencies`, 'x')],
  ['children that never end', (id) => redis.sadd(`${key(id)}:dependencies`, 'x')],
  ['a next job that is no JSON', (id) => nextOf(id, 'opts', '{')],
  ['a next job of another type', async (id) => redis.set(`${key('dn')}:${await redis.hget(key(id), 'deid')}`, 'x')],
]

async function nextOf(id: string, name: string, value: string): Promise<void> {
  await redis.hset(`${key('dn')}:${await redis.hget(key(id), 'deid')}`, name, value)
}

async function held(): Promise<string[]> {
  const lists = STATES.map(async (state) => {
    const kind = await redis.type(key(state))
    if (kind === 'none') return []
    const ids = kind === 'zset' ? await redis.zrange(key(state), '0', '-1') : await redis.lrange(key(state), 0, -1)
    return ids.map((id) => `${state} ${id}`)
  })
  return (await Promise.all(lists)).flat()
}

/** Jobs of chunks `from` and on, some harmed, and a sound one behind each. */
async function harmed(from: number, delayMs: number): Promise<Map<string, string>> {
  const ids = new Map<string, string>()
  const [queue] = producer.queues
  for (const [at, [what, harm]] of HARMS.entries()) {
    const [id = '', sound = ''] = await producer.add(
      'copy',
      [0, 1].map((next) => ({ kind: 'copy-chunk', table: 't', chunk: from + 2 * at + next })),
    )
    if (delayMs > 0)
      for (const one of [id, sound]) {
        await redis.lrem(key('wait'), 1, one)
        await redis.zadd(key('delayed'), String((Date.now() + delayMs) * 4096), one)
      }
    await harm(id)
    ids.set(id, what)
  }
  assert.equal(await queue?.isPaused(), false)
  return ids
}

/** A consumer of copy jobs only, which records their chunks and every problem. */
function copiesInto(copied: Set<number>, concurrency: number, problems: string[] = []): Consumer {
  return new Consumer({
    settings: { redisUrl: servers.redisUrl, prefix: PREFIX },
    handlers: {
      copy: (job) => Promise.resolve(void (job.kind === 'copy-chunk' && copied.add(job.chunk))),
      drain: () => Promise.resolve(),
      control: () => Promise.resolve(),
    },
    concurrency: new Map([['copy', concurrency]]),
    onProblem: (_, error) => problems.push(error instanceof Error ? error.message : String(error)),
  })
}

test('a job ends whatever its hash holds, sound jobs run, and lists stay readable', async () => {
  const ids = new Map([...(await harmed(1, 0)), ...(await harmed(10_001, 1_500))])
  await redis.rpush(key('wait'), 'wait', 'meta', 'a\u001b[31m\nb', '', 'x'.repeat(100_000))
  const copied = new Set<number>()
  const problems: string[] = []
  const consumer = copiesInto(copied, 3, problems)
  try {
    const sound = [1, 10_001].flatMap((from) => HARMS.map((_, at) => from + 2 * at + 1))
    const missing = (): number[] => sound.filter((number) => !copied.has(number))
    await eventually('all sound ones are done', () => missing().length === 0, WAIT_MS).catch((error: unknown) => {
      throw new Error(`chunks ${missing().join()}; problems: ${problems.slice(-5).join('\n')}`, { cause: error })
    })
    await eventually('nothing is left', async () => (await held()).length === 0, WAIT_MS).catch(
      async (error: unknown) => {
        const left = (await held()).map((each) => `${each} ${ids.get(each.split(' ')[1] ?? '')}`)
        throw new Error(`left: ${left.join('; ')}; problems: ${problems.slice(-5).join('\n')}`, { cause: error })
      },
    )
    assert.deepEqual(
      problems.filter((problem) => /\p{Cc}/u.test(problem)),
      [],
    )
    assert.ok(
      problems.some((problem) => /^Redis: job \d+ of the queue copy was removed: it is too large$/.test(problem)),
    )
    const unexpected = problems.filter((problem) => !/was removed: |is not a job of the queue copy$/.test(problem))
    assert.deepEqual(unexpected, [])
    for (const [id, what] of ids) {
      const took = (await redis.type(key(id))) === 'hash' ? Number((await redis.hget(key(id), 'ats')) ?? 0) : 0
      assert.ok(took < 12, `${what} was taken ${took} times`)
    }
    const [queue] = producer.queues
    assert.ok((await queue?.getJobs(['completed', 'failed'], 0, -1))?.length)
    await producer.promoteOverdue()
  } finally {
    await consumer.close(2_000)
  }
})

test('broken jobs are removed even if nobody takes jobs, and lists stay readable', async () => {
  await harmed(20_001, 3_600_000)
  // a finished job whose key was replaced
  await redis.set(key('777777'), 'x')
  await redis.zadd(key('failed'), '1', '777777')
  const told = await producer.removeUnsound()
  assert.ok(told.length > 5)
  const [queue] = producer.queues
  for (const state of ['delayed', 'failed', 'completed'] as const) assert.ok(await queue?.getJobs([state], 0, 100))
  for (const { code, message } of told) {
    assert.equal(code, 'job-refused')
    assert.match(
      message,
      /^Redis: (?:job (?:\d+|\[other id\]) of the queue copy was removed|a key of the queue copy was repaired): /,
    )
  }
})

const NEXT_CHUNK = 90_000
const nameOf = (chunk: number): string => key(`de:copy-chunk ${chunk} t`)
/** One write each, after which no job of the queue, or the one that comes next, would ever be put in or taken. */
type HarmKey = (chunk: number) => Promise<unknown>
const HARMED_KEYS: Readonly<Record<string, HarmKey>> = {
  ...Object.fromEntries(
    [...STATES, 'completed', 'failed', 'marker', 'stalled', 'meta', 'events', 'id', 'limiter', 'stalled-check'].map(
      (name) => [`${name} of another type`, () => replace(name)],
    ),
  ),
  'a word for the next id': () => redis.set(key('id'), 'x'),
  'the last id that there is': () => redis.set(key('id'), '9223372036854775807'),
  'an id below zero': () => redis.set(key('id'), '-7'),
  'ids of jobs that are kept': () => redis.set(key('id'), '0'),
  'words in the settings': () =>
    redis.hset(key('meta'), { concurrency: 'x', max: 'x', duration: 'x', 'opts.maxLenEvents': 'x' }),
  'a word for what is allowed': async () => {
    await redis.set(key('limiter'), 'x')
    await redis.set(key('pc'), 'x')
  },
  'a name for no job': (chunk) => redis.set(nameOf(chunk), '123456789', 'EX', 1_000_000),
  'a name for a job that has ended': async (chunk) => redis.set(nameOf(chunk), await ended()),
  'a name of another type': (chunk) => redis.rpush(nameOf(chunk), 'x'),
  'no look for dead workers': () => redis.set(key('stalled-check'), 'x'),
  'a lock without an end': async (chunk) => {
    // As if taken by a worker that has died since.
    const id = '555555'
    const data = JSON.stringify({ kind: 'copy-chunk', table: 't', chunk })
    await redis.hset(key(id), { name: 'copy-chunk', data, opts: '{}', timestamp: 1, deid: `copy-chunk ${chunk} t` })
    await redis.set(nameOf(chunk), id)
    await redis.lpush(key('active'), id)
    await redis.set(`${key(id)}:lock`, 'x')
  },
}

async function replace(name: string): Promise<void> {
  const other = name === 'id' || name === 'limiter' || name === 'stalled-check' ? 'RPUSH' : 'SET'
  await redis.del(key(name))
  await redis.call(other, key(name), 'x')
}

async function ended(): Promise<string> {
  return (await redis.zrange(key('completed'), '0', '0'))[0] ?? ''
}

test('one write to a key of a queue blocks no job for good, and repairs are reported', async () => {
  // whatever the other tests have left
  await redis.flushall()
  const copied = new Set<number>()
  const consumer = copiesInto(copied, 1)
  const untold: string[] = []
  try {
    let chunk = NEXT_CHUNK
    for (const [what, harm] of Object.entries<HarmKey>({ nothing: () => Promise.resolve(), ...HARMED_KEYS })) {
      chunk += 1
      await harm(chunk)
      let told: string[] = []
      await eventually(
        `after ${what} a chunk is copied`,
        async () => {
          told = [...told, ...(await producer.removeUnsound()).map(({ message }) => message)]
          // A harmed key may refuse it; the next look mends the key, and the job is added again.
          await producer.add('copy', [{ kind: 'copy-chunk', table: 't', chunk }]).catch(() => {})
          return copied.has(chunk)
        },
        WAIT_MS,
      )
      if (!told.some((message) => /^Redis: a key of the queue copy was repaired: [a-z -]+$/.test(message)))
        untold.push(what)
    }
    assert.deepEqual(untold, ['nothing'])
  } finally {
    await consumer.close(2_000)
  }
})
