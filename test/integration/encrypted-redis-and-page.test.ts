import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { loadConfig } from '@mylab-sync/config'
import { SyncError } from '@mylab-sync/core'
import { checkRedis, Consumer, Producer } from '@mylab-sync/queue'
import { Authority, type Certificate, eventually, freePort, shared, sharedServers } from '@mylab-sync/testkit'
import { Redis } from 'ioredis'
import { ask } from '../support/ask.js'
import { startDashboard } from '../support/dashboard.js'
import { tapped } from '../support/lines.js'
import { cli } from '../support/run.js'
import { sharedFolder } from '../support/folders.js'

const WAIT_MS = 20_000
const PASSWORD = 'the word of the page'
const open = (): Promise<never> => Promise.reject(new SyncError('cannot-connect', 'source: cannot connect'))

const folder = await sharedFolder('tls')
// the server's user must be able to enter it
chmodSync(folder, 0o755)
const ours = await Authority.create(join(folder, 'ours'))
const theirs = await Authority.create(join(folder, 'theirs'))
const good = await ours.issue('server')
const client = await ours.issue('client')
const tlsPort = await freePort()
const files = ['--tls-cert-file', good.certificate, '--tls-key-file', good.key, '--tls-ca-cert-file', ours.certificate]
const redis = ['--tls-port', String(tlsPort), '--tls-auth-clients', 'optional', ...files]
const servers = await sharedServers({ services: ['redis'], extraArguments: { redis } })
const admin = await shared(new Redis(servers.redisUrl, { maxRetriesPerRequest: null }), (redis) => redis.quit())
const redisUrl = `rediss://127.0.0.1:${tlsPort}`

/** Makes Redis present this certificate from now on. */
async function show({ certificate, key }: Certificate): Promise<void> {
  await admin.call('CONFIG', 'SET', 'tls-cert-file', certificate, 'tls-key-file', key)
}

const ENDS = { DB_DATABASE: 'd', DB_PORT: '1', PGSQL_DATABASE: 'd', PGSQL_PORT: '1' }

/** Checks Redis as a command does before anything else: returns the error, or null if nothing is wrong. */
async function looked(variables: Readonly<Record<string, string>>): Promise<SyncError | null> {
  try {
    const { redisUrl, redisTls } = loadConfig({ env: { ...ENDS, ...variables }, directory: folder })
    assert.ok(redisUrl !== null)
    await checkRedis({ redisUrl, redisTls })
    return null
  } catch (error) {
    if (error instanceof SyncError) return error
    throw error
  }
}

test('rediss accepts only a known CA for the requested name, and says why in one line', async () => {
  const REDIS = { REDIS_URL: redisUrl, REDIS_TLS_CA: ours.certificate }
  const expired = await ours.issue('expired', { expired: true })
  const outcomes: [shown: Certificate, why: string][] = [
    [await ours.issue('other', { names: ['DNS:elsewhere.example'] }), 'its certificate was issued for another name'],
    [await theirs.issue('unknown'), 'its certificate was issued by an unknown authority'],
    [expired, 'its certificate has expired'],
  ]
  for (const [shown, why] of outcomes) {
    await show(shown)
    const refused = await looked(REDIS)
    assert.equal(refused?.code, 'cannot-connect', why)
    assert.match(refused.message, new RegExp(`^Redis at 127\\.0\\.0\\.1:${tlsPort}: ${why} \\([A-Z_]+\\)$`))
  }
  // a switch that many leave in their environment, and that disables verification in other programs
  const { code, err } = await cli(['worker'], { ...ENDS, ...REDIS, NODE_TLS_REJECT_UNAUTHORIZED: '0' })
  assert.match(err, /^mylab-sync: Redis at 127\.0\.0\.1:\d+: its certificate has expired \(CERT_HAS_EXPIRED\)$/m)
  assert.equal(code, 4, err)
  await show(good)
  assert.equal(await looked(REDIS), null)
  assert.match((await looked({ REDIS_URL: redisUrl }))?.message ?? '', /issued by an unknown authority/)
  const plain = await looked({ ...REDIS, REDIS_URL: servers.redisUrl.replace('redis:', 'rediss:') })
  assert.match(plain?.message ?? '', /: it offers no encryption \(ERR_SSL_WRONG_VERSION_NUMBER\)$/)
  assert.equal((await looked({ REDIS_URL: redisUrl.replace('rediss', 'redis') }))?.code, 'cannot-connect')
})

