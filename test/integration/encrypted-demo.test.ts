import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Authority, demonstrate, eventually, freePort, ServerSet } from '@mylab-sync/testkit'
import { Redis } from 'ioredis'
import { type Answer, ask } from '../support/ask.js'
import { ruleFirst, type Tapped, tapped } from '../support/lines.js'
import { Cli } from '../support/processes.js'

const NAME = 'clinic'
const HOST = '127.0.0.1'
const HEARD_MS = 60_000
const LINES = ['source', 'target', 'redis', 'page'] as const
type Line = (typeof LINES)[number]

const REDIS = { user: 'queues', password: 'the-word-of-the-queues' }
const PAGE_PASSWORD = 'the-word-of-the-page'
const BASIC = Buffer.from(`admin:${PAGE_PASSWORD}`).toString('base64')
/** Values of the sample database, the last one of the demo's live writes. */
const VALUES = ['Poliklinik ', 'dr. Ayu ', 'Pemeriksaan ', 'Jl. Merdeka ', 'Jl. Baru ']
/** Texts that appear on every line, whatever it carries. */
const WORDS = {
  source: 'SET NAMES utf8mb4',
  target: 'standard_conforming_strings',
  redis: '"kind":"drain"',
  page: 'HTTP/1.1',
}

let folder: string
let ours: Authority
let servers: ServerSet
let redisTlsPort: number
let pagePort: number
let marks: readonly string[]

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mylab-sync-demo-'))
  // the servers' user must be able to enter it
  chmodSync(folder, 0o755)
  ours = await Authority.create(folder)
  const { certificate, key } = await ours.issue('server')
  redisTlsPort = await freePort()
  const redis = ['tls-port', 'tls-auth-clients', 'tls-cert-file', 'tls-key-file', 'tls-ca-cert-file']
  const settings = [String(redisTlsPort), 'no', certificate, key, ours.certificate]
  servers = await ServerSet.start({
    services: ['mariadb', 'postgres', 'redis'],
    extraArguments: {
      mariadb: ['--loose-ssl', `--ssl-cert=${certificate}`, `--ssl-key=${key}`, `--ssl-ca=${ours.certificate}`],
      postgres: ['ssl=on', `ssl_cert_file=${certificate}`, `ssl_key_file=${key}`].flatMap((each) => ['-c', each]),
      redis: redis.flatMap((name, index) => [`--${name}`, settings[index] ?? '']),
    },
  })
  const admin = new Redis(servers.redisUrl)
  await admin.call('ACL', 'SETUSER', REDIS.user, 'on', `>${REDIS.password}`, '~*', '&*', '+@all')
  await admin.quit()
  // The password itself is sent, so that it could be heard: scram sends none.
  await ruleFirst(servers, `host all ${servers.product.target.user} ${HOST}/32 password`)
  pagePort = await freePort()
  const { source, target } = servers.product
  const passwords = [source.password, target.password, REDIS.password, PAGE_PASSWORD, BASIC]
  marks = [...new Set([...VALUES, ...Object.values(WORDS), ...passwords])]
})
after(async () => {
  await servers.close()
  rmSync(folder, { recursive: true })
})

type Taps = Readonly<Record<Line, Tapped>>

/** Routes every line of the product through a tap. */
async function tapAll(redisPort: number): Promise<Taps> {
  const at = (port: number): Promise<Tapped> => tapped({ host: HOST, port }, marks)
  const { source, target } = servers
  return {
    source: await at(source.port),
    target: await at(target.port),
    redis: await at(redisPort),
    page: await at(pagePort),
  }
}

/** The product knows no other port of any server. */
function environment(taps: Taps, scheme: 'redis' | 'rediss'): Record<string, string> {
  return {
    ...servers.environment({ source: NAME, target: NAME }),
    DB_PORT: String(taps.source.proxy.port),
    PGSQL_PORT: String(taps.target.proxy.port),
    REDIS_URL: `${scheme}://${REDIS.user}:${REDIS.password}@${HOST}:${taps.redis.proxy.port}`,
    SYNC_USE_QUEUE: 'true',
    SYNC_DASHBOARD_PORT: String(pagePort),
    SYNC_DASHBOARD_PASSWORD: PAGE_PASSWORD,
  }
}

