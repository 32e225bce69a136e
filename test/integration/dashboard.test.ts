import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { drainAll, type EngineContext, initial, migrate, setupTriggers } from '@mylab-sync/engine'
import { eventually, shared, sharedServers } from '@mylab-sync/testkit'
import { ask } from '../support/ask.js'
import { closeContext, contextOf, type RunningDashboard, startDashboard } from '../support/dashboard.js'
import { readText } from '../support/deployment.js'
import { CLI, cli } from '../support/run.js'

const NAME = 'dashboard'
const IDLE = 'no worker is alive: start mylab-sync worker'
const PASSWORD = 'open sesame ü'
const SIGNAL = new AbortController().signal
const AUTHORIZED = { authorization: `Basic ${Buffer.from(`admin:${PASSWORD}`).toString('base64')}` }
const GUARDED = [
  '/',
  '/assets/main.js',
  '/assets/style.css',
  '/api/status',
  '/api/session',
  '/api/not-carried',
  '/metrics',
  '/queues',
  '/queues/api/queues',
  '/nothing-here',
]

interface Status {
  verdict: { tone: string; sentence: string; remedy: string | null }
  readAt: string | null
  totals: { pending: number }
  tables: { table: string; state: string; rowsCopied: number; copiedPercent: number; pending: number }[]
}

const paused: string[] = []

const servers = await sharedServers()
await servers.createDatabases({ source: NAME, target: NAME })
const admin = await servers.sourceAdmin(NAME)
await admin.query(`CREATE TABLE a (id INT PRIMARY KEY, t VARCHAR(20)) ENGINE=InnoDB;
  INSERT INTO a SELECT seq, 'SECRET-ROW' FROM seq_1_to_50; CREATE TABLE b (id INT PRIMARY KEY) ENGINE=InnoDB`)
await admin.end()
const context = await shared(contextOf(servers, NAME), closeContext)
const actions = { pause: async (_: EngineContext, table: string) => `paused ${paused.push(table)}` }
const health = (): Promise<string[]> => Promise.resolve([IDLE])
const locked = await shared(startDashboard(servers, NAME, { password: PASSWORD, actions, health }))
const open = await shared(startDashboard(servers, NAME))

const statusOf = async (at: RunningDashboard): Promise<Status> =>
  JSON.parse((await ask(`${at.url}api/status`)).body) as Status

test('a database not set up is shown with its remedy; the process is alive, not ready', async () => {
  const { verdict, readAt } = await statusOf(open)
  assert.equal(verdict.tone, 'unknown')
  assert.match(verdict.sentence, /cannot be read now/)
  assert.match(verdict.remedy ?? '', /migrate/)
  assert.equal(readAt, null)
  assert.equal((await ask(`${open.url}healthz`)).status, 200)
  assert.equal((await ask(`${open.url}readyz`)).status, 503)
})

test('a change of state shows without a reload, and figures match the databases', async () => {
  await migrate(context)
  await setupTriggers(context, { tables: [], recreate: false, dryRun: false })
  const state = (name: string, is: string): Promise<unknown> =>
    eventually(
      `${name} is ${is}`,
      async () => (await statusOf(open)).tables.some(({ table, state }) => table === name && state === is),
      30_000,
    )
  await state('a', 'capturing')
  const request = { tables: [], createTables: true, resume: false, triggers: true, force: false, takeOver: false }
  await initial(context, request, () => {}, SIGNAL)
  await state('a', 'live')
  const { verdict, tables } = await statusOf(open)
  assert.equal(verdict.tone, 'right')
  assert.match(verdict.sentence, /2 of 2 tables equal the source as of/)
  assert.deepEqual(
    tables.map(({ table, rowsCopied, copiedPercent }) => ({ table, rowsCopied, copiedPercent })),
    [
      { table: 'a', rowsCopied: 50, copiedPercent: 100 },
      { table: 'b', rowsCopied: 0, copiedPercent: 100 },
    ],
  )
  assert.equal((await ask(`${open.url}readyz`)).status, 200)
  const { groups } = JSON.parse((await ask(`${open.url}api/not-carried`)).body)
  assert.equal(groups[0].text, 'case-insensitive text in 1 table')
  assert.match(groups[0].items[0].text, /_ci of column t$/)

  const admin = await servers.sourceAdmin(NAME)
  await admin.query('UPDATE a SET t = 2 WHERE id < 4')
  await admin.end()
  await eventually('3 are pending', async () => (await statusOf(open)).totals.pending === 3, 30_000)
  await drainAll(context, SIGNAL)
  await eventually('none is pending', async () => (await statusOf(open)).totals.pending === 0, 30_000)
})

