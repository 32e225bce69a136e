import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '@mylab-sync/config'
import { sharedServers } from '@mylab-sync/testkit'
import { CLI, isInstalled, type Outcome, run } from '../support/run.js'

const DATABASE = 'init_shop'

const servers = await sharedServers()
await servers.createDatabases({ source: DATABASE, target: DATABASE })

function url(scheme: string, at: { user: string; password: string; host: string; port: number }): string {
  return `${scheme}://${at.user}:${encodeURIComponent(at.password)}@${at.host}:${at.port}/${DATABASE}`
}

/** Runs `init` in a folder of its own, without the servers of the tests' environment. */
async function inFolder(use: (folder: string, init: (...args: string[]) => Promise<Outcome>) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), 'mylab-init-'))
  try {
    await use(folder, (...args) => run(process.execPath, [CLI, 'init', ...args], { cwd: folder, env: bare() }))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function bare(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(DB|PGSQL|SYNC|REDIS)_/.test(name)))
}

test('init tests both connections, writes a loadable file, and overwrites none unasked', async () => {
  await inFolder(async (folder, init) => {
    const { source, target } = servers
    const urls = ['--source-url', url('mysql', source), '--target-url', url('postgres', target)]
    const first = await init(...urls)
    assert.equal(first.code, 0, first.err)
    assert.match(
      first.err,
      /^--source-url: every user of this host can read its password .*\n--target-url: .*\nsource: MariaDB .*, 0 tables in init_shop\ntarget: PostgreSQL/,
    )
    assert.equal(
      first.out,
      'Wrote mylab-sync.yaml, and DB_PASSWORD and PGSQL_PASSWORD into .env.\nNext: mylab-sync doctor\n',
    )
    const yaml = readFileSync(join(folder, 'mylab-sync.yaml'), 'utf8')
    assert.ok(!yaml.includes(source.password + '\n') && !yaml.includes(`: ${target.password}`))
    assert.equal(statSync(join(folder, '.env')).mode & 0o777, 0o600)
    const config = loadConfig({ env: {}, directory: folder })
    assert.deepEqual(
      [config.source.port, config.source.password, config.target.port, config.target.password],
      [source.port, source.password, target.port, target.password],
    )
    const next = await run(process.execPath, [CLI, 'plan', '--json'], { cwd: folder, env: bare() })
    assert.equal(next.code, 0, next.err)

    const second = await init(...urls)
    assert.equal(second.code, 1)
    assert.match(second.err, /mylab-sync.yaml exists and was not changed/)
    assert.equal(readFileSync(join(folder, 'mylab-sync.yaml'), 'utf8'), yaml)
    const third = await init(...urls, '--yes', '--json')
    assert.deepEqual(JSON.parse(third.out), {
      version: 1,
      file: 'mylab-sync.yaml',
      env: { added: ['DB_PASSWORD', 'PGSQL_PASSWORD'], kept: [] },
      stronger: [],
      next: 'mylab-sync doctor',
    })
  })
})

test('init writes nothing without enough input, or if a server refuses the login', async () => {
  await inFolder(async (folder, init) => {
    const { source, target } = servers
    const known = ['--source-url', url('mysql', source), '--target-url', url('postgres', target)]
    const refused: [number, RegExp, string[]][] = [
      [2, /try: export SYNC_SOURCE_URL=\S+ SYNC_TARGET_URL=\S+; mylab-sync init/, []],
      [3, /--source-url: not a URL/, ['--source-url', 'shop']],
      [
        4,
        /source: connecting to \S+ at \S+ as \S+: ER_ACCESS_DENIED_ERROR \(1045\): Access denied for user '/,
        [...known, '--source-url', url('mysql', { ...source, password: 'x' })].slice(2),
      ],
      [4, /target .*: cannot connect/, [...known.slice(0, 2), '--target-url', url('postgres', { ...target, port: 1 })]],
      [4, /no connection to Redis at 127.0.0.1:1/, [...known, '--redis-url', 'redis://127.0.0.1:1']],
    ]
    for (const [code, message, args] of refused) {
      const outcome = await init(...args)
      assert.equal(outcome.code, code, outcome.err)
      assert.match(outcome.err, message)
      assert.equal(outcome.out, '')
    }
    assert.ok(!existsSync(join(folder, 'mylab-sync.yaml')) && !existsSync(join(folder, '.env')))
  })
})

