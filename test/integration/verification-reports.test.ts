import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { canonicalJson } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { run } from '../support/cli.js'
import { sharedFolder } from '../support/folders.js'
import { createInstallation } from '../support/installation.js'

const NAME = 'reported'
const TABLES = `
  CREATE TABLE patients (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40), born DATE, note TEXT) ENGINE=InnoDB;
  CREATE TABLE \`<b>"a'&\` (id INT PRIMARY KEY, v INT, g INT AS (v * 2) STORED) ENGINE=InnoDB;
  CREATE TABLE visits (id INT PRIMARY KEY, p INT) ENGINE=InnoDB; INSERT INTO visits VALUES (1, 1);
  SET sql_mode = '';
  INSERT INTO patients (name, born, note) VALUES ('Confidential One', '2001-02-03', 'x'), ('Confidential Two', '0000-00-00', 'y');
  INSERT INTO \`<b>"a'&\` (id, v) VALUES (1, 1)`

interface Report {
  kind: string
  handOver: {
    switchedAt: string
    steps: unknown[]
    stoppedMs: number
    counters: number
    setReadOnly: boolean
    notes: { table: string }[]
  }
  number: number
  digest: string
  previous: { number: number; digest: string } | null
  equal: boolean
  source: Record<string, string>
  target: Record<string, string>
  totals: Record<string, number>
  tables: Record<string, unknown>[]
  exceptions: { sanitised: unknown[]; notCarried: { table: string }[]; notVerified: { table: string }[] }
}

const servers = await sharedServers()
const folder = await sharedFolder('reports')
const installation = await createInstallation(servers, NAME, { schema: TABLES, copied: true })
after(() => installation[Symbol.asyncDispose]())

const fileOf = (name: string): string => join(folder, `${name}.json`)
const textOf = (name: string): string => readFileSync(fileOf(name), 'utf8')
const reportOf = (name: string): Report => JSON.parse(textOf(name)) as Report

async function verify(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const { code, stdout: out, stderr: err } = await run(servers, NAME, ['verify', ...args])
  return { code, out, err }
}

test('a report is complete, names the one before, and holds no value and no key', async () => {
  const first = await verify('--report', fileOf('one'))
  assert.equal(first.code, 0, first.err)
  const one = reportOf('one')
  assert.deepEqual([one.number, one.previous, one.equal], [1, null, true])
  assert.equal(one.source['database'], NAME)
  assert.match(one.source['server'] ?? '', /^(MariaDB|MySQL) \d+\./)
  assert.match(one.target['server'] ?? '', /^PostgreSQL \d+/)
  assert.equal(one.totals['rows'], 4)
  const { table, result, rows, drains, verifiedAt } = one.tables.find((each) => each['table'] === 'patients') ?? {}
  assert.deepEqual([table, result, rows], ['patients', 'equal', 2])
  assert.match(String(verifiedAt), /^\d{4}-\d\d-\d\dT/)
  assert.ok((drains as { first: number }).first > 0)
  const visits = one.tables.find((each) => each['table'] === 'visits')?.['digest'] as { rows: number } | null
  assert.equal(visits?.rows, 1)
  assert.deepEqual(one.exceptions.sanitised, [{ table: 'patients', column: 'born', rule: 'zero-date', values: 1 }])
  assert.ok(one.exceptions.notCarried.some((each) => each.table.startsWith('<b>')))

  await installation.reader.query("UPDATE patients SET note = 'spoilt in the target' WHERE id = 1")
  const second = await verify('--report', fileOf('two'), '--json')
  assert.equal(second.code, 5, second.err)
  const two = reportOf('two')
  assert.deepEqual(two.previous, { number: 1, digest: one.digest })
  assert.equal((JSON.parse(second.out) as { report: Report }).report.digest, two.digest)
  assert.equal(two.totals['different'], 1)
  const { digest, ...rest } = two
  assert.equal(createHash('sha256').update(canonicalJson(rest)).digest('hex'), digest)

  await installation.reader.query("UPDATE patients SET note = 'x' WHERE id = 1")
  assert.equal((await verify('--report', fileOf('three'))).code, 0)
  const page = readFileSync(join(folder, 'two.html'), 'utf8')
  assert.ok(page.includes('&lt;b&gt;&quot;a&#39;&amp;') && page.includes(digest) && page.includes(one.digest))
  assert.doesNotMatch(page, /<script|src=|href=|<b>/)
  for (const secret of ['Confidential', 'spoilt', servers.product.source.password, servers.product.target.password])
    for (const name of readdirSync(folder))
      assert.ok(!readFileSync(join(folder, name), 'utf8').includes(secret), secret)
  assert.deepEqual(readdirSync(folder).sort(), ['one.html', 'one.json', 'three.html', 'three.json', 'two.html', 'two.json']) // biome-ignore format: names
})