function asViewer(url: string): Promise<Answer> {
  const ca = readFileSync(ours.certificate)
  return ask(url, { ca, headers: { authorization: `Basic ${BASIC}`, connection: 'close' } })
}

const isUp = (page: string): Promise<boolean> =>
  asViewer(`${page}/healthz`).then(
    ({ status }) => status === 200,
    () => false,
  )

async function lookAtPage(page: string): Promise<void> {
  for (const path of ['/', '/api/status', '/queues', '/metrics', '/readyz'])
    assert.equal((await asViewer(page + path)).status, 200, path)
}

test('the whole demo over encrypted lines exposes no value and no password', async (t) => {
  const taps = await tapAll(redisTlsPort)
  const { certificate: authority } = ours
  const page = await ours.issue('page')
  const dashboard = `https://${HOST}:${taps.page.proxy.port}`
  const said: string[] = []
  try {
    const isEqual = await demonstrate(
      {
        servers,
        environment: {
          ...environment(taps, 'rediss'),
          DB_SSLROOTCERT: authority,
          PGSQL_SSLROOTCERT: authority,
          REDIS_TLS_CA: authority,
          SYNC_DASHBOARD_TLS_CERT: page.certificate,
          SYNC_DASHBOARD_TLS_KEY: page.key,
        },
        dashboard,
        dashboardAnswers: () => isUp(dashboard),
        signal: t.signal,
        say: (line) => void said.push(line),
      },
      async (product) => {
        const inspected = ['doctor', 'show-errors', 'verify-counts'].map((command) => product.run([command], [0, 5]))
        await Promise.all([...inspected, lookAtPage(dashboard)])
      },
    )
    assert.ok(isEqual, said.join('\n'))
    for (const line of LINES) {
      const { tap } = taps[line]
      t.diagnostic(`${line}: ${tap.bytes} bytes`)
      assert.deepEqual(tap.heard(), {}, line)
    }
    // the sample's own size, and what a few pages and jobs take
    const { source, target, redis, page: viewed } = taps
    assert.ok(source.tap.bytes > 10_000_000 && target.tap.bytes > 10_000_000)
    assert.ok(redis.tap.bytes > 100_000 && viewed.tap.bytes > 10_000)
  } finally {
    for (const { proxy } of Object.values(taps)) await proxy.close()
  }
})

test('the same tap on unencrypted lines sees the values and each password sent', async () => {
  const { port } = new URL(servers.redisUrl)
  const taps = await tapAll(Number(port))
  const product = new Cli({ ...environment(taps, 'redis'), DB_SSLMODE: 'disable', PGSQL_SSLMODE: 'disable' })
  const page = `http://${HOST}:${taps.page.proxy.port}`
  const app = await servers.sourceAdmin(NAME)
  const heard = new Map<Line, Set<string>>(LINES.map((line) => [line, new Set()]))
  const hears = (line: Line, ...words: readonly string[]): boolean => {
    const all = heard.get(line)
    for (const word of Object.keys(taps[line].tap.heard())) all?.add(word)
    return words.every((word) => all?.has(word))
  }
  try {
    for (const process of ['scheduler', 'worker', 'dashboard']) product.start([process])
    await eventually('the page answers', () => isUp(page), HEARD_MS)
    await lookAtPage(page)
    await app.query(`UPDATE poli SET aktif = 1 - aktif; UPDATE dokter SET tarif = tarif + 1; UPDATE pemeriksaan SET harga = harga + 1;
      UPDATE pasien SET nama = 'changed' WHERE alamat LIKE 'Jl. Merdeka %' LIMIT 5; UPDATE pasien SET alamat = 'Jl. Baru 1' LIMIT 5`)
    for (const side of ['source', 'target'] as const)
      await eventually(`${side}: the values are heard`, () => hears(side, WORDS[side], ...VALUES), HEARD_MS)
    // MySQL and MariaDB receive no password over an unencrypted line, only a hash of it.
    assert.ok(hears('target', servers.product.target.password))
    assert.ok(hears('redis', WORDS.redis, REDIS.password))
    assert.ok(hears('page', WORDS.page, BASIC))
  } finally {
    await product.close()
    await app.end()
    for (const { proxy } of Object.values(taps)) await proxy.close()
  }
})
