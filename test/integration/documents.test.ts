import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { SETTINGS } from '@mylab-sync/config'
import { eventually, freePort, sharedServers } from '@mylab-sync/testkit'
import { filesBelow, readText } from '../support/deployment.js'
import { MUTANTS } from '../support/mutants.js'
import { DOCUMENTS, programText, quoted, shellLines } from '../support/documents.js'
import { CLI, ROOT, run } from '../support/run.js'
import { sharedFolder } from '../support/folders.js'

const WAIT_MS = 60_000
const SAMPLE = `
  CREATE TABLE patients (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL, born DATE NOT NULL) ENGINE=InnoDB;
  CREATE TABLE visits (id INT AUTO_INCREMENT PRIMARY KEY, patient_id INT NOT NULL,
    FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE lab_results (id INT AUTO_INCREMENT PRIMARY KEY, visit_id INT NOT NULL, value DECIMAL(8,3),
    FOREIGN KEY (visit_id) REFERENCES visits (id) ON DELETE CASCADE) ENGINE=InnoDB;
  INSERT INTO patients SELECT seq, CONCAT('p', seq), '1970-01-01' FROM seq_1_to_50;
  INSERT INTO visits SELECT seq, 1 + seq % 50 FROM seq_1_to_200; INSERT INTO lab_results SELECT seq, 1 + seq % 200, seq FROM seq_1_to_500`

/** Programs that only another machine can run; deployment.test.ts checks their files. */
const ELSEWHERE: ReadonlySet<string> = new Set(['docker', 'kubectl', 'systemctl', 'ssh'])

const servers = await sharedServers({ services: ['mariadb', 'postgres', 'redis'] })
const folder = await sharedFolder('documents')
shim('mylab-sync', `exec "${process.execPath}" "${CLI}" "$@"`)
shim('npx', 'exec "$@"')

function shim(name: string, body: string): void {
  const file = join(folder, 'bin', name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `#!/bin/sh\n${body}\n`)
  chmodSync(file, 0o755)
}

