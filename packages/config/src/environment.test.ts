import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig, type ResolvedConfig } from './config.js'

const ENDS = { DB_DATABASE: 'shop', PGSQL_DATABASE: 'shop' }
const load = (env: Readonly<Record<string, string>>): ResolvedConfig =>
  loadConfig({ env: { ...ENDS, ...env }, directory: '/nonexistent' })
const refused = (env: Readonly<Record<string, string>>, message: RegExp): void => {
  assert.throws(() => load(env), { code: 'configuration', message })
}

test('an empty variable counts as unset, and the Redis password "null" as none', () => {
  assert.equal(load({ DB_SOCKET: '', DB_HOST: '' }).source.socket, null)
  assert.equal(load({ DB_HOST: '' }).source.host, '127.0.0.1')
  assert.equal(load({ REDIS_HOST: 'cache', REDIS_PASSWORD: 'null' }).redisUrl, 'redis://cache:6379')
  assert.equal(load({ REDIS_HOST: 'cache', REDIS_PASSWORD: 'a/b' }).redisUrl, 'redis://:a%2Fb@cache:6379')
})

test('query parameters of the target URL apply, but yield to its own variables', () => {
  const url = 'postgres://u:p@pg/shop?sslmode=require&schema=mine'
  const { tls, schema } = load({ SYNC_TARGET_URL: url }).target
  assert.deepEqual([tls.mode, schema], ['require', 'mine'])
  assert.equal(load({ SYNC_TARGET_URL: url, PGSQL_SSLMODE: 'disable' }).target.tls.mode, 'disable')
  refused(
    { SYNC_SOURCE_URL: 'mysql://u@db/shop?ssl=1' },
    /SYNC_SOURCE_URL: found ssl=\[secret\], expected nothing but socket=PATH, ssl-mode=MODE, .* after/,
  )
})

test('numbers and keywords are validated, and errors list what is allowed', () => {
  const { batchRows, retry, log } = load({
    SYNC_BATCH_SIZE: '20',
    SYNC_RETRY_MAX_ATTEMPTS: '7',
    SYNC_RETRY_DELAY: '50',
    SYNC_LOG_LEVEL: 'WARN',
    SYNC_LOG_FORMAT: 'json',
  })
  assert.deepEqual({ batchRows, retry, log }, { batchRows: 20, retry: { maxAttempts: 7, delayMs: 50 }, log: { level: 'warn', format: 'json' } }) // biome-ignore format: one line
  assert.deepEqual(load({}).retry, { maxAttempts: 3, delayMs: 100 })
  refused({ SYNC_BATCH_SIZE: '0' }, /SYNC_BATCH_SIZE: found 0, expected a whole number above 0/)
  refused({ SYNC_RETRY_DELAY: 'soon' }, /SYNC_RETRY_DELAY: found soon, expected/)
  refused({ SYNC_LOG_LEVEL: 'loud' }, /SYNC_LOG_LEVEL: found loud, expected trace, debug, .* or silent/)
  refused({ SYNC_LOG_FORMAT: 'xml' }, /SYNC_LOG_FORMAT: found xml, expected pretty or json/)
})

test('variables of the older package still work, but yield to the new ones', () => {
  const old = { SYNC_INCLUDE_TABLES: 'a,b', SYNC_EXCLUDE_TABLES: 'b', SYNC_RETRY_MAX: '5' }
  const { include, exclude, retry } = load(old)
  assert.deepEqual([include, exclude, retry.maxAttempts], [['a', 'b'], ['b'], 5])
  assert.deepEqual(load({ ...old, SYNC_TABLES_INCLUDE: '*', SYNC_TABLES_EXCLUDE: 'c' }).exclude, ['c'])
})

test('an invalid address is reported without quoting any of it', () => {
  const urls = {
    SYNC_SOURCE_URL: ['mysql://u:Sesame%@db/shop', 'http://u:Sesame@db/shop', 'mysql://u@db/shop?password=Sesame'],
    SYNC_TARGET_URL: ['postgres://u:Sesame%zz@pg/shop', ':Sesame@pg', 'postgres://u@pg/shop?password=Sesame'],
    REDIS_URL: ['redis://:Sesame%@cache', 'http://:Sesame@cache', ':Sesame@cache'],
  }
  for (const [name, values] of Object.entries(urls))
    for (const value of values) refused({ [name]: value }, new RegExp(`^environment: ${name}: (?!.*Sesame)`))
})

test('each fault of the file gets one line: place, found, allowed, never a secret', () => {
  const directory = mkdtempSync(join(tmpdir(), 'mylab-config-'))
  const file = join(directory, 'mylab-sync.yaml')
  writeFileSync(
    file,
    `source: { prot: 3306, password: 12 }
target: { sslMode: 1, port: 99999 }
batchSize: many
instance: a b
tables: { include: x, patients: { colums: {} } }
retry: 3
redis: redis://:sesame@cache
top: 1`,
  )
  try {
    assert.throws(
      () => loadConfig({ env: ENDS, directory }),
      ({ message }: Error) => {
        const lines = message.replaceAll(`${file}: `, '').split('\n').sort()
        assert.deepEqual(lines, [
          '(top): found top, expected source, target, redis, batchSize, intervalSeconds, performance, instance, auditTable, retry, names, schemaChanges, verify, types, tables, monitoring, dashboard',
          'batchSize: found many, expected a number',
          'instance: found a b, expected letters, digits, _ and -, at most 32',
          'redis: found a text, expected a map',
          'retry: found 3, expected a map',
          'source.password: found [secret], expected a string',
          'source: found prot, expected url, host, port, database, username, password, socket, sslMode, sslRootCert, sslCert, sslKey',
          'tables.include: found x, expected a list of patterns, or a map with columns',
          'tables.patients: found colums, expected columns',
          'target.port: found 99999, expected at most 65535',
          'target.sslMode: found 1, expected a string',
        ])
        return true
      },
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})