test('init puts no password into a readable or linked file, and reads the environment', async () => {
  await inFolder(async (folder) => {
    const { source, target } = servers
    const env = {
      ...bare(),
      SYNC_SOURCE_URL: url('mysql', source),
      SYNC_TARGET_URL: url('postgres', target),
    }
    const init = (...args: string[]): Promise<Outcome> =>
      run(process.execPath, [CLI, 'init', ...args], { cwd: folder, env })
    const [file, other] = [join(folder, '.env'), join(folder, 'other')]
    writeFileSync(file, 'APP_NAME=shop\n')
    chmodSync(file, 0o644)
    const open = await init()
    assert.equal(open.code, 3, open.err)
    assert.match(
      open.err,
      /\.env: found the mode 0644, which others may read, expected .* 0600\n {2}try: chmod 600 \.env\n$/,
    )
    rmSync(file)
    writeFileSync(other, 'of others\n')
    symlinkSync(other, file)
    const link = await init('--yes')
    assert.equal(link.code, 3, link.err)
    assert.match(link.err, /\.env: found a link to another place, expected/)
    assert.equal(readFileSync(other, 'utf8'), 'of others\n')
    assert.ok(!existsSync(join(folder, 'mylab-sync.yaml')))
    rmSync(file)
    writeFileSync(file, 'APP_NAME=shop\n', { mode: 0o600 })
    const written = await init()
    assert.equal(written.code, 0, written.err)
    assert.doesNotMatch(written.err, /list of processes/)
    assert.match(readFileSync(file, 'utf8'), /^APP_NAME=shop\nDB_PASSWORD=/)
    assert.equal(statSync(file).mode & 0o777, 0o600)
  })
})

/** Waits until a terminal's output ends in this prompt. */
async function prompted(terminal: ChildProcess, seen: { text: string }, prompt: string): Promise<void> {
  while (!seen.text.includes(prompt)) {
    assert.equal(terminal.exitCode, null, seen.text)
    await Promise.race([once(terminal.stdout ?? terminal, 'data'), once(terminal, 'close')])
  }
  seen.text = ''
}

test('init asks on a terminal, again if a server is silent, and shows no password', {
  skip: isInstalled('script') ? false : "no program script (Debian's package bsdutils)",
}, async () => {
  await inFolder(async (folder) => {
    const { source, target } = servers
    const command = `${process.execPath} ${CLI} init`
    const terminal = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: folder,
      env: bare(),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const seen = { text: '' }
    let all = ''
    terminal.stdout.on('data', (data: Buffer) => {
      seen.text += data.toString()
      all += data.toString()
    })
    const answers: [string, string][] = [
      ['MySQL or MariaDB host [127.0.0.1]', source.host],
      ['MySQL or MariaDB port [3306]', String(source.port)],
      ['MySQL or MariaDB database', DATABASE],
      ['MySQL or MariaDB user [root]', source.user],
      ['MySQL or MariaDB password', 'wr0ng'],
      ['MySQL or MariaDB host', ''],
      ['MySQL or MariaDB port', ''],
      ['MySQL or MariaDB database [init_shop]', ''],
      ['MySQL or MariaDB user', ''],
      ['MySQL or MariaDB password', source.password],
      ['PostgreSQL host', target.host],
      ['PostgreSQL port', String(target.port)],
      ['PostgreSQL database', DATABASE],
      ['PostgreSQL user', target.user],
      ['PostgreSQL password', target.password],
      ['PostgreSQL schema [public]', ''],
      ['Redis URL', ''],
    ]
    for (const [prompt, answer] of answers) {
      await prompted(terminal, seen, prompt)
      terminal.stdin.write(`${answer}\r`)
    }
    if (terminal.exitCode === null) await once(terminal, 'close')
    assert.equal(terminal.exitCode, 0, all)
    assert.match(all, /ER_ACCESS_DENIED_ERROR/)
    assert.ok(!all.includes('wr0ng'))
    assert.equal(loadConfig({ env: {}, directory: folder }).target.port, target.port)
  })
})
