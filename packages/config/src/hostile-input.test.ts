import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { SyncError } from '@mylab-sync/core'
import { loadConfig, type ResolvedConfig } from './config.js'

const ENDS = { DB_DATABASE: 'shop', PGSQL_DATABASE: 'shop' }
const load = (env: Readonly<Record<string, string>>, file?: string): ResolvedConfig =>
  loadConfig({ env: { ...ENDS, ...env }, directory: '/nonexistent', ...(file === undefined ? {} : { file }) })

function message(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    assert.ok(error instanceof SyncError)
    assert.equal(error.code, 'configuration')
    return error.message
  }
  return assert.fail('it is taken')
}

function inFolder(use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'config-'))
  try {
    use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('no part of a password is printed or connected to, whatever characters it has', () => {
  for (const password of [
    '2024?Geheim',
    '2024/Geheim',
    '2024#Geheim',
    '2024?Geheim=1',
    '1?schema=Geheim',
    '2024?geheim&x',
    '9#geheim',
  ])
    for (const [variable, scheme] of [
      ['SYNC_SOURCE_URL', 'mysql'],
      ['SYNC_TARGET_URL', 'postgres'],
      ['REDIS_URL', 'redis'],
    ] as const) {
      const told = message(() => load({ [variable]: `${scheme}://u:${password}@h/d` }))
      assert.doesNotMatch(told, /geheim|2024/i, told)
      assert.match(told, /%2F, %3F or %23/)
    }
  for (const url of [
    'mysql://h/d?Geheim=1',
    'mysql://h/d?geheim.x',
    'postgres://h/d?pass word=Geheim',
    'mysql://h/d#Geheim',
  ])
    assert.doesNotMatch(
      message(() => load({ [url.startsWith('m') ? 'SYNC_SOURCE_URL' : 'SYNC_TARGET_URL']: url })),
      /Geheim|geheim/,
    )
})

test('neither the content of a wrong file nor a misplaced secret is quoted', () => {
  inFolder((folder) => {
    const file = join(folder, 'other.yaml')
    const told = (text: string): string => {
      writeFileSync(file, text)
      return message(() => load({}, file)).replaceAll(file, 'FILE')
    }
    assert.match(
      told('db.example.org:\nsync:\nGeheim2024:\n'),
      /^FILE: \(top\): found 3 that are no keys, expected source, /,
    )
    assert.match(
      told('source: {}\nGeheim2024:\nsourc: {}\n'),
      /^FILE: \(top\): found sourc, 1 that is no key, expected source, /,
    )
    assert.match(told('source: {port: "mysql://u:Geheim@h"}'), /^FILE: source.port: found a text, expected /)
    assert.doesNotMatch(told('source: mysql://u:Geheim@h/d\n'), /Geheim/)
  })
})

/** In a process of its own: one that waits for a pipe handles no timer and no signal. */
function exitCodeFor(file: string): number | null {
  const load = `import { loadConfig } from ${JSON.stringify(new URL('config.js', import.meta.url).href)}
    try { loadConfig({ env: {}, directory: '/nonexistent', file: process.argv[1] }) } catch { process.exit(3) }`
  const args = ['--input-type=module', '--eval', load, file]
  return spawnSync(process.execPath, args, { timeout: 10_000, killSignal: 'SIGKILL' }).status
}

test('a pipe, a folder or a device as a settings or secret file is refused at once', () => {
  inFolder((folder) => {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    assert.equal(exitCodeFor(pipe), 3)
    for (const path of [pipe, folder, '/dev/zero']) {
      assert.equal(
        message(() => load({}, path)),
        `${path}: found something other than a file, expected a file`,
      )
      assert.equal(
        message(() => load({ SYNC_CONFIG: path })),
        `${path}: found something other than a file, expected a file`,
      )
      assert.equal(
        message(() => load({ DB_PASSWORD_FILE: path })),
        'environment: DB_PASSWORD_FILE: found something other than a file, expected a file',
      )
    }
    execFileSync('mkfifo', [join(folder, '.env')])
    assert.match(
      message(() => loadConfig({ env: ENDS, directory: folder })),
      /\.env: found something other/,
    )
    writeFileSync(join(folder, 'large'), 'x'.repeat((1 << 20) + 1))
    assert.match(
      message(() => load({}, join(folder, 'large'))),
      /more than 1 MB/,
    )
  })
})

test('names from the environment are validated like those of the file', () => {
  for (const name of ['a b', 'a'.repeat(33), 'x`y', 'ä', "a'--", 'a\nb'])
    assert.match(
      message(() => load({ SYNC_INSTANCE: name })),
      /^environment: SYNC_INSTANCE: found [^]+, expected letters, digits, _ and -, at most 32$/,
    )
  assert.equal(load({ SYNC_INSTANCE: 'b-2' }).instance, 'b-2')
  assert.equal(
    message(() => load({ SYNC_AUDIT_TABLE: 'x'.repeat(65) })),
    'environment: SYNC_AUDIT_TABLE: found 65 characters, expected at most 64',
  )
  assert.equal(load({ SYNC_AUDIT_TABLE: 'my log' }).auditTable, 'my log')
})

test('the state has a schema of its own', () => {
  assert.match(
    message(() => load({ SYNC_STATE_SCHEMA: 'public' })),
    /found public, which holds the tables themselves/,
  )
  assert.match(
    message(() => load({ PGSQL_SCHEMA: 'mylab_sync' })),
    /found mylab_sync, which holds the tables themselves/,
  )
})
