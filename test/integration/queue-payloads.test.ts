import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, type ServerSet, sharedServers } from '@mylab-sync/testkit'
import { type JobsOptions, Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { sortedRows, textRows } from '../support/content.js'
import { Cli } from '../support/processes.js'
import { RedisWatch } from '../support/redis-watch.js'

const WAIT_MS = 60_000

type Admin = Awaited<ReturnType<ServerSet['sourceAdmin']>>
type Reader = Awaited<ReturnType<ServerSet['targetAdmin']>>

/** Values of rows, keys included; none of them may appear in Redis, in any form. */
const MARKS = {
  text: Buffer.from('RowsAreNoHints'),
  json: Buffer.from('JsonIsNoHint'),
  key: Buffer.from('KeysAreNoHints'),
  number: Buffer.from('7391846205'),
  bytes: Buffer.from('f1e2d3c4b5a6978899fedcba', 'hex'),
} as const
/** JSON of the source that PostgreSQL's numeric cannot hold. */
const POISON = `{"a":1e200000,"t":"${MARKS.json.toString()}"}`
const ROWS = 2_000
const TABLES = ['a', 'k', 'q'] as const
const SCHEMA = `
  CREATE TABLE a (id INT PRIMARY KEY, t VARCHAR(80) NOT NULL, b VARBINARY(40) NOT NULL, n DECIMAL(20, 2) NOT NULL) ENGINE=InnoDB;
  CREATE TABLE k (k VARCHAR(80) PRIMARY KEY, b BLOB NOT NULL) ENGINE=InnoDB;
  CREATE TABLE q (k VARBINARY(40) PRIMARY KEY, j JSON NOT NULL) ENGINE=InnoDB;
  INSERT INTO a SELECT seq, CONCAT('${MARKS.text.toString()} ', seq), x'${MARKS.bytes.toString('hex')}', ${MARKS.number.toString()} FROM seq_1_to_${ROWS};
  INSERT INTO k SELECT CONCAT('${MARKS.key.toString()} ', seq), x'${MARKS.bytes.toString('hex')}' FROM seq_1_to_${ROWS};
  INSERT INTO q SELECT CONCAT(x'${MARKS.bytes.toString('hex')}', seq), '{"t":"${MARKS.json.toString()}"}' FROM seq_1_to_50;
  INSERT INTO q VALUES (x'${MARKS.bytes.toString('hex')}', '${POISON}')`

const servers = await sharedServers({ services: ['mariadb', 'postgres', 'redis'] })

interface Installation extends AsyncDisposable {
  readonly app: Admin
  readonly reader: Reader
  readonly cli: Cli
  readonly redis: Redis
  readonly queues: Readonly<Record<'copy' | 'drain' | 'control', Queue>>
}

/** Fresh databases, and the queues as another program sees them. */
async function createInstallation(name: string): Promise<Installation> {
  await servers.createDatabases({ source: name, target: name })
  const app = await servers.sourceAdmin(name)
  await app.query(SCHEMA)
  const prefix = `{${name}}`
  const reader = await servers.targetAdmin(name)
  const cli = new Cli({
    ...servers.environment({ source: name, target: name }),
    SYNC_QUEUE_PREFIX: prefix,
    SYNC_INTERVAL: '1',
  })
  const redis = new Redis(servers.redisUrl, { maxRetriesPerRequest: null })
  const open = (queue: string): Queue => new Queue(queue, { connection: redis, prefix })
  const queues = { copy: open('copy'), drain: open('drain'), control: open('control') }
  return {
    app,
    reader,
    cli,
    redis,
    queues,
    async [Symbol.asyncDispose]() {
      await cli.close()
      for (const queue of Object.values(queues)) await queue.close()
      await redis.quit()
      await reader.end()
      await app.end()
    },
  }
}

/** Every job that writes to this table fails, since it times out waiting for a lock. */
async function failing({ reader, queues }: Installation, queue: 'copy' | 'drain', act: () => Promise<unknown>) {
  await reader.query('BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE')
  await act()
  const again = async (): Promise<boolean> => (await queues[queue].getDelayed()).some((job) => job.attemptsMade > 1)
  await eventually(`a job of ${queue} has failed twice`, again, WAIT_MS)
  await reader.query('ROLLBACK')
}

const isLive = async ({ reader }: Installation): Promise<boolean> =>
  (await textRows(reader, 'SELECT DISTINCT state FROM mylab_sync.sync_progress')).join() === 'live'

async function isEqual({ app, reader }: Installation): Promise<boolean> {
  const mine = await sortedRows(app, 'SELECT id, t, HEX(b), n FROM a')
  const theirs = await sortedRows(reader, "SELECT id, t, upper(encode(b, 'hex')), n FROM a")
  return mine.join() === theirs.join()
}

test('no row value reaches Redis: by copies, drains, failures, retries or commands', async () => {
  await using installation = await createInstallation('payloads_rows')
  const watch = await RedisWatch.start(servers.redisUrl)
  try {
    const { app, cli } = installation
    const { code, err } = await cli.run(['initial', '--create-tables', '--detach', '--batch', '300'])
    assert.equal(code, 0, err)
    const running = [['scheduler'], ['worker'], ['worker']]
    let started: ReturnType<Cli['start']>[] = []
    await failing(installation, 'copy', async () => (started = running.map((args) => cli.start(args))))
    await eventually('everything is live', () => isLive(installation), WAIT_MS)
    assert.ok(await isEqual(installation))
    await failing(installation, 'drain', () =>
      app.query(`UPDATE a SET t = REVERSE(t), n = n + 1 WHERE id < 100; UPDATE a SET id = -id WHERE id > 1900;
        DELETE FROM k LIMIT 50; UPDATE q SET j = '{"t":"${MARKS.json.toString()} again"}' WHERE LENGTH(k) > 12`),
    )
    await eventually('the changes arrive', () => isEqual(installation), WAIT_MS)
    for (const what of ['copy', 'drain', 'verify', 'cleanup', 'retry'])
      assert.equal((await cli.run(['enqueue', what])).code, 0)
    await eventually('the row is tried again', async () => (await quarantineAttempts(installation)) > 1, WAIT_MS)
    for (const each of started) each.signal('SIGTERM')
    for (const each of started) assert.equal((await each.finished(20_000)).code, 143)

    const { commands } = watch
    const held = await watch.held()
    for (const word of ['copy-chunk', 'plan-table', 'open-component', 'retry', '"kind":"drain"', '55P03'])
      assert.ok(commands.includes(word), `the watch is blind: ${word}`)
    assert.match(held, /copy-chunk/)
    assert.deepEqual(seen(commands), [])
    assert.deepEqual(seen(held), [])
    assert.deepEqual(seen(started.map((each) => each.said + each.printed).join()), [])
    await assertSeen(installation, watch)
  } finally {
    await watch.close()
  }
})

async function quarantineAttempts({ reader }: Installation): Promise<number> {
  const [row] = await textRows(reader, "SELECT attempts FROM mylab_sync.sync_parked WHERE reason = 'quarantined'")
  return Number(row?.[0])
}

/** The marks found in a text of one byte per character. */
function seen(text: string): string[] {
  const lower = text.toLowerCase()
  return Object.entries(MARKS).flatMap(([name, mark]) =>
    formsOf(mark).some((form) => lower.includes(form.toLowerCase())) ? [name] : [],
  )
}

/** As bytes, as UTF-8 of them, in hexadecimal, in base 64 wherever it begins, and as a list of numbers. */
function formsOf(mark: Buffer): string[] {
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), mark.subarray(0, 9)])
      .toString('base64')
      .slice(shift === 0 ? 0 : 4, shift === 0 ? 12 : 11),
  )
  const latin1 = mark.toString('latin1')
  return [latin1, Buffer.from(latin1, 'utf8').toString('latin1'), mark.toString('hex'), mark.join(','), ...base64]
}

