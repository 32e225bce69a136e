import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { NO_TLS, type Source, SyncError, type Target, TLS_MODES, tlsReason, type TlsSettings } from '@mylab-sync/core'
import { createSource } from '@mylab-sync/source-mysql'
import { createTarget } from '@mylab-sync/target-postgres'
import { Authority, eventually, shared, sharedServers } from '@mylab-sync/testkit'
import { readText } from '../support/deployment.js'
import { reloadCertificates, ruleFirst, tapped } from '../support/lines.js'
import { cli } from '../support/run.js'

const NAME = 'encrypted_lines'
const HOST = '127.0.0.1'
/** Long enough for both servers to load a certificate that expires then. */
const SHORT_MS = 4_000
const VALUE = 'PlantedValue5e1f'
/** The first statement of each of our sessions, which a plaintext line shows. */
const FIRST_WORDS = { source: 'SET NAMES utf8mb4', target: 'standard_conforming_strings' }
const SIDES = ['source', 'target'] as const
type Side = (typeof SIDES)[number]
const outer = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

const servers = await sharedServers({
  services: ['mariadb', 'postgres'],
  // From 11.4 on MariaDB creates a certificate for itself, as MySQL does.
  extraArguments: { mariadb: ['--bind-address=*', '--loose-skip-ssl'], postgres: ['-c', 'listen_addresses=*'] },
})
await servers.createDatabases({ source: NAME, target: NAME })
const ours = await Authority.create(join(servers.directory, 'ours'), 'authority')
// One beside the other, so that a certificate of either can replace the servers' own.
const strange = await Authority.create(join(servers.directory, 'ours'), 'stranger')
const foreign = await Authority.create(join(servers.directory, 'foreign'), 'foreigner')
const client = await ours.issue('client')
const marks = [VALUE, servers.product.source.password]
const lines = {
  source: await shared(tapped(servers.source, [FIRST_WORDS.source, ...marks]), ({ proxy }) => proxy.close()),
  target: await shared(tapped(servers.target, [FIRST_WORDS.target, ...marks]), ({ proxy }) => proxy.close()),
}

interface Using {
  readonly tls: TlsSettings
  readonly user?: string
  readonly password?: string
}

function openSource({ tls, ...login }: Using): Promise<Source> {
  const { port } = lines.source.proxy
  const names = { database: NAME, auditTable: 'sync_audit_log', instance: 'default' }
  return createSource({ host: HOST, port, ...servers.product.source, ...names, tls, ...login })
}

function openTarget({ tls, ...login }: Using): Promise<Target> {
  const { port } = lines.target.proxy
  const names = { database: NAME, schema: 'public', stateSchema: 'mylab_sync', instance: 'default' }
  return createTarget({ host: HOST, port, ...servers.product.target, ...names, tls, ...login })
}

/** How a tap sees the line, or why no connection was established. */
async function outcome(side: Side, using: Using): Promise<string> {
  const { tap } = lines[side]
  tap.heard()
  try {
    const opened = await (side === 'source' ? openSource(using) : openTarget(using))
    await opened.close()
  } catch (error) {
    assert.ok(error instanceof SyncError, String(error))
    assert.equal(error.code, 'cannot-connect', error.message)
    assert.ok(error.message.startsWith(side), error.message)
    assert.ok(error.remedy)
    assert.doesNotMatch(error.remedy, side === 'source' ? /PGSQL_/ : /DB_/)
    assert.deepEqual(tap.heard(), {}, 'nothing is said over a line that is refused')
    const [, code = error.message] = /\((?:[^()]*, )?([A-Z0-9_/]+)\)/.exec(error.message) ?? []
    const reason = tlsReason(error.cause)
    assert.ok(reason === null || error.message.includes(`${reason} (`), error.message)
    return reason ?? code
  }
  return FIRST_WORDS[side] in tap.heard() ? 'plaintext' : 'encrypted'
}

const asking = (mode: TlsSettings['mode'], more: Partial<TlsSettings> = {}): Using => ({
  tls: { ...NO_TLS, mode, rootCert: mode.startsWith('verify') ? ours.certificate : null, ...more },
})
const OURS = { get pair(): Partial<TlsSettings> { return { cert: client.certificate, key: client.key } } } // biome-ignore format: one line