test('with a password, every route but the probes refuses a missing or wrong one', async () => {
  const wrong = [{}, { authorization: 'Basic eDp5' }, { authorization: 'Bearer x' }, { authorization: 'Basic ' }]
  for (const path of GUARDED)
    for (const headers of wrong) {
      const answer = await ask(new URL(path, locked.url).href, { headers })
      assert.equal(answer.status, 401, `${path} ${JSON.stringify(headers)}`)
      assert.match(String(answer.headers['www-authenticate']), /^Basic /)
    }
  const post = await ask(`${locked.url}api/tables/a/pause`, { method: 'POST' })
  assert.equal(post.status, 401)
  for (const path of ['/', '/assets/main.js', '/api/status', '/metrics'])
    assert.equal((await ask(new URL(path, locked.url).href, { headers: AUTHORIZED })).status, 200, path)
  assert.equal((await ask(`${locked.url}healthz`)).body, 'ok\n')
})

test('cross-site requests are refused despite the password, except a link to the page', async () => {
  const causes: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
  ]
  for (const path of [...GUARDED, '/healthz', '/readyz'])
    for (const cause of causes) {
      const answer = await ask(new URL(path, locked.url).href, { headers: { ...AUTHORIZED, ...cause } })
      assert.equal(answer.status, 403, `${path} ${JSON.stringify(cause)}`)
    }
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  assert.equal((await ask(locked.url, { headers: { ...AUTHORIZED, ...link } })).status, 200)
  assert.equal((await ask(`${locked.url}metrics`, { headers: { ...AUTHORIZED, ...link } })).status, 403)
})

test('an action requires POST, the token of this process and a known table', async () => {
  const path = `${locked.url}api/tables/a/pause`
  const { token, actions } = JSON.parse((await ask(`${locked.url}api/session`, { headers: AUTHORIZED })).body) as {
    token: string
    actions: string[]
  }
  assert.deepEqual(actions, ['pause'])
  const withToken = { ...AUTHORIZED, 'x-mylab-token': token }
  assert.equal((await ask(path, { headers: withToken })).status, 404)
  assert.equal((await ask(path, { method: 'POST', headers: AUTHORIZED })).status, 403)
  const stale = { ...AUTHORIZED, 'x-mylab-token': 'x'.repeat(43) }
  assert.equal((await ask(path, { method: 'POST', headers: stale })).status, 403)
  const foreign = { ...withToken, 'sec-fetch-site': 'cross-site' }
  assert.equal((await ask(path, { method: 'POST', headers: foreign })).status, 403)
  const unknown = `${locked.url}api/tables/nothing/pause`
  assert.equal((await ask(unknown, { method: 'POST', headers: withToken })).status, 404)
  assert.equal((await ask(`${locked.url}api/tables/a/drop`, { method: 'POST', headers: withToken })).status, 404)
  assert.deepEqual(paused, [])
  assert.equal((await ask(path, { method: 'POST', headers: withToken })).status, 200)
  assert.deepEqual(paused, ['a'])
})

test('what the queues lack is shown as a problem on the page', async () => {
  const { body } = await ask(`${locked.url}api/status`, { headers: AUTHORIZED })
  const { verdict, problems } = JSON.parse(body) as Status & { problems: { text: string }[] }
  assert.deepEqual([verdict.tone, problems.map(({ text }) => text)], ['wrong', [IDLE]])
})

test('without a password the page answers only to names of this machine', async () => {
  assert.equal((await ask(open.url, { headers: { host: 'rebound.example' } })).status, 403)
  assert.equal((await ask(open.url, { headers: { host: 'localhost:9090' } })).status, 200)
})

