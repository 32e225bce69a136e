import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { TLS_MODES } from '@mylab-sync/core'
import { suggestedAnswers } from './answers.js'
import { loadConfig, type ResolvedConfig } from './config.js'
import { writtenConfig } from './written-config.js'

const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUfRkGKm7R/h9ayjoEH7JBI2JW5R8wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJYXV0aG9yaXR5MB4XDTI2MTEzMDE3MDg0OVoXDTI2MTIwMTE3
MDg0OVowFDESMBAGA1UEAwwJYXV0aG9yaXR5MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAE65OjlWoIUkSRCkBaEGUyx2BO/a6IH3jyjhIvg1R8C2+a8jM9NDutMFaW
04npc67ajL3CzYA95hTXko1NY9YdkqNTMFEwHQYDVR0OBBYEFNyRm7yWEz2sO+f5
4ew9FoXw9dtuMB8GA1UdIwQYMBaAFNyRm7yWEz2sO+f54ew9FoXw9dtuMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgfIQcUQKN2XEv+8s9pnVWoJdW
oNkrNKKZY6ypQ7ZVPXUCIQDkwOVWiJIxhDs83md6riHp//Uq53Tj7jHs11rU7wdw
YQ==
-----END CERTIFICATE-----
`
const folder = mkdtempSync(join(tmpdir(), 'mylab-tls-'))
after(() => rmSync(folder, { recursive: true }))
const made = (name: string, content: string | Buffer): string => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}
const authority = made('ca.pem', CERTIFICATE)
const other = made('other.pem', CERTIFICATE)
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const key = made('key.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }))
const locked = made('locked.pem', privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'Sesame' })) // biome-ignore format: one line
const text = made('text.pem', 'Sesame')

const ENDS = { DB_DATABASE: 'shop', PGSQL_DATABASE: 'shop' }
const load = (env: Readonly<Record<string, string>>, file?: string): ResolvedConfig =>
  loadConfig({ env: { ...ENDS, ...env }, directory: folder, ...(file === undefined ? {} : { file }) })
const refused = (env: Readonly<Record<string, string>>, message: RegExp): void => {
  assert.throws(
    () => load(env),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'configuration')
      assert.match(error.message, message)
      assert.doesNotMatch(error.message, /Sesame|\n/)
      return true
    },
  )
}
const MODES = TLS_MODES.join(', ').replace(', verify-full', ' or verify-full')

test('each TLS mode is accepted on both sides, in libpq and MySQL spelling', () => {
  for (const mode of TLS_MODES) {
    const { source, target } = load({ DB_SSLMODE: mode.toUpperCase(), PGSQL_SSLMODE: mode })
    assert.deepEqual([source.tls.mode, target.tls.mode], [mode, mode])
    assert.equal(load({ SYNC_SOURCE_URL: `mysql://u@h/shop?ssl-mode=${mode}` }).source.tls.mode, mode)
    assert.equal(load({ SYNC_TARGET_URL: `postgres://u@h/shop?sslmode=${mode}` }).target.tls.mode, mode)
  }
  for (const [index, spelt] of ['DISABLED', 'PREFERRED', 'REQUIRED', 'VERIFY_CA', 'VERIFY_IDENTITY'].entries()) {
    assert.equal(load({ SYNC_SOURCE_URL: `mysql://u@h/shop?ssl-mode=${spelt}` }).source.tls.mode, TLS_MODES[index])
    assert.equal(load({ DB_SSLMODE: spelt }).source.tls.mode, TLS_MODES[index])
  }
})

test('mode defaults to prefer, or verify-full with a CA; require with a CA verifies it', () => {
  assert.deepEqual([load({}).source.tls.mode, load({}).target.tls.mode], ['prefer', 'prefer'])
  for (const name of ['DB_SSLROOTCERT', 'MYSQL_ATTR_SSL_CA'])
    assert.deepEqual(load({ [name]: authority }).source.tls, { mode: 'verify-full', rootCert: authority, cert: null, key: null }) // biome-ignore format: one line
  assert.equal(load({ PGSQL_SSLROOTCERT: authority }).target.tls.mode, 'verify-full')
  assert.equal(load({ DB_SSLROOTCERT: authority, DB_SSLMODE: 'require' }).source.tls.mode, 'verify-ca')
  assert.equal(load({ PGSQL_SSLROOTCERT: authority, PGSQL_SSLMODE: 'prefer' }).target.tls.mode, 'prefer')
})