/** By the head of its column in the page. */
const CERTIFICATES: readonly (readonly [column: string, reason: string, show: (() => Promise<unknown>) | null])[] = [
  ['none offered', 'it offers no encryption', null],
  ['good certificate', '', () => ours.issue('server', { names: [`IP:${HOST}`, `IP:${outer ?? HOST}`] })],
  ['expired', 'its certificate has expired', () => ours.issue('server', { validMs: SHORT_MS })],
  // The driver of the source takes an address for this name.
  [
    'for another name',
    'its certificate was issued for another name',
    () => ours.issue('server', { names: ['DNS:localhost'] }),
  ],
  ['of an unknown authority', 'its certificate was issued by an unknown authority', () => strange.issue('server')],
]

/** The page's outcomes of one column, mode by mode. */
function documented(column: string): Map<string, string> {
  const rows = readText('docs/encrypted-lines.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && line.split(' | ').length === 7)
    .map((line) => line.replace(/^\| | \|$/g, '').split(' | '))
  const at = rows[0]?.indexOf(column) ?? -1
  assert.ok(at > 1, column)
  return new Map(
    rows.slice(1).map((row) => [/(`[\w-]+`)$/.exec(row[0] ?? '')?.[1]?.replaceAll('`', '') ?? '', row[at] ?? '']),
  )
}

function hasExpired(): boolean {
  const { validTo } = new X509Certificate(readFileSync(join(servers.directory, 'ours/server.pem')))
  return Date.parse(validTo) < Date.now()
}

async function startWithTls(): Promise<void> {
  const { certificate, key } = await ours.issue('server')
  // MySQL presents no certificate that its own authorities did not sign.
  const known = join(servers.directory, 'known.pem')
  writeFileSync(known, `${readFileSync(ours.certificate, 'utf8')}${readFileSync(strange.certificate, 'utf8')}`)
  const settings = { ssl_cert_file: certificate, ssl_key_file: key, ssl_ca_file: known, ssl: 'on' }
  const assigned = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  for (const service of ['mariadb', 'postgres'] as const) await servers.stop(service)
  await servers.start('mariadb', ['--loose-ssl', `--ssl-cert=${certificate}`, `--ssl-key=${key}`, `--ssl-ca=${known}`])
  await servers.start('postgres', assigned)
}

/** Servers without TLS, until one of the next tests switches it on. */
async function startWithoutTls(): Promise<void> {
  if (!servers.isMysql) return
  await servers.stop('mariadb')
  await servers.start('mariadb', ['--tls-version='])
}

test('each mode ends as documented for each certificate, on both sides', async () => {
  await startWithoutTls()
  for (const [column, reason, show] of CERTIFICATES) {
    if (column === 'good certificate') await startWithTls()
    if (show !== null) {
      await show()
      await reloadCertificates(servers)
    }
    if (column === 'expired') await eventually('it has expired', hasExpired, 2 * SHORT_MS)
    const said = documented(column)
    assert.deepEqual([...said.keys()], [...TLS_MODES])
    for (const side of SIDES)
      for (const mode of TLS_MODES) {
        const expected = said.get(mode) === 'exit 4' ? reason : said.get(mode)
        assert.equal(await outcome(side, asking(mode)), expected, `${side}, ${mode}, ${column}`)
      }
  }
})

async function showGood(): Promise<void> {
  await ours.issue('server', { names: [`IP:${HOST}`, `IP:${outer ?? HOST}`] })
  await reloadCertificates(servers)
}

test('a name is matched as configured, an address only among addresses', async () => {
  await showGood()
  const { port } = lines.source.proxy
  const at = { database: NAME, auditTable: 'sync_audit_log', instance: 'default', ...servers.product.source, port }
  const named = createSource({ ...at, host: 'localhost', ...asking('verify-full') })
  await assert.rejects(named, { message: /another name/ })
  await ours.issue('server', { names: ['DNS:localhost'] })
  await reloadCertificates(servers)
  await (await createSource({ ...at, host: 'localhost', ...asking('verify-full') })).close()
})

test('prefer falls back to plaintext when the handshake fails, require does not', async () => {
  await showGood()
  const hello = Buffer.from([0x16, 0x03, 0x01])
  for (const side of SIDES) {
    const { tap, proxy } = lines[side]
    tap.onData = (data) => {
      if (data.includes(hello)) proxy.cut()
    }
    try {
      assert.equal(await outcome(side, asking('prefer')), 'plaintext')
      assert.equal(await outcome(side, asking('require')), 'the TLS handshake fails')
      assert.equal(await outcome(side, asking('verify-full')), 'the TLS handshake fails')
    } finally {
      tap.onData = () => {}
    }
  }
})

test("a client certificate is shown on request, and a stranger's is refused", async () => {
  const login = { user: 'with_certificate', password: 'pw' }
  const source = await servers.sourceAdmin(NAME)
  await source.query(
    `CREATE USER with_certificate IDENTIFIED BY 'pw' REQUIRE X509; GRANT SELECT ON ${NAME}.* TO with_certificate`,
  )
  await source.end()
  const target = await servers.targetAdmin()
  await target.query("CREATE ROLE with_certificate LOGIN PASSWORD 'pw'").finally(() => target.end())
  await ruleFirst(servers, `hostssl ${NAME} with_certificate ${HOST}/32 scram-sha-256 clientcert=verify-ca`)
  const others = await foreign.issue('client')
  const late = await ours.issue('late-client', { expired: true })
  for (const side of SIDES) {
    assert.equal(await outcome(side, { ...asking('require', OURS.pair), ...login }), 'encrypted', side)
    assert.match(await outcome(side, { ...asking('require'), ...login }), side === 'source' ? /^1045$/ : /^28000$/)
    for (const { certificate, key } of [others, late]) {
      const refused = await outcome(side, { ...asking('require', { cert: certificate, key }), ...login })
      assert.equal(refused, 'it refuses our client certificate', side)
    }
  }
})

test('prefer takes whichever kind of connection pg_hba.conf admits', async () => {
  const admin = await servers.targetAdmin()
  await admin.query("CREATE ROLE without_tls LOGIN PASSWORD 'pw'").finally(() => admin.end())
  await ruleFirst(servers, `hostssl ${NAME} without_tls ${HOST}/32 reject`)
  const login = { user: 'without_tls', password: 'pw' }
  assert.equal(await outcome('target', { ...asking('prefer'), ...login }), 'plaintext')
  assert.match(await outcome('target', { ...asking('require'), ...login }), /^28000$/)
  assert.equal(await outcome('target', asking('prefer')), 'encrypted')
})

test('a replaced CA is used by the next connection of a running process', async () => {
  await showGood()
  const rootCert = join(servers.directory, 'root.pem')
  const replaced = (authority: Authority): void => {
    copyFileSync(authority.certificate, `${rootCert}.new`)
    renameSync(`${rootCert}.new`, rootCert)
  }
  replaced(ours)
  const tls: TlsSettings = { ...NO_TLS, mode: 'verify-full', rootCert }
  const source = await openSource({ tls })
  const target = await openTarget({ tls })
  try {
    await strange.issue('server')
    await reloadCertificates(servers)
    const again = async (): Promise<unknown> => {
      for (const side of SIDES) {
        lines[side].proxy.cut()
        lines[side].tap.heard()
      }
      const asked = await Promise.allSettled([source.catalog.read(), target.tables.hindrances([])])
      return asked.map((each) => (each.status === 'rejected' ? 'refused' : 'answered'))
    }
    assert.deepEqual(await again(), ['refused', 'refused'])
    replaced(strange)
    assert.deepEqual(await again(), ['answered', 'answered'])
    for (const side of SIDES) assert.deepEqual(lines[side].tap.heard(), {}, side)
  } finally {
    await source.close()
    await target.close()
  }
})

test('caching_sha2_password logs in over either kind of line, cached or not', {
  skip: process.env['TEST_MYSQL_ROOT'] ? false : 'MariaDB has no such account',
}, async () => {
  const login = { user: 'hashed', password: 'Paßwort, länger als ein Block: 漢字 and so on and on' }
  await using admin = await servers.sourceAdmin(NAME)
  await admin.query(`CREATE USER hashed IDENTIFIED WITH caching_sha2_password BY ${admin.escape(login.password)}`)
  await admin.query(`GRANT SELECT ON ${NAME}.* TO hashed`)
  for (const [mode, line] of [
    ['disable', 'plaintext'],
    ['require', 'encrypted'],
    ['prefer', 'encrypted'],
  ] as const) {
    // biome-ignore format: one line
    await admin.query('FLUSH PRIVILEGES')
    for (const state of ['unknown', 'known'])
      assert.equal(await outcome('source', { ...asking(mode), ...login }), line, `${mode}, ${state}`)
  }
})

/** The environment of a command whose lines pass the taps. */
function commandEnv(more: Readonly<Record<string, string>>): Record<string, string> {
  const ports = { DB_PORT: String(lines.source.proxy.port), PGSQL_PORT: String(lines.target.proxy.port) }
  return { ...servers.environment({ source: NAME, target: NAME }), ...ports, SYNC_USE_QUEUE: 'false', ...more }
}

test('no value and no password is readable on either line, from set-up to last drain', async () => {
  await showGood()
  await using app = await servers.sourceAdmin(NAME)
  await app.query(`CREATE TABLE patients (id INT PRIMARY KEY, name VARCHAR(200)) ENGINE=InnoDB`)
  await app.query(
    `INSERT INTO patients VALUES ${Array.from({ length: 500 }, (_, id) => `(${id}, '${VALUE} ${id}')`).join()}`,
  )
  const verified = { DB_SSLROOTCERT: ours.certificate, PGSQL_SSLROOTCERT: ours.certificate }
  const commands = async (env: Record<string, string>, ...all: string[]): Promise<void> => {
    for (const line of all) {
      const { code, err } = await cli(line.split(' '), commandEnv(env))
      assert.equal(code, 0, `${line}: ${err}`)
    }
  }
  const bytes = SIDES.map((side) => lines[side].tap.bytes)
  for (const side of SIDES) lines[side].tap.heard()
  await commands(verified, 'migrate', 'initial --create-tables')
  await app.query(`UPDATE patients SET name = CONCAT(name, ' changed') WHERE id < 100`)
  await commands(verified, 'database --once', 'verify-counts')
  for (const [index, side] of SIDES.entries()) {
    assert.deepEqual(lines[side].tap.heard(), {}, side)
    assert.ok(lines[side].tap.bytes - (bytes[index] ?? 0) > 500 * VALUE.length, `${side}: all rows have passed`)
  }
  await app.query('UPDATE patients SET name = CONCAT(name, 1) WHERE id = 0')
  await commands({ DB_SSLMODE: 'disable', PGSQL_SSLMODE: 'disable' }, 'database --once')
  for (const side of SIDES) assert.ok((lines[side].tap.heard()[VALUE] ?? 0) > 0, `${side}: the tap hears`)
})

test('a refused certificate ends a command with 4, meaningless TLS settings with 3', async () => {
  await showGood()
  const none = join(servers.directory, 'none.pem')
  const said = async (env: Readonly<Record<string, string>>): Promise<string> => {
    const { code, err } = await cli(['status'], commandEnv(env))
    assert.doesNotMatch(err, /PRIVATE KEY|private-password/)
    return `${code} ${err}`
  }
  const [source, target, mode, file] = await Promise.all([
    said({ DB_SSLROOTCERT: strange.certificate }),
    said({ PGSQL_SSLROOTCERT: strange.certificate }),
    said({ DB_SSLMODE: 'allow' }),
    said({ PGSQL_SSLROOTCERT: none }),
  ])
  assert.match(
    source,
    /^4 mylab-sync: source: .*its certificate was issued by an unknown authority.*\n {2}try: .*DB_SSLROOTCERT.*\n$/,
  )
  assert.match(
    target,
    /^4 mylab-sync: target .*its certificate was issued by an unknown authority.*\n {2}try: .*PGSQL_SSLROOTCERT.*\n$/,
  )
  assert.match(
    mode,
    /^3 mylab-sync: environment: DB_SSLMODE: found allow, expected disable, prefer, require, verify-ca or verify-full\n$/,
  )
  assert.match(file, /^3 mylab-sync: environment: PGSQL_SSLROOTCERT: .*none\.pem cannot be read, expected a file\n$/)
})

test('doctor warns of each line beyond this machine that is unencrypted or unverified', {
  skip: outer === undefined ? 'this machine has no address beyond loopback' : false,
}, async () => {
  const host = outer ?? HOST
  await showGood()
  await ruleFirst(servers, `host ${NAME} all ${host}/32 scram-sha-256`)
  const direct = servers.environment({ source: NAME, target: NAME })
  const warnings = async (env: Readonly<Record<string, string>>): Promise<string[]> => {
    const { out, err } = await cli(['doctor', '--json'], { ...direct, SYNC_USE_QUEUE: 'false', ...env })
    const { findings } = JSON.parse(out || assert.fail(err)) as { findings: { code: string; side: string }[] }
    return findings.filter(({ code }) => code.startsWith('line-')).map(({ code, side }) => `${side} ${code}`)
  }
  const at = { DB_HOST: host, PGSQL_HOST: host }
  const [near, plain, encrypted, verified] = await Promise.all([
    warnings({ DB_SSLMODE: 'disable', PGSQL_SSLMODE: 'disable' }),
    warnings({ ...at, DB_SSLMODE: 'disable', PGSQL_SSLMODE: 'disable' }),
    warnings(at),
    warnings({ ...at, DB_SSLROOTCERT: ours.certificate, PGSQL_SSLROOTCERT: ours.certificate }),
  ])
  assert.deepEqual(near, [])
  assert.deepEqual(plain, ['source line-unencrypted', 'target line-unencrypted'])
  assert.deepEqual(encrypted, ['source line-unverified', 'target line-unverified'])
  assert.deepEqual(verified, [])
})
