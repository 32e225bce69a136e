import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { suggestedAnswers, type ServerUrls } from './answers.js'
import { loadConfig, type ResolvedConfig } from './config.js'
import { addVariables } from './dot-env.js'
import { writtenConfig } from './written-config.js'

/** What is written for these URLs, loaded again in a folder of its own. */
function loadedAgain(urls: ServerUrls): { config: ResolvedConfig; yaml: string } {
  const directory = mkdtempSync(join(tmpdir(), 'mylab-config-'))
  try {
    const answers = suggestedAnswers({ env: {}, directory }, urls)
    const { yaml, secrets } = writtenConfig(answers)
    writeFileSync(join(directory, 'mylab-sync.yaml'), yaml)
    writeFileSync(join(directory, '.env'), addVariables('', secrets, { replace: false }).text)
    const config = loadConfig({ env: {}, directory })
    const { source, target, redisUrl, redisTls } = config
    assert.deepEqual({ source, target, redisUrl, redisTls }, answers)
    return { config, yaml }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('a written config reloads as answered and holds no password', () => {
  const { config, yaml } = loadedAgain({
    source: 'mysql://sync%40app:s3cret%22%20x@db.example:3307/true',
    target: 'postgres://u:pa%27ss%23@pg.example/no%3A%20x?schema=Shop&sslmode=require',
    redis: 'redis://:r3dis@cache:6380',
  })
  assert.equal(config.source.password, 's3cret" x')
  assert.equal(config.target.password, "pa'ss#")
  assert.equal(config.target.tls.mode, 'require')
  assert.deepEqual(config.exclude, ['migrations', 'jobs', 'failed_jobs', 'password_resets'])
  for (const secret of ['s3cret', 'pa', 'r3dis']) assert.doesNotMatch(yaml, new RegExp(`\\b${secret}\\b`), secret)
})

test('the commented examples in the file load once uncommented', () => {
  const answers = suggestedAnswers(
    { env: {}, directory: '/nowhere' },
    { source: 'mysql://a@h/d', target: 'postgres://b@h/d' },
  )
  const shown = writtenConfig(answers).yaml.replace(/^( *)# (?= *(?!the password)[\w()]+( \w+)?:)/gm, '$1')
  assert.match(shown, /^ {6}is_active: boolean$/m)
  const directory = mkdtempSync(join(tmpdir(), 'mylab-config-'))
  try {
    writeFileSync(join(directory, 'mylab-sync.yaml'), shown)
    const config = loadConfig({ env: {}, directory })
    assert.deepEqual(config.columns, { patients: { is_active: 'boolean' } })
    assert.deepEqual(config.types['datetime'], { 'zero-date': 'null' })
    assert.equal(config.redisUrl, 'redis://127.0.0.1:6379')
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a Redis URL beyond host and port is kept whole, its password out of the file', () => {
  const addresses = { source: 'mysql://a@h/d', target: 'postgresql://b@h/d' }
  assert.equal(loadedAgain(addresses).config.redisUrl, null)
  assert.match(loadedAgain({ ...addresses, redis: 'redis://cache/3' }).yaml, /url: redis:\/\/cache\/3/)
  assert.doesNotMatch(loadedAgain({ ...addresses, redis: 'rediss://u:hidden@cache/3' }).yaml, /hidden/)
})

test('a URL with parts that cannot be kept is refused', () => {
  const refused = (urls: ServerUrls): void => {
    assert.throws(() => suggestedAnswers({ env: {}, directory: '/nowhere' }, urls), { code: 'configuration' })
  }
  refused({ source: 'postgres://a@h/d' })
  refused({ source: 'mysql://a@h' })
  refused({ target: 'postgres://a@h/d?sslmode=allow' })
  refused({ target: 'postgres://a@h/d?application_name=x' })
  refused({ redis: 'cache:6379' })
})

test('variables are appended to .env, and existing ones replaced only on request', () => {
  const before = '# mine\nAPP=1\nexport DB_PASSWORD=old\n'
  const kept = addVariables(before, { DB_PASSWORD: 'new', PGSQL_PASSWORD: 'p' }, { replace: false })
  assert.equal(kept.text, `${before}PGSQL_PASSWORD="p"\n`)
  assert.deepEqual([kept.added, kept.kept], [['PGSQL_PASSWORD'], ['DB_PASSWORD']])
  assert.equal(
    addVariables(before, { DB_PASSWORD: 'new' }, { replace: true }).text,
    '# mine\nAPP=1\nDB_PASSWORD="new"\n',
  )
  assert.deepEqual(addVariables('', { DB_PASSWORD: `"it's` }, { replace: false }).impossible, ['DB_PASSWORD'])
})