/** The same search finds what a careless job would send. */
async function assertSeen({ redis, queues }: Installation, watch: RedisWatch): Promise<void> {
  await redis.del(await redis.keys('*'))
  assert.deepEqual(seen(await watch.held()), [])
  await queues.copy.add('copy-chunk', { rows: Object.entries(MARKS).map(([name, mark]) => ({ name, b: mark })) })
  await eventually('it is seen', () => seen(watch.commands).length === Object.keys(MARKS).length, WAIT_MS)
  assert.deepEqual(seen(await watch.held()), Object.keys(MARKS))
  for (const form of formsOf(MARKS.bytes)) {
    await redis.set('row', Buffer.from(form, 'latin1'))
    assert.deepEqual(seen(await redis.getBuffer('row').then((value) => value?.toString('latin1') ?? '')), ['bytes'])
  }
}

const CHUNK = { kind: 'copy-chunk', table: 'a', chunk: 1 }
const text = JSON.stringify
const RUBBISH = {
  copy: [
    text({ ...CHUNK, rows: [[1, 'x']] }),
    text({ ...CHUNK, chunk: '1' }),
    text([CHUNK]),
    '42',
    '{"kind": "copy-ch',
  ],
  drain: [text({ kind: 'drain', table: 'a' }), text({ kind: 'DROP TABLE a' }), 'null', '"drain"', '{"kind": drain}'],
  control: [text({ kind: 'open-component' }), text({ kind: 'retry', table: 7 }), '{}', '\u0000\u0001'],
} as const