test('variables beat the URL, which beats the file, where the older name comes last', () => {
  const file = made(
    'mine.yaml',
    `source: { sslMode: require, sslRootCert: ${authority} }
target: { sslmode: disable, url: 'postgres://u@h/shop?sslmode=require' }`,
  )
  assert.equal(load({}, file).source.tls.mode, 'verify-ca')
  assert.equal(load({ DB_SSLMODE: 'disable' }, file).source.tls.mode, 'disable')
  assert.equal(load({ DB_SSLROOTCERT: other }, file).source.tls.rootCert, other)
  assert.equal(load({}, file).target.tls.mode, 'require')
  assert.equal(load({}, made('older.yaml', 'target: { sslmode: require }')).target.tls.mode, 'require')
  const url = `postgres://u@h/shop?sslrootcert=${encodeURIComponent(authority)}`
  assert.deepEqual(load({ SYNC_TARGET_URL: url }).target.tls.rootCert, authority)
  const mine = `mysql://u@h/shop?ssl-ca=${authority}&ssl-mode=VERIFY_CA`
  assert.deepEqual(load({ SYNC_SOURCE_URL: mine }).source.tls, { mode: 'verify-ca', rootCert: authority, cert: null, key: null }) // biome-ignore format: one line
})

test('an unknown mode is reported with the allowed ones', () => {
  refused({ DB_SSLMODE: 'allow' }, new RegExp(`^environment: DB_SSLMODE: found allow, expected ${MODES}$`))
  refused(
    { PGSQL_SSLMODE: 'VERIFY_CA' },
    new RegExp(`^environment: PGSQL_SSLMODE: found VERIFY_CA, expected ${MODES}$`),
  )
  refused(
    { SYNC_SOURCE_URL: 'mysql://u@h/shop?ssl-mode=on' },
    /^environment: SYNC_SOURCE_URL: ssl-mode: found on, expected/,
  )
  refused(
    { SYNC_TARGET_URL: 'postgres://u@h/shop?sslmode=Sesame%40h' },
    /SYNC_TARGET_URL: sslmode: found \[another text\]/,
  )
})

test('a missing or wrong file is reported by name, a key never by its content', () => {
  refused(
    { DB_SSLROOTCERT: '/nowhere/ca.pem' },
    /^environment: DB_SSLROOTCERT: \/nowhere\/ca.pem cannot be read, expected/,
  )
  refused({ MYSQL_ATTR_SSL_CA: folder }, /^environment: MYSQL_ATTR_SSL_CA: .* cannot be read, expected a file$/)
  refused({ PGSQL_SSLROOTCERT: text }, /^environment: PGSQL_SSLROOTCERT: .* holds no certificate, expected PEM$/)
  refused({ DB_SSLCERT: authority }, /^environment: DB_SSLCERT: given without DB_SSLKEY, expected both$/)
  refused({ PGSQL_SSLKEY: key }, /^environment: PGSQL_SSLKEY: given without PGSQL_SSLCERT, expected both$/)
  for (const wrong of [text, locked, key])
    refused(
      { PGSQL_SSLCERT: authority, PGSQL_SSLKEY: wrong },
      /^environment: PGSQL_SSLKEY: .* is not the key of .*, expected/,
    )
})

test('the file that init writes keeps TLS modes and file names', () => {
  const urls = {
    source: `mysql://u@h/shop?ssl-ca=${authority}&ssl-mode=PREFERRED`,
    target: `postgres://u@h/shop?sslrootcert=${authority}`,
  }
  const answers = suggestedAnswers({ env: {}, directory: '/nowhere' }, urls)
  const config = load({}, made('written.yaml', writtenConfig(answers).yaml))
  assert.deepEqual([config.source.tls, config.target.tls], [answers.source.tls, answers.target.tls])
})

test('init takes TLS settings from the environment where a URL has none', () => {
  const env = { DB_SSLMODE: 'require', PGSQL_SSLROOTCERT: authority }
  const modes = (source: string, target: string): string[] => {
    const answers = suggestedAnswers({ env, directory: '/nowhere' }, { source, target })
    return [answers.source.tls.mode, answers.target.tls.mode]
  }
  assert.deepEqual(modes('mysql://u@h/shop', 'postgres://u@h/shop'), ['require', 'verify-full'])
  assert.deepEqual(modes('mysql://u@h/shop?ssl-mode=DISABLED', 'postgres://u@h/shop?sslmode=prefer'), [
    'disable',
    'prefer',
  ])
})