test('a chain of reports shows what is altered or missing, files and pages', async () => {
  const all = ['one', 'two', 'three'].map(fileOf)
  const whole = await verify('--check-report', ...all)
  assert.equal(whole.code, 0, whole.out + whole.err)
  assert.match(whole.out, /The chain of 3 reports holds: none is altered or missing, and as recorded in the target\./)

  mkdirSync(join(folder, 'bad'))
  const faultsOf = async (...files: string[]): Promise<string> => {
    const { code, out } = await verify('--json', '--check-report', ...files)
    assert.equal(code, 5)
    const { reports, faults } = JSON.parse(out) as { reports: { faults: string[] }[]; faults: string[] }
    return [...reports.flatMap((each) => each.faults), ...faults].join('; ')
  }
  const [one = '', two = '', three = ''] = all
  assert.match(await faultsOf(one, two), /^report 3, written at \S+, is not among the files$/)
  const altered = fileOf('bad/two')
  writeFileSync(altered, textOf('two').replace('"equal": false', '"equal": true'))
  assert.match(await faultsOf(one, altered, three), /altered: its contents do not have the digest/)
  copyFileSync(two, altered)
  writeFileSync(
    join(folder, 'bad', 'two.html'),
    readFileSync(join(folder, 'two.html'), 'utf8').replace('differ', 'agree'),
  )
  assert.match(await faultsOf(one, altered, three), /the page beside it shows something else/)

  const env = { PGSQL_PORT: '1' }
  const alone = await run(servers, NAME, ['verify', '--check-report', ...all], env)
  assert.equal(alone.code, 4)
  assert.match(alone.stdout, /by the files alone/)
})

test('a report replaces no file unasked, and a wrong place is found before any work', async () => {
  const before = textOf('one')
  const taken = await verify('--report', fileOf('one'))
  assert.deepEqual([taken.code, taken.out], [2, ''])
  assert.match(taken.err, /--report: .*one\.json exists already\n {2}try: name another file/)
  const nowhere = await verify('--report', join(folder, 'none', 'a.json'))
  assert.deepEqual([nowhere.code, nowhere.out], [2, ''])
  assert.match(nowhere.err, /^mylab-sync: --report: there is no directory .*none\n$/)
  assert.equal(textOf('one'), before)
  assert.ok(!existsSync(join(folder, 'none')))
  // Two at once get two numbers.
  const both = await Promise.all(['four', 'five'].map((name) => verify('--report', fileOf(name))))
  assert.deepEqual(both.map(({ code }) => code), [0, 0]) // biome-ignore format: one line
  const numbers = ['four', 'five'].map((name) => reportOf(name).number)
  assert.deepEqual(new Set(numbers), new Set([4, 5]))
  const replaced = await verify('--report', fileOf('five'), '--yes', '--table', 'patients')
  assert.equal(replaced.code, 0, replaced.err)
  assert.deepEqual([reportOf('five').number, reportOf('five').tables.length], [6, 1])
})

test("a cutover's report tells what was done and compared, in the same chain", async () => {
  const cutover = (...args: string[]): ReturnType<typeof run> => run(servers, NAME, ['cutover', ...args])
  const file = fileOf('handed-over')
  assert.equal((await cutover('--dry-run', '--report', file)).code, 2)
  const { code, stderr } = await cutover('--set-read-only', '--actions', '--report', file)
  assert.equal(code, 0, stderr)
  const report = reportOf('handed-over')
  assert.deepEqual([report.kind, report.equal, report.totals['compared']], ['mylab-sync cutover report', true, 3])
  assert.deepEqual(report.previous, { number: 6, digest: reportOf('five').digest })
  const { switchedAt, steps, stoppedMs, counters, setReadOnly, notes } = report.handOver
  assert.match(switchedAt, /^\d{4}-\d\d-\d\dT/)
  assert.ok(steps.length >= 4 && stoppedMs > 0 && notes.some((note) => note.table.startsWith('<b>')))
  assert.deepEqual([counters, setReadOnly], [1, true])
  const page = readFileSync(join(folder, 'handed-over.html'), 'utf8')
  assert.ok(page.includes('<h1>Cutover report 7</h1>') && page.includes('Writes were stopped for'))
  assert.match((await verify('--check-report', file)).out, /report 7, \S+: .*: unaltered/)
  const again = await cutover('--report', fileOf('again'))
  assert.equal(again.code, 2)
  assert.match(again.stderr, /only the run that makes it can report it/)
  assert.equal((await cutover('--abort')).code, 0)
})

test('reverse --plan says what a way back would take, and that there is none', async () => {
  const reverse = (...args: string[]): ReturnType<typeof run> => run(servers, NAME, ['reverse', ...args])
  const shown = await reverse('--plan')
  assert.equal(shown.code, 0, shown.stderr)
  assert.match(shown.stdout, /^A way back from PostgreSQL to the source is not built/)
  assert.match(shown.stdout, /\npatients\n {2}key: id\n[\s\S]*born: infinity[\s\S]*AUTO_INCREMENT of id to be set/)
  const { built, tables } = JSON.parse((await reverse('--plan', '--json')).stdout) as {
    built: boolean
    tables: { generated: string[] }[]
  }
  assert.deepEqual([built, tables.flatMap(({ generated }) => generated)], [false, ['g']])
  const refused = await reverse()
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /a way back is not built/)
})