test('a payload that fits no job fails once, says why, and changes and blocks nothing', async () => {
  await using installation = await createInstallation('payloads_rubbish')
  const { app, cli, queues } = installation
  assert.equal((await cli.run(['initial', '--create-tables'])).code, 0)
  const scheduler = cli.start(['scheduler'])
  const worker = cli.start(['worker'])
  await eventually('the worker serves', () => worker.said.includes('Working on'), WAIT_MS)
  await eventually('everything is live', () => isLive(installation), WAIT_MS)
  const before = await stateOf(installation)
  const ids: [queue: 'copy' | 'drain' | 'control', id: string][] = []
  for (const queue of ['copy', 'drain', 'control'] as const)
    for (const data of RUBBISH[queue]) ids.push([queue, await putByHand(installation, queue, data)])
  for (const [queue, id] of ids) {
    const failed = async (): Promise<boolean> => (await queues[queue].getJobState(id)) === 'failed'
    // one of the drain queue comes after the slice that runs
    await eventually(`${queue} ${id} has failed`, failed, WAIT_MS)
    const job = await installation.redis.hgetall(`{payloads_rubbish}:${queue}:${id}`)
    assert.match(
      job['failedReason'] ?? '',
      /^job-refused: Redis: job \d+ is not a job of the queue (copy|drain|control)$/,
    )
    assert.deepEqual([job['ats'], job['atm'], job['stc']], ['1', '1', undefined], 'it was tried more than once')
  }
  assert.deepEqual(await stateOf(installation), before)
  await app.query(`INSERT INTO a VALUES (100000, 'after', 'x', 1)`)
  await eventually('a change arrives', () => isEqual(installation), WAIT_MS)
  assert.equal((await cli.run(['enqueue', 'retry'])).code, 0)
  await eventually('control work continues', async () => (await quarantineAttempts(installation)) > 1, WAIT_MS)
  assert.equal((await cli.run(['initial', '--detach', '--force', '--table', 'k'])).code, 0)
  await eventually('copies continue', () => isLive(installation), WAIT_MS)
  for (const running of [scheduler, worker]) assert.equal(running.ended, false, running.said)
  for (const [queue, id] of ids) assert.equal(await queues[queue].getJobState(id), 'failed', 'it was tried again')
})

/** With many attempts left, as a person may set it. */
async function putByHand(
  { queues, redis }: Installation,
  queue: 'copy' | 'drain' | 'control',
  data: string,
): Promise<string> {
  const options: JobsOptions = { attempts: 50, delay: 3_600_000 }
  const job = await queues[queue].add('by-hand', {}, options)
  await redis.hset(`{payloads_rubbish}:${queue}:${job.id}`, 'data', data)
  await job.promote()
  return String(job.id)
}

/** Everything that a job may change, except what changes with time. */
async function stateOf({ reader, app }: Installation): Promise<string[][]> {
  const state: string[][] = [await sortedRows(app, 'SELECT COUNT(*), SUM(synced) FROM sync_audit_log')]
  for (const query of [
    'SELECT table_name, state, rows_synced, planned, generation FROM mylab_sync.sync_progress',
    'SELECT * FROM mylab_sync.sync_chunk',
    'SELECT table_name, row_key, reason, attempts FROM mylab_sync.sync_parked',
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    ...TABLES.map((table) => `SELECT md5(t::text) FROM ${table} t`),
  ])
    state.push(await sortedRows(reader, query))
  return state
}
