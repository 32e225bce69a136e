import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { suggestedAnswers } from './answers.js'
import { loadConfig, type ResolvedConfig } from './config.js'

const ENDS = { DB_DATABASE: 'shop', PGSQL_DATABASE: 'shop' }
const load = (env: Readonly<Record<string, string>>): ResolvedConfig =>
  loadConfig({ env: { ...ENDS, ...env }, directory: '/nonexistent' })

/** As a host's own variable or key has it, and as it is understood. */
const HOSTS: readonly (readonly [text: string, host: string, port: number | null])[] = [
  ['db', 'db', null],
  ['db:4000', 'db', 4000],
  ['10.1.2.3', '10.1.2.3', null],
  ['::1', '::1', null],
  ['[::1]', '::1', null],
  ['[::1]:4000', '::1', 4000],
  ['::ffff:127.0.0.1', '::ffff:127.0.0.1', null],
  ['fe80::1%eth0', 'fe80::1%eth0', null],
]
/** The same behind a URL's `//`. */
const IN_URLS: readonly (readonly [text: string, host: string, port: number | null])[] = [
  ...HOSTS,
  ['[fe80::1%25eth0]:4000', 'fe80::1%eth0', 4000],
]

test('the host of either side parses alike from its variable, its URL and the file', () => {
  for (const [text, host, port] of HOSTS) {
    const { source } = load({ DB_HOST: text })
    const { target } = load({ PGSQL_HOST: text })
    assert.deepEqual([source.host, source.port, source.socket], [host, port ?? 3306, null], text)
    assert.deepEqual([target.host, target.port], [host, port ?? 5432], text)
  }
  for (const [text, host, port] of IN_URLS) {
    const urls = { source: `mysql://u:p@${text}/shop`, target: `postgres://u:p@${text}/shop` }
    const given = load({ SYNC_SOURCE_URL: urls.source, SYNC_TARGET_URL: urls.target })
    const asked = suggestedAnswers({ env: {}, directory: '/nonexistent' }, urls)
    for (const { source, target } of [given, asked]) {
      assert.deepEqual([source.host, source.port, source.user], [host, port ?? 3306, 'u'], text)
      assert.deepEqual([target.host, target.port, target.password], [host, port ?? 5432, 'p'], text)
    }
  }
})

test('a socket of either side is accepted in every spelling', () => {
  const source = '/run/mysqld/mysqld.sock'
  for (const text of [source, `unix:${source}`, encodeURIComponent(source)]) {
    assert.equal(load({ DB_HOST: text }).source.socket, source, text)
    assert.equal(load({ DB_SOCKET: text }).source.socket, source, text)
  }
  for (const url of [`mysql://u@${encodeURIComponent(source)}/shop`, `mysql://u@localhost/shop?socket=${source}`])
    assert.equal(load({ SYNC_SOURCE_URL: url }).source.socket, source, url)
  const folder = '/var/run/postgresql'
  for (const text of [folder, `unix:${folder}`, encodeURIComponent(folder)])
    assert.equal(load({ PGSQL_HOST: text }).target.host, folder, text)
  const { target } = load({ PGSQL_HOST: `${folder}/.s.PGSQL.5433` })
  assert.deepEqual([target.host, target.port], [folder, 5433])
  for (const url of [`postgres://u@${encodeURIComponent(folder)}/shop`, `postgres:///shop?host=${folder}`])
    assert.equal(load({ SYNC_TARGET_URL: url }).target.host, folder, url)
  assert.equal(load({ SYNC_TARGET_URL: `postgres:///shop?host=${folder}&port=5433` }).target.port, 5433)
})

/** What is given for Redis, and the one form that the rest of the program reads. */
const REDIS: readonly (readonly [env: Readonly<Record<string, string>>, url: string])[] = [
  [{ REDIS_HOST: '::1' }, 'redis://[::1]:6379'],
  [{ REDIS_HOST: '[::1]', REDIS_PORT: '6380' }, 'redis://[::1]:6380'],
  [{ REDIS_HOST: 'cache:6380', REDIS_PASSWORD: 'a@b' }, 'redis://:a%40b@cache:6380'],
  [{ REDIS_HOST: '/run/redis.sock' }, 'redis+unix:///run/redis.sock'],
  [{ REDIS_HOST: '/run/redis.sock', REDIS_PASSWORD: 'x' }, 'redis+unix://:x@/run/redis.sock'],
  [{ REDIS_URL: 'redis://[::1]:6380/2' }, 'redis://[::1]:6380/2'],
  [{ REDIS_URL: 'redis://::1' }, 'redis://[::1]'],
  [{ REDIS_URL: 'rediss://u:p%2F@cache/1' }, 'rediss://u:p%2F@cache/1'],
  [{ REDIS_URL: 'redis://cache?db=4' }, 'redis://cache/4'],
  [{ REDIS_URL: 'redis+unix:///run/redis.sock?db=3' }, 'redis+unix:///run/redis.sock?db=3'],
  [{ REDIS_URL: 'redis+unix://:p@/run/my%20redis.sock' }, 'redis+unix://:p@/run/my%20redis.sock'],
  [{ REDIS_URL: 'redis+socket:///run/redis.sock' }, 'redis+unix:///run/redis.sock'],
  [{ REDIS_URL: 'unix:///run/redis.sock' }, 'redis+unix:///run/redis.sock'],
  [{ REDIS_URL: 'unix:/run/redis.sock' }, 'redis+unix:///run/redis.sock'],
  [{ REDIS_URL: '/run/redis.sock' }, 'redis+unix:///run/redis.sock'],
  [{ REDIS_URL: 'redis://%2Frun%2Fredis.sock/3' }, 'redis+unix:///run/redis.sock?db=3'],
]

test('a Redis address is accepted in every spelling', () => {
  for (const [env, url] of REDIS) assert.equal(load(env).redisUrl, url, JSON.stringify(env))
})

test('an invalid address is reported by its variable or key and never quoted', () => {
  const refused = (env: Readonly<Record<string, string>>, message: RegExp): void => {
    assert.throws(() => load(env), { code: 'configuration', message })
  }
  refused({ DB_HOST: 'mysql://u:Sesame@db' }, /^environment: DB_HOST: (?!.*Sesame)/)
  refused({ PGSQL_HOST: 'a b' }, /^environment: PGSQL_HOST: the host is not a name/)
  refused({ DB_SOCKET: 'mysqld.sock' }, /^environment: DB_SOCKET: not the path of a socket/)
  refused({ DB_HOST: 'db:3307', DB_PORT: '3306' }, /^DB_PORT: found 3306, and another port behind the host/)
  refused({ SYNC_SOURCE_URL: 'mysql://u:Sesame@[::1/shop' }, /^environment: SYNC_SOURCE_URL: (?!.*Sesame)/)
  refused({ REDIS_URL: 'redis://cache/Sesame' }, /^environment: REDIS_URL: the database is not a number/)
  refused({ REDIS_HOST: ':::' }, /^environment: REDIS_HOST: not an IPv6 address/)
  const directory = mkdtempSync(join(tmpdir(), 'mylab-address-'))
  try {
    writeFileSync(join(directory, 'mylab-sync.yaml'), 'target: { host: "a b" }')
    assert.throws(() => loadConfig({ env: ENDS, directory }), { message: /^target\.host: the host is not a name/ })
  } finally {
    rmSync(directory, { recursive: true })
  }
})