test('every answer carries the strict policy, and no password, row or local path', async () => {
  for (const path of [...GUARDED, '/healthz', '/%ff', '/api/tables/%00/pause']) {
    const { headers, body } = await ask(new URL(path, open.url).href)
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/, path)
    assert.doesNotMatch(policy, /unsafe|https?:|\*/)
    assert.equal(headers['x-powered-by'], undefined)
    assert.doesNotMatch(body, new RegExp(`SECRET-ROW|${servers.target.password}|node_modules|\\.ts:`), path)
  }
  const page = (await ask(open.url)).body
  assert.doesNotMatch(page, /<style|<script(?![^>]*src="\/)|\son\w+=|\sstyle=|(?:src|href)="(?!\/|#)/)
})

test('the metrics parse, with one series per state and eight per table', async () => {
  const { body, headers } = await ask(`${open.url}metrics`)
  assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/)
  const series = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  for (const line of series)
    assert.match(line, /^[a-z_]\w*(?:\{(?:\w+="[^"\\]*",?)*\})? (?:-?[\d.]+(?:e[+-]?\d+)?|NaN|[+-]Inf)$/i)
  assert.equal(series.filter((line) => line.startsWith('mylab_sync_tables{')).length, 12)
  assert.equal(series.filter((line) => line.includes('{table="')).length, 16)
  for (const line of ['mylab_sync_up 1', 'mylab_sync_tables{state="live"} 2', 'mylab_sync_pending_changes 0'])
    assert.ok(series.includes(line), line)
  for (const file of ['docs/operations.md', 'infra/prometheus/alerts.yml'])
    for (const [name] of readText(file).matchAll(/\bmylab_sync_[a-z_]+/g))
      assert.ok(body.includes(`# TYPE ${name} gauge\n`), `${file}: ${name}`)
})

test('figures are compressed for clients that accept it, and are the same', async () => {
  const metrics = await fetch(`${open.url}metrics`, { headers: { 'accept-encoding': 'gzip' } })
  assert.equal(metrics.headers.get('content-encoding'), 'gzip')
  assert.match(await metrics.text(), /^mylab_sync_up 1$/m)
  const { headers } = await ask(`${open.url}metrics`)
  assert.deepEqual([headers['content-encoding'], headers['vary']], [undefined, 'Accept-Encoding'])
})

test('a host beyond loopback without a password exits 3 with one line, unconnected', async () => {
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.org']) {
    const environment = { ...servers.environment({ source: NAME, target: NAME }), DB_PORT: '1' }
    const { code, err } = await cli(['dashboard', '--host', host], { ...environment, SYNC_DASHBOARD_PASSWORD: '' })
    assert.equal(code, 3, err)
    assert.match(err, /^mylab-sync: dashboard: --host .*SYNC_DASHBOARD_PASSWORD.*\n$/)
  }
})

test('with a password it serves all addresses, prints no secret and ends at SIGTERM', async (t) => {
  const env = {
    ...process.env,
    ...servers.environment({ source: NAME, target: NAME }),
    SYNC_USE_QUEUE: 'false',
    SYNC_DASHBOARD_PASSWORD: PASSWORD,
  }
  const child = spawn(process.execPath, [CLI, 'dashboard', '--host', '0.0.0.0', '--port', '0'], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  const [, port] = await eventually('it says its address', () => /:(\d+)\//.exec(said), 30_000)
  const url = `http://127.0.0.1:${port}/`
  assert.equal((await ask(url)).status, 401)
  const page = await ask(`${url}api/status`, { headers: AUTHORIZED })
  assert.equal((JSON.parse(page.body) as Status).verdict.tone, 'right')
  const session = await ask(`${url}api/session`, { headers: AUTHORIZED })
  const { token, actions } = JSON.parse(session.body) as { token: string; actions: string[] }
  assert.deepEqual(actions, ['retry'])
  const headers = { ...AUTHORIZED, 'x-mylab-token': token }
  const retried = await ask(`${url}api/tables/a/retry`, { method: 'POST', headers })
  assert.deepEqual(JSON.parse(retried.body), { done: '0 rows tried again: 0 applied, 0 still quarantined' })
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  assert.equal(code, 143)
  assert.doesNotMatch(said + page.body, new RegExp(`${PASSWORD}|${servers.target.password}`))
})

test('a database that hangs is reported within seconds, beside the last figures', async () => {
  await servers.freeze('mariadb')
  try {
    const hanging = await eventually(
      'it says that there is no answer',
      async () => {
        const status = await statusOf(open)
        return status.verdict.tone === 'unknown' && status
      },
      12_000,
    )
    assert.match(hanging.verdict.sentence, /the databases have not answered for \d+ s/)
    assert.equal(hanging.tables.length, 2)
  } finally {
    servers.thaw('mariadb')
  }
  await eventually('it is right again', async () => (await statusOf(open)).verdict.tone === 'right', 30_000)
})

test('the page outlives a database: it says so, keeps the last figures and recovers', async () => {
  await servers.stop('postgres')
  const away = await eventually(
    'it says that the target is away',
    async () => {
      const status = await statusOf(open)
      return status.verdict.tone === 'unknown' && status
    },
    30_000,
  )
  assert.equal(away.tables.length, 2)
  assert.match(away.verdict.sentence, /target.*Last known: 2 of 2/)
  assert.match((await ask(`${open.url}metrics`)).body, /^mylab_sync_up 0$/m)
  assert.equal((await ask(`${open.url}healthz`)).status, 200)
  assert.equal((await ask(`${open.url}readyz`)).status, 200)
  await servers.start('postgres')
  await eventually('it is right again', async () => (await statusOf(open)).verdict.tone === 'right', 30_000)
})