test('host and port with a CA encrypt the line, account in variables of its own', async () => {
  await admin.call('ACL', 'SETUSER', 'queues', 'on', '>secret of queues', '~*', '&*', '+@all')
  const account = { REDIS_USERNAME: 'queues', REDIS_PASSWORD: 'secret of queues' }
  const at = { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(tlsPort), REDIS_TLS_CA: ours.certificate }
  assert.equal(await looked({ ...at, ...account }), null)
  assert.equal(await looked({ REDIS_URL: redisUrl, REDIS_TLS_CA: at.REDIS_TLS_CA, ...account }), null)
  const refused = await looked({ ...at, ...account, REDIS_PASSWORD: 'another' })
  assert.match(refused?.message ?? '', /WRONGPASS/)
  const file = `redis: { host: 127.0.0.1, port: ${tlsPort}, username: queues, password: secret of queues, tls: { ca: ${ours.certificate} } }`
  writeFileSync(join(folder, 'mylab-sync.yaml'), file)
  assert.equal(await looked({}).finally(() => rmSync(join(folder, 'mylab-sync.yaml'))), null)
})

test('a missing, wrong or partnerless file ends with exit 3 and its name', async () => {
  const none = join(folder, 'none.pem')
  const rubbish = join(folder, 'rubbish.pem')
  writeFileSync(rubbish, 'no certificate')
  const other = await theirs.issue('pair')
  const cases: [variables: Record<string, string>, line: RegExp][] = [
    [{ REDIS_TLS_CA: none }, /^environment: REDIS_TLS_CA: \S+none\.pem cannot be read, expected a file$/],
    [{ REDIS_TLS_CA: folder }, /REDIS_TLS_CA: \S+ cannot be read, expected a file$/],
    [{ REDIS_TLS_CA: rubbish }, /REDIS_TLS_CA: \S+rubbish\.pem holds no certificate, expected PEM$/],
    [{ REDIS_TLS_CERT: client.certificate }, /REDIS_TLS_CERT: given without redis\.tls\.key, expected both$/],
    [{ REDIS_TLS_KEY: client.key }, /REDIS_TLS_KEY: given without redis\.tls\.cert, expected both$/],
    [{ REDIS_TLS_CERT: client.certificate, REDIS_TLS_KEY: other.key }, /REDIS_TLS_KEY: \S+ is not the key of /],
    [
      { SYNC_DASHBOARD_TLS_CERT: none, SYNC_DASHBOARD_TLS_KEY: client.key },
      /SYNC_DASHBOARD_TLS_CERT: \S+none\.pem cannot/,
    ],
    [{ REDIS_URL: servers.redisUrl, REDIS_TLS_CA: ours.certificate }, /REDIS_URL: unencrypted, but REDIS_TLS_\* /],
  ]
  for (const [variables, line] of cases) {
    const refused = await looked({ REDIS_URL: redisUrl, ...variables })
    assert.equal(refused?.code, 'configuration')
    assert.match(refused.message, line)
  }
  const { code, err } = await cli(['worker'], { ...ENDS, REDIS_URL: redisUrl, REDIS_TLS_CA: none })
  assert.match(err, /^mylab-sync: environment: REDIS_TLS_CA: \S+ cannot be read, expected a file\n$/)
  assert.equal(code, 3)
})

test('a client certificate is shown where Redis asks for one', async () => {
  await admin.call('CONFIG', 'SET', 'tls-auth-clients', 'yes')
  try {
    const REDIS = { REDIS_URL: redisUrl, REDIS_TLS_CA: ours.certificate }
    assert.match((await looked(REDIS))?.message ?? '', /: it requires a client certificate and received none /)
    const stranger = await theirs.issue('stranger')
    const refused = await looked({ ...REDIS, REDIS_TLS_CERT: stranger.certificate, REDIS_TLS_KEY: stranger.key })
    assert.match(refused?.message ?? '', /: it refuses our client certificate /)
    const shown = { ...REDIS, REDIS_TLS_CERT: client.certificate, REDIS_TLS_KEY: client.key }
    assert.equal(await looked(shown), null)
  } finally {
    await admin.call('CONFIG', 'SET', 'tls-auth-clients', 'optional')
  }
})

test('running processes use a replaced CA on the next connection, and jobs still pass', async () => {
  await show(good)
  const ca = join(folder, 'ca.pem')
  copyFileSync(ours.certificate, ca)
  const settings = { redisUrl, redisTls: { ca, cert: null, key: null }, prefix: '{encrypted}' }
  const problems: string[] = []
  let drained = 0
  const handlers = {
    copy: () => Promise.resolve(),
    control: () => Promise.resolve(),
    drain: () => Promise.resolve(void (drained += 1)),
  }
  const concurrency = new Map([['drain', 1]] as const)
  const onProblem = (_: string, error: unknown): void => void problems.push(String(error))
  const consumer = new Consumer({ settings, handlers, concurrency, onProblem })
  const producer = await Producer.open(settings)
  try {
    await producer.add('drain', [{ kind: 'drain' }])
    await eventually('the first job is done', () => drained === 1, WAIT_MS)
    await show(await theirs.issue('next'))
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await eventually('the reason is reported', () => problems.some((each) => each.includes('authority')), WAIT_MS)
    copyFileSync(theirs.certificate, join(folder, 'new.pem'))
    renameSync(join(folder, 'new.pem'), ca)
    const added = (): Promise<boolean> =>
      producer.add('drain', [{ kind: 'drain' }]).then(
        () => true,
        () => false,
      )
    await eventually('a job can be added', added, WAIT_MS)
    await eventually('the second job is done', () => drained > 1, WAIT_MS)
  } finally {
    await producer.close()
    await consumer.close(2_000)
    await show(good)
  }
})