interface Place {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

/** Runs one line in a shell; a command that runs until it is stopped is stopped once it works. */
async function runLine(line: string, { cwd, env }: Place): Promise<{ code: number | null; said: string }> {
  const alive = join(cwd, 'alive')
  rmSync(alive, { force: true })
  const child = spawn('sh', ['-c', `exec ${line}`], {
    cwd,
    env: { ...env, PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, SYNC_HEARTBEAT_FILE: alive },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit')
  const said = Promise.all([text(child.stdout), text(child.stderr)])
  if (isLasting(line)) {
    await eventually(`${line} is at work`, () => existsSync(alive) || child.exitCode !== null, WAIT_MS)
    child.kill('SIGTERM')
  }
  const [code] = (await ended) as [number | null]
  return { code, said: (await said).join('') }
}

function isLasting(line: string): boolean {
  return /--daemon|--watch|mylab-sync (start|worker|scheduler|dashboard)\b/.test(line)
}

/** Commands that look for problems may exit with 5; the example's hosts do not answer. */
function allowedCodes(line: string): readonly number[] {
  if (isLasting(line)) return [143]
  if (/mylab-sync init /.test(line)) return [4]
  return /mylab-sync (doctor|status --problems)/.test(line) ? [0, 5] : [0]
}

function checkOther(line: string, where: string): void {
  const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> }
  for (const part of line.split(' && ')) {
    const [program = '', word = '', name = ''] = part.split(' ')
    if (program === 'export')
      for (const [, variable = ''] of part.matchAll(/ (\w+)=/g)) assert.ok(KNOWN.has(variable), `${where}: ${variable}`)
    else if (program === 'npm')
      assert.ok(word === 'ci' || (word === 'run' ? name : word) in scripts, `${where}: ${part}`)
    else assert.ok(ELSEWHERE.has(program), `${where}: ${part}`)
  }
}

const KNOWN: ReadonlySet<string> = new Set(SETTINGS.flatMap(({ variables }) => [...variables]))

for (const [number, file] of DOCUMENTS.entries()) {
  const lines = shellLines(file)
  if (lines.length === 0) continue
  test(`every command in ${file} runs as printed`, async () => {
    const name = `doc_${number}`
    await servers.createDatabases({ source: name, target: name })
    const app = await servers.sourceAdmin(name)
    await app.query(SAMPLE).finally(() => app.end())
    if (lines.some((line) => /mylab-sync uninstall/.test(line))) await servers.grantDrop(name)
    const redis = lines.some((line) => /mylab-sync (worker|scheduler|enqueue)/.test(line))
    const env = {
      ...servers.environment({ source: name, target: name, redis }),
      SYNC_DASHBOARD_PORT: String(await freePort()),
    }
    for (const line of lines) {
      if (!/^(npx )?mylab-sync /.test(line)) {
        checkOther(line, file)
        continue
      }
      const { code, said } = await runLine(line, { cwd: mkdtempSync(join(folder, 'at-')), env })
      assert.ok(allowedCodes(line).includes(code ?? -1), `${file}: ${line}: exit ${code}: ${said}`)
    }
  })
}

test('pages generated from the code are up to date', async () => {
  const { code, err } = await run(process.execPath, [join(ROOT, 'scripts/docs.mjs'), '--check'])
  assert.equal(code, 0, err)
})

test('every message quoted on the troubleshooting page exists in the program', () => {
  const program = programText()
  const messages = quoted('docs/troubleshooting.md', 'message')
  assert.ok(messages.length > 40, `${messages.length} messages`)
  const unknown = messages.flatMap((message) =>
    message
      .replace(/^(?:source|target): /, '') // an error keeps its side apart from its text
      .split('...')
      .map((part) => part.trim())
      .filter((part) => part !== '' && !program.includes(part))
      .map((part) => `${message}: ${part}`),
  )
  assert.deepEqual(unknown, [])
})

test('the troubleshooting page quotes every decision message, but for our own faults', () => {
  const page = readText('docs/troubleshooting.md')
  const thrown = programText().matchAll(
    /(?:(?:new SyncError|sourceError|targetError)\(\s*'(?!internal')[\w-]+',\s*|\bfault\(\s*|new UsageFault\(\s*)(?:'([^'\n]+)'|`((?:[^`$]|\$\{[^`]*?\})+)`)/g,
  )
  const messages = [...thrown].map(([, plain, template]) => plain ?? template ?? '')
  assert.ok(messages.length > 40, `${messages.length} messages`)
  const missing = messages.filter((message) => {
    const parts = message.split(/\$\{.*?\}/).map((part) => part.replace(/^[\s:;]+|[\s:;(]+$/g, ''))
    const longest = parts.reduce((a, b) => (b.length > a.length ? b : a), '')
    return longest.length > 2 && !page.includes(longest)
  })
  assert.deepEqual(missing, [])
})

interface NamedTest {
  readonly file: string
  readonly title: string
}

/** Returns the tests that a page names by file and title, and asserts that each exists. */
function namedTests(page: string): NamedTest[] {
  const named = [...page.matchAll(/^- `((?:test|packages)\/\S+\.test\.ts)`: (.+)$/gm)]
  for (const [, file = '', title = ''] of named) {
    assert.ok(existsSync(join(ROOT, file)), file)
    const source = readFileSync(join(ROOT, file), 'utf8')
    assert.ok(source.includes(title.replace(/ \([^)]*\)$/, '')), `${file}: ${title}`)
  }
  return named.map(([, file = '', title = '']) => ({ file, title }))
}

/** These files try attacks: the page about attacks must name each of their tests. */
const ATTACKS = [
  'packages/config/src/hostile-input.test.ts',
  'packages/queue/src/hostile-jobs.server.test.ts',
  'packages/runtime/src/heartbeat.test.ts',
  'test/integration/encrypted-demo.test.ts',
  'test/integration/encrypted-lines.test.ts',
  'test/integration/encrypted-redis-and-page.test.ts',
  'test/integration/hostile-accounts.test.ts',
  'test/integration/hostile-roles.test.ts',
  'test/integration/lock-file.test.ts',
]

test('the security page names existing tests for each person, and every attack test', () => {
  const page = readText('docs/security.md')
  const people = page.split(/^## /m).slice(1)
  assert.equal(people.length, 6)
  for (const text of people) {
    assert.ok(namedTests(text).length > 3, text.split('\n')[0])
    assert.match(text, /^Not prevented:/m, text.split('\n')[0])
  }
  const named = new Set(namedTests(page).map(({ file, title }) => `${file}: ${title}`))
  const tried = ATTACKS.flatMap((file) =>
    [...readText(file).matchAll(/^test\(\s*(['"`])(.+?)\1,/gm)].map(([, , title = '']) => `${file}: ${title}`),
  )
  assert.ok(tried.length > 25)
  assert.deepEqual(
    tried.filter((each) => !named.has(each)),
    [],
  )
})

test('guarantees name tests that exist, every test file and every rule', () => {
  const page = readText('docs/guarantees.md')
  const named = namedTests(page)
  assert.ok(named.length > 30)
  const files = ['test/property', 'test/fault', 'test/integration'].flatMap((below) => filesBelow(below, '.test.ts'))
  const listed = new Set(named.map(({ file }) => file))
  assert.deepEqual(
    files.filter((file) => !listed.has(file)),
    [],
  )
  const rules = [...page.matchAll(/^\| [^|]+ \| `([\w-]+)` \|/gm)].map(([, rule = '']) => rule)
  assert.deepEqual(rules.sort(), [...MUTANTS].sort())
})

test('every file that the architecture page names exists', () => {
  const named = [...readText('docs/architecture.md').matchAll(/`([\w/.-]+\.ts)`/g)].map(([, file = '']) => file)
  assert.ok(named.length > 40, `${named.length} files`)
  assert.deepEqual(
    named.filter((file) => ![file, `packages/${file}`].some((each) => existsSync(join(ROOT, each)))),
    [],
  )
})

test('links resolve, and every variable on a page is one that is read', () => {
  for (const file of DOCUMENTS) {
    const page = readText(file)
    for (const [, link = ''] of page.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g))
      assert.ok(existsSync(join(ROOT, dirname(file), link)), `${file}: ${link}`)
    // the page for users of the older package names settings that no longer have a meaning
    if (file.includes('laravel')) continue
    for (const [, variable = ''] of page.matchAll(/\b((?:SYNC|PGSQL|REDIS|DB)_[A-Z_]*[A-Z])\b/g))
      assert.ok(KNOWN.has(variable.replace(/_FILE$/, '')) || KNOWN.has(variable), `${file}: ${variable}`)
  }
})
