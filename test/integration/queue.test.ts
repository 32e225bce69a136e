import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { afterEach, test } from 'node:test'
import { eventually, freePort, type ServerSet, sharedServers } from '@mylab-sync/testkit'
import { Cli } from '../support/processes.js'

const WAIT_MS = 30_000
/** Another worker takes over a dead one's work once its lock has expired and two checks have seen that. */
const TAKE_OVER_MS = 15_000

type Admin = Awaited<ReturnType<ServerSet['sourceAdmin']>>
type Reader = Awaited<ReturnType<ServerSet['targetAdmin']>>

let cli: Cli
let app: Admin
let reader: Reader
let used = 0
const servers = await sharedServers({ services: ['mariadb', 'postgres', 'redis'] })
afterEach(async () => {
  await cli.close()
  await reader.end()
  await app.end()
})

/** Fresh databases with these tables of numbered rows; the product's settings point at them. */
async function installation(tables: Readonly<Record<string, number>>): Promise<void> {
  const name = `queue_${++used}`
  await servers.createDatabases({ source: name, target: name })
  cli = new Cli(servers.environment({ source: name, target: name }))
  app = await servers.sourceAdmin(name)
  reader = await servers.targetAdmin(name)
  for (const [table, rows] of Object.entries(tables))
    await app.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, t VARCHAR(200) NOT NULL) ENGINE=InnoDB;
      INSERT INTO ${table} SELECT seq, REPEAT(CHAR(97 + seq % 26), 100) FROM seq_1_to_${rows}; ANALYZE TABLE ${table}`)
}

async function equal(tables: readonly string[]): Promise<boolean> {
  for (const table of tables) {
    const [mine] = await app.query(`SELECT COUNT(*) AS n, SUM(CRC32(CONCAT(id, t))) AS sum FROM ${table}`)
    const theirs = await reader.query<{ id: number; t: string }>(`SELECT id, t FROM ${table}`)
    const sum = theirs.rows.reduce((total, row) => total + crc32(`${row.id}${row.t}`), 0)
    const [expected] = mine as { n: number; sum: string }[]
    if (expected?.n !== theirs.rows.length || Number(expected.sum) !== sum) return false
  }
  return true
}

function crc32(text: string): number {
  let crc = -1
  for (const byte of Buffer.from(text)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return (crc ^ -1) >>> 0
}

async function states(): Promise<string[]> {
  const { rows } = await reader.query<{ state: string }>('SELECT DISTINCT state FROM mylab_sync.sync_progress')
  return rows.map((row) => row.state)
}

const isLive = async (): Promise<boolean> => (await states()).join() === 'live'

/** Keeps all others from writing these tables until the returned function is called. */
async function block(tables: readonly string[]): Promise<() => Promise<void>> {
  await reader.query(`BEGIN; LOCK TABLE ${tables.join(', ')} IN SHARE MODE`)
  return async () => {
    await reader.query('ROLLBACK')
  }
}

/** Process ids of server sessions that wait for such a lock, each with its statement. */
async function waiting(statement: string): Promise<number[]> {
  // inside a transaction the server would show one moment forever
  await reader.query('SELECT pg_stat_clear_snapshot()')
  const { rows } = await reader.query<{ pid: number }>(
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'mylab-sync' AND wait_event_type = 'Lock' AND query ILIKE $1",
    [`${statement}%`],
  )
  return rows.map((row) => row.pid)
}

test('no Redis address exits 3, Redis down exits 4, and status names missing processes', async () => {
  await installation({ a: 10 })
  const nobody = { REDIS_URL: '' }
  const commands = [['worker'], ['scheduler'], ['enqueue', 'drain'], ['initial', '--detach']]
  for (const { code, err } of await Promise.all(commands.map((args) => cli.run(args, nobody)))) {
    assert.equal(code, 3, err)
    assert.match(err, /REDIS_URL/)
  }
  const { code } = await cli.run(['status'], { ...nobody, SYNC_USE_QUEUE: 'true' })
  assert.equal(code, 3)
  const down = await cli.run(['worker'], { REDIS_URL: 'redis://:secret@127.0.0.1:1' })
  assert.equal(down.code, 4)
  assert.doesNotMatch(down.err, /secret/)
  await cli.run(['migrate'])
  const told = JSON.parse((await cli.run(['status', '--json'])).out) as { mode: string; problems: string[] }
  assert.equal(told.mode, 'queue')
  assert.deepEqual(told.problems, [
    'no worker is alive: start mylab-sync worker',
    'no scheduler is alive: start mylab-sync scheduler',
  ])
})

test('a job without a worker waits, and enqueue and status name what to start', async () => {
  await installation({ a: 10 })
  assert.equal((await cli.run(['initial', '--create-tables'])).code, 0)
  const enqueued = async (): Promise<{ ids: string[]; err: string }> => {
    const { code, out, err } = await cli.run(['enqueue', 'drain', '--json'])
    assert.equal(code, 0, err)
    return { ids: (JSON.parse(out) as { ids: string[] }).ids, err }
  }
  const told = async (): Promise<string[]> =>
    (JSON.parse((await cli.run(['status', '--json'])).out) as { problems: string[] }).problems
  const alone = await enqueued()
  assert.match(alone.err, /the job waits: no worker is alive: start mylab-sync worker$/m)
  const copier = cli.start(['worker', '--queues', 'copy'])
  cli.start(['scheduler'])
  await eventually('the worker serves', () => copier.said.includes('Working on copy'), WAIT_MS)
  await app.query(`INSERT INTO a VALUES (1000, 'late')`)
  const waiting = await enqueued()
  assert.deepEqual(waiting.ids, alone.ids, 'the same job waits still')
  assert.match(waiting.err, /the job waits: no worker serves drain: start mylab-sync worker --queues drain$/m)
  const both = 'no worker serves drain and control: start mylab-sync worker --queues drain,control'
  await eventually('status names both queues', async () => (await told()).join() === both, WAIT_MS)
  const others = cli.start(['worker', '--queues', 'drain,control'])
  await eventually('the change arrives', () => equal(['a']), WAIT_MS)
  assert.deepEqual(await told(), [])
  assert.doesNotMatch((await enqueued()).err, /waits/)
  await others.kill()
  await eventually('the killed one is reported missing', async () => (await told()).join() === both, WAIT_MS)
})

test('two schedulers and two workers survive an emptied Redis and stop with 143', async () => {
  const tables = ['big', ...Array.from({ length: 12 }, (_, at) => `t${at}`)]
  await installation({ big: 150_000, ...Object.fromEntries(tables.slice(1).map((table) => [table, 500])) })
  const detached = await cli.run(['initial', '--create-tables', '--detach', '--json'])
  assert.equal(detached.code, 0, detached.err)
  assert.equal((JSON.parse(detached.out) as { copying: string[] }).copying.length, tables.length)
  assert.deepEqual(await states(), ['copying'])

  const release = await block(['big', 't3'])
  const running = [['scheduler'], ['scheduler'], ['worker'], ['worker']].map((args) => cli.start(args))
  await eventually('chunks wait for the lock', async () => (await waiting('COPY')).length > 0, WAIT_MS)
  assert.equal((await cli.run(['enqueue', 'drain'])).code, 0)
  await flush()
  await release()
  await eventually('everything is live', isLive, WAIT_MS)
  assert.ok(await equal(tables))

  await app.query(
    `UPDATE big SET t = 'changed' WHERE id % 1000 = 0; DELETE FROM t1 WHERE id < 100; INSERT INTO t2 VALUES (1000, 'new')`,
  )
  await flush()
  await eventually('the changes arrive', () => equal(['big', 't1', 't2']), WAIT_MS)
  for (const started of running) started.signal('SIGTERM')
  for (const started of running) assert.equal((await started.finished(20_000)).code, 143)
})

test('a worker killed in a chunk, and then in a drain, is replaced by another one', async () => {
  await installation({ a: 1_000 })
  assert.equal((await cli.run(['initial', '--create-tables', '--detach'])).code, 0)
  cli.start(['scheduler'])
  const first = cli.start(['worker'])
  let release = await block(['a'])
  await eventually('a chunk waits for the lock', async () => (await waiting('COPY')).length > 0, WAIT_MS)
  const second = cli.start(['worker'])
  await first.kill()
  await release()
  await eventually('the other worker has copied', isLive, TAKE_OVER_MS + WAIT_MS)
  assert.ok(await equal(['a']))

  release = await block(['a'])
  await app.query(`INSERT INTO a VALUES (5000, 'late')`)
  await eventually('a drain waits for the lock', async () => (await waiting('INSERT')).length > 0, WAIT_MS)
  const third = cli.start(['worker'])
  await eventually('the third worker serves', () => third.said.includes('Working on'), WAIT_MS)
  await second.kill()
  await release()
  const killed = performance.now()
  await eventually('the other worker has drained', () => equal(['a']), TAKE_OVER_MS)
  process.stderr.write(`a killed drainer was replaced after ${Math.round(performance.now() - killed)} ms\n`)
})

test('start does it all: it drains without Redis, and finds the work again afterwards', async () => {
  await installation({ a: 100 })
  assert.equal((await cli.run(['initial', '--create-tables'])).code, 0)
  const start = cli.start(['start', '--no-dashboard'])
  await app.query(`INSERT INTO a VALUES (1000, 'queued')`)
  await eventually('a change arrives', () => equal(['a']), WAIT_MS)
  await servers.kill('redis')
  await app.query(`INSERT INTO a VALUES (1001, 'without Redis')`)
  await eventually('a change arrives without Redis', () => equal(['a']), WAIT_MS)
  start.signal('SIGTERM')
  assert.equal((await start.finished(20_000)).code, 143)
  await servers.start('redis')
  await flush()
  cli.start(['start', '--no-dashboard'])
  await app.query(`INSERT INTO a VALUES (1002, 'again')`)
  await eventually('a change arrives again', () => equal(['a']), WAIT_MS)
})

test('entries of tables that nobody asked to copy do not pile up in the change log', async () => {
  await installation({ a: 10 })
  assert.equal((await cli.run(['migrate'])).code, 0)
  assert.equal((await cli.run(['setup-triggers'])).code, 0)
  cli.start(['start', '--no-dashboard'])
  await app.query(`INSERT INTO a VALUES (1000, 'early')`)
  const pending = async (): Promise<number> => {
    const [rows] = await app.query('SELECT COUNT(*) AS n FROM sync_audit_log WHERE synced = 0')
    return (rows as { n: number }[])[0]?.n ?? 0
  }
  await eventually('the entry is marked', async () => (await pending()) === 0, WAIT_MS)
  assert.deepEqual(await states(), ['capturing'])
})

test('start without Redis is the direct runner', async () => {
  await installation({ a: 100 })
  const direct = { REDIS_URL: '' }
  assert.equal((await cli.run(['initial', '--create-tables'], direct)).code, 0)
  const start = cli.start(['start'], { ...direct, SYNC_DASHBOARD_PORT: String(await freePort()) })
  await app.query(`INSERT INTO a VALUES (1000, 'direct')`)
  await eventually('a change arrives', () => equal(['a']), WAIT_MS)
  start.signal('SIGTERM')
  assert.equal((await start.finished(20_000)).code, 143)
})

async function flush(): Promise<void> {
  const socket = connect(Number(new URL(servers.redisUrl).port), '127.0.0.1')
  socket.write('FLUSHALL\r\n')
  await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject))
  socket.destroy()
}