test('doctor reports an unencrypted line to Redis beyond this machine', async () => {
  const findings = async (url: string): Promise<string[]> => {
    const { out } = await cli(['doctor', '--json'], { ...ENDS, REDIS_URL: url })
    const { findings: all } = JSON.parse(out) as { findings: { code: string; side: string }[] }
    return all.filter(({ side }) => side === 'redis').map(({ code }) => code)
  }
  const { port } = new URL(servers.redisUrl)
  // an address of this machine that does not look like one
  assert.deepEqual(await findings(`redis://0.0.0.0:${port}`), ['line-unencrypted'])
})

interface Shown {
  readonly status: number
  readonly body: string
  readonly fingerprint: string
}

async function askTls(url: string, ca: string): Promise<Shown> {
  const headers = { authorization: `Basic ${Buffer.from(`admin:${PASSWORD}`).toString('base64')}` }
  const sent = request(url, { ca: readFileSync(ca), agent: false, headers }).end()
  const [response] = await once(sent, 'response')
  const fingerprint = response.socket.getPeerCertificate().fingerprint256 as string
  return { status: response.statusCode, body: await text(response), fingerprint }
}

test('the page is served over HTTPS, a replaced certificate by the next connection', async () => {
  const first = await ours.issue('page')
  const told: string[] = []
  const warn = (_: object, message: string): void => void told.push(message)
  const tls = { cert: first.certificate, key: first.key }
  await using page = await startDashboard(servers, 'none', { password: PASSWORD, tls, open, warn })
  assert.match(page.url, /^https:\/\/127\.0\.0\.1:\d+\/$/)
  const before = await askTls(`${page.url}healthz`, ours.certificate)
  assert.deepEqual([before.status, before.body], [200, 'ok\n'])
  assert.equal((await askTls(page.url, ours.certificate)).status, 200)
  await assert.rejects(askTls(page.url, theirs.certificate))
  const port = Number(new URL(page.url).port)
  const plain = connect(port, '127.0.0.1')
  plain.end('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  assert.doesNotMatch(await text(plain), /HTTP\/1\.1 200/)

  writeFileSync(first.certificate, 'half of a')
  const kept = await askTls(`${page.url}healthz`, ours.certificate)
  assert.equal(kept.fingerprint, before.fingerprint)
  assert.deepEqual(told, ['dashboard: the new certificate or key cannot be used; the previous pair stays in use'])
  await ours.issue('page')
  const next = await askTls(`${page.url}healthz`, ours.certificate)
  assert.equal(next.status, 200)
  assert.notEqual(next.fingerprint, before.fingerprint)
  const old = connectTls({
    port,
    host: '127.0.0.1',
    maxVersion: 'TLSv1.1',
    minVersion: 'TLSv1.1',
    rejectUnauthorized: false,
  })
  await assert.rejects(once(old, 'secureConnect'))
})

test('no password and no job is readable on the lines to Redis and to the page', async () => {
  const word = 'a word that only Redis hears'
  await admin.call('ACL', 'SETUSER', 'heard', 'on', `>${word}`, '~*', '&*', '+@all')
  const { certificate: cert, key } = await ours.issue('tapped page')
  await using page = await startDashboard(servers, 'none', { password: PASSWORD, tls: { cert, key }, open })
  const basic = Buffer.from(`admin:${PASSWORD}`).toString('base64')
  const marks = [word, '"kind":"drain"', basic, 'cannot connect']
  const at = (port: number): Promise<Awaited<ReturnType<typeof tapped>>> => tapped({ host: '127.0.0.1', port }, marks)
  const lines = {
    tls: await at(tlsPort),
    plain: await at(Number(new URL(servers.redisUrl).port)),
    page: await at(Number(new URL(page.url).port)),
  }
  const put = async (scheme: string, { proxy }: typeof lines.tls): Promise<void> => {
    const account = `heard:${encodeURIComponent(word)}`
    const redisTls = scheme === 'rediss' ? { ca: ours.certificate, cert: null, key: null } : null
    const url = `${scheme}://${account}@127.0.0.1:${proxy.port}`
    const producer = await Producer.open({ redisUrl: url, redisTls, prefix: `{${scheme}}` })
    await producer.add('drain', [{ kind: 'drain' }]).finally(() => producer.close())
  }
  try {
    await put('rediss', lines.tls)
    const shown = await askTls(`https://127.0.0.1:${lines.page.proxy.port}/api/status`, ours.certificate)
    assert.match(shown.body, /cannot connect/)
    assert.deepEqual([lines.tls.tap.heard(), lines.page.tap.heard()], [{}, {}])
    assert.ok(lines.tls.tap.bytes > 1_000 && lines.page.tap.bytes > 1_000)
    await put('redis', lines.plain)
    assert.deepEqual(Object.keys(lines.plain.tap.heard()).sort(), ['"kind":"drain"', word].sort())
  } finally {
    for (const { proxy } of Object.values(lines)) await proxy.close()
  }
})

test('wrong passwords are logged by address, throttled and never checked in bulk', async () => {
  const told: { fields: Record<string, unknown>; message: string }[] = []
  const warn = (fields: Record<string, unknown>, message: string): void => void told.push({ fields, message })
  await using page = await startDashboard(servers, 'none', { password: PASSWORD, open, warn })
  const as = (word: string): Record<string, string> => ({
    authorization: `Basic ${Buffer.from(`\u001b[31m\nadmin:${word}`).toString('base64')}`,
  })
  const guesses = Array.from({ length: 60 }, (_, n) => ask(page.url, { headers: as(`guess ${n}`) }))
  const statuses = (await Promise.all(guesses)).map(({ status }) => status)
  const looked = statuses.filter((status) => status === 401).length
  assert.ok(looked >= 10 && looked < 50, statuses.join())
  assert.deepEqual(new Set(statuses), new Set([401, 429]))
  const lines = told.filter(({ message }) => message === 'dashboard: refused log-in')
  assert.equal(lines.length, looked)
  for (const { fields } of lines) assert.deepEqual(fields, { address: '127.0.0.1' })
  assert.ok(told.some(({ message }) => message.includes('rejected unchecked')))
  const right = { authorization: `Basic ${Buffer.from(`admin:${PASSWORD}`).toString('base64')}` }
  assert.equal((await ask(page.url, { headers: right })).status, 200, 'the right one waits for its turn')
})

/** Sends an endless body: returns the bytes accepted until the connection ended, and the answer's first line. */
async function pour(port: number, head: readonly string[]): Promise<{ taken: number; answer: string }> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  const answer = text(socket).catch(() => '')
  socket.write(`${[...head, 'Host: localhost'].join('\r\n')}\r\n\r\n`)
  const piece = Buffer.alloc(65_536, 0x61)
  const ended = once(socket, 'close')
  for (let n = 0; n < 3_200 && socket.writable; n++)
    // A socket that breaks while it is full ends the wait by its `close`, the expected outcome.
    if (!socket.write(piece)) await Promise.race([once(socket, 'drain').catch(() => {}), ended])
  socket.destroy()
  return { taken: socket.bytesWritten, answer: (await answer).split('\r\n')[0] ?? '' }
}

test('no body is read without the password, and no large one with it', async () => {
  await using page = await startDashboard(servers, 'none', { password: PASSWORD, open })
  const port = Number(new URL(page.url).port)
  const right = `Authorization: Basic ${Buffer.from(`admin:${PASSWORD}`).toString('base64')}`
  for (const [status, more] of [
    ['401', []],
    ['413', [right]],
    ['401', ['Expect: 100-continue']],
  ] as const)
    for (const length of ['Content-Length: 209715200', 'Transfer-Encoding: chunked']) {
      const { taken, answer } = await pour(port, ['POST /api/tables/a/retry HTTP/1.1', length, ...more])
      assert.ok(taken < 20_000_000, `${length}: ${taken} bytes taken`)
      if (answer !== '') assert.match(answer, new RegExp(`^HTTP/1\\.1 (?:${status}|400) `))
    }
  const small = { method: 'POST', body: 'x'.repeat(100) }
  assert.equal((await ask(`${page.url}api/tables/a/retry`, small)).status, 401)
})

test('an address has a bounded number of connections, and silent ones are closed', async () => {
  await using page = await startDashboard(servers, 'none', { password: PASSWORD, open })
  const port = Number(new URL(page.url).port)
  const sockets = Array.from({ length: 80 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  try {
    const ended = (): number => sockets.filter((socket) => socket.closed).length
    await eventually('those beyond the bound are ended', () => ended() >= 16, WAIT_MS)
    for (const socket of sockets) socket.resume()
    await eventually('the silent ones are ended', () => ended() === 80, WAIT_MS)
    assert.equal((await ask(`${page.url}healthz`)).status, 200)
  } finally {
    for (const socket of sockets) socket.destroy()
  }
})
