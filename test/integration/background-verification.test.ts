import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JobHandlers, loadModel, repair, status, type StatusReport, verifyStep } from '@mylab-sync/engine'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { ask } from '../support/ask.js'
import { textRows } from '../support/content.js'
import { startDaemon } from '../support/daemon.js'
import { startDashboard } from '../support/dashboard.js'
import { Fleet } from '../support/fleet.js'
import { createInstallation, type Installation, NEVER_ABORTED } from '../support/installation.js'
import { numbersTo } from '../support/numbers.js'
import { Cli } from '../support/processes.js'
import type { Watch } from '../support/intercept.js'

const SCHEMA = `
  CREATE TABLE patients (id INT PRIMARY KEY, name VARCHAR(40), weight DECIMAL(6,2)) ENGINE=InnoDB;
  CREATE TABLE labels (code VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE bare (a INT, b VARCHAR(9)) ENGINE=InnoDB;
  INSERT INTO patients SELECT seq, CONCAT('name ', seq), seq / 7
    FROM ${numbersTo(400)};
  INSERT INTO labels VALUES ('Alpha', 1), ('beta', 2);
  INSERT INTO bare VALUES (1, 'x'), (1, 'x'), (2, NULL)`
const SPOIL =
  "UPDATE patients SET name = 'spoilt' WHERE id = 7; DELETE FROM labels WHERE code = 'beta'; DELETE FROM bare WHERE a = 2"
const WAIT_MS = 60_000

const servers = await sharedServers({ services: ['mariadb', 'postgres', 'redis'] })

/** As if configured so; 1 is no pause at all. */
function verifying(installation: Installation, share: number, repairs: 'report' | 'auto' = 'report'): Installation {
  const { context } = installation
  return {
    ...installation,
    context: { ...context, options: { ...context.options, verify: { share, repair: repairs } } },
  }
}

async function untilStatus(
  { context }: Installation,
  what: string,
  isSo: (report: StatusReport) => boolean,
): Promise<StatusReport> {
  let last = await status(context)
  await eventually(
    what,
    async () => {
      last = await status(context)
      return isSo(last)
    },
    WAIT_MS,
  )
  return last
}

test('a spoilt row is found without a command, and is a problem until repaired', async () => {
  const name = 'verifies_itself'
  await using plain = await createInstallation(servers, name, { schema: SCHEMA, copied: true })
  const installation = verifying(plain, 1)
  const before = await status(installation.context)
  assert.match(before.sentence, /^3 of 3 tables equal the source as of \S+Z, contents not verified yet\.$/)
  await using dashboard = await startDashboard(servers, name)
  await using _daemon = startDaemon(installation.context)
  const first = await untilStatus(installation, 'all are verified', ({ verification }) => verification.verified === 3)
  assert.match(first.sentence, /^3 of 3 tables equal the source as of \S+Z, contents verified at \S+Z \(oldest\)\.$/)
  assert.deepEqual(first.problems, [])
  await installation.reader.query(
    "UPDATE patients SET name = 'spoilt' WHERE id = 7; DELETE FROM labels WHERE code = 'beta'; DELETE FROM bare WHERE a = 2",
  )
  const found = await untilStatus(
    installation,
    'three are found',
    ({ verification }) => verification.rowsDifferent === 3,
  )
  assert.match(
    found.sentence,
    /^3 of 3 tables equal the source as of \S+Z but for 3 rows that differ: mylab-sync repair; contents verified at /,
  )
  assert.deepEqual(
    found.problems.map(({ table, code, remedy }) => [
      table,
      code,
      /: mylab-sync repair --table \w+$/.test(remedy ?? ''),
    ]),
    [
      ['bare', 'rows-differ', true],
      ['labels', 'rows-differ', true],
      ['patients', 'rows-differ', true],
    ],
  )
  const patients = found.tables.find(({ table }) => table === 'patients')
  assert.deepEqual(
    [patients?.rowsDifferent, patients?.problem],
    [1, '1 row differs from the source: mylab-sync repair --table patients'],
  )
  const view = JSON.parse((await ask(`${dashboard.url}api/status`)).body) as StatusReport
  assert.equal(view.verification.rowsDifferent, 3)
  const metrics = (await ask(`${dashboard.url}metrics`)).body
  assert.match(metrics, /^mylab_sync_rows_different\{table="patients"\} 1$/m)
  const [, seconds = '0'] =
    /^mylab_sync_table_verified_timestamp_seconds\{table="patients"\} (\S+)$/m.exec(metrics) ?? []
  assert.ok(Math.abs(Number(seconds) - Date.parse(patients?.verifiedAt ?? '') / 1000) < WAIT_MS / 1000, seconds)
  await repair(installation.context, { tables: [] })
  const repaired = await untilStatus(installation, 'they are repaired', ({ problems }) => problems.length === 0)
  assert.match(repaired.sentence, /, contents verified at \S+Z \(oldest\), 3 rows differed and were repaired\.$/)
})

test('with verify.repair: auto spoilt rows are repaired as they are found, and counted', async () => {
  await using plain = await createInstallation(servers, 'repairs_itself', { schema: SCHEMA, copied: true })
  const installation = verifying(plain, 1, 'auto')
  await using _daemon = startDaemon(installation.context)
  await untilStatus(installation, 'all are verified', ({ verification }) => verification.verified === 3)
  const untouched = await installation.rows('SELECT id, xmin FROM patients WHERE id > 100 ORDER BY id')
  await installation.reader.query(SPOIL)
  const repaired = await untilStatus(
    installation,
    'three are repaired',
    ({ verification }) => verification.rowsRepaired === 3,
  )
  assert.deepEqual([repaired.verification.rowsDifferent, repaired.problems], [0, []])
  assert.match(repaired.sentence, /, contents verified at \S+Z \(oldest\), 3 rows differed and were repaired\.$/)
  assert.deepEqual(await installation.rows('SELECT name FROM patients WHERE id = 7'), [['name 7']])
  assert.deepEqual(await installation.rows('SELECT id, xmin FROM patients WHERE id > 100 ORDER BY id'), untouched)
})

test('the outcome of a repair whose process has died is found by the next step', async () => {
  let isDying = true
  const watch: Watch = ({ point }) => {
    if (!isDying || point !== 'exclusive.verification.settle:before') return
    isDying = false
    throw new Error('it dies')
  }
  await using plain = await createInstallation(servers, 'repair_died', { schema: SCHEMA, copied: true, watch })
  const { context } = verifying(plain, 1, 'auto')
  await plain.reader.query("UPDATE patients SET name = 'spoilt' WHERE id = 7")
  const step = () => verifyStep(context, () => loadModel(context))
  await assert.rejects(step, { message: 'it dies' })
  const { tables } = await status(context)
  assert.equal(tables.find(({ table }) => table === 'patients')?.rowsDifferent, 1)
  assert.equal((await step()).kind, 'done')
  const { verification } = await status(context)
  assert.deepEqual([verification.rowsDifferent, verification.rowsRepaired], [0, 1])
})

test('all processes together keep to the share of the time', async () => {
  await using plain = await createInstallation(servers, 'verify_share', { schema: SCHEMA, copied: true })
  const { context } = verifying(plain, 0.01)
  let now = 0
  /** A step takes 400 ms by this clock. */
  const step = (): ReturnType<typeof verifyStep> =>
    verifyStep(context, () => loadModel(context), { clock: () => (now += 400) })
  for (let n = 0; n < 3; n++) {
    const done = await step()
    assert.deepEqual([done.kind, done.kind === 'done' && [done.ms, Math.round(done.waitMs)]], ['done', [400, 39_600]])
    const next = await step()
    assert.ok(next.kind === 'waits' && next.waitMs > 20_000 && next.waitMs <= 39_600, JSON.stringify(next))
    await plain.reader.query('UPDATE mylab_sync.sync_verification_pace SET next_at = now()')
  }
  await using _lock = await context.target.beginExclusive('verify')
  assert.deepEqual(await step(), { kind: 'waits', waitMs: 1_000 })
  const { pace } = (await status(context)).verification
  assert.deepEqual([pace?.share.toFixed(4), pace?.stepMs, pace?.pauseMs], ['0.0100', 400, 39_600])
  assert.equal((await verifyStep(verifying(plain, 0).context, () => loadModel(context))).kind, 'none')
})

test('a comparison that was asked for takes all steps at once, and only what is older', async () => {
  await using plain = await createInstallation(servers, 'verify_asked', { schema: SCHEMA, copied: true })
  const { context } = verifying(plain, 0)
  const jobs = new JobHandlers(context)
  const verify = (table: string | null, since: string): Promise<boolean> =>
    jobs.verify({ ...NEVER_ABORTED, asked: { table, since }, onDrained: () => {}, onProblem: () => {} })
  const now = async (): Promise<string> => (await status(context)).consistentAsOf ?? ''
  const verifiedAt = async (): Promise<Record<string, string | null>> =>
    Object.fromEntries((await status(context)).tables.map((table) => [table.table, table.verifiedAt]))
  assert.equal(await verify('labels', await now()), true)
  const first = await verifiedAt()
  assert.deepEqual(
    Object.keys(first).filter((table) => first[table] !== null),
    ['labels'],
  )
  assert.equal(await verify(null, await now()), true)
  const second = await verifiedAt()
  assert.ok(Object.values(second).every((at) => at !== null))
  assert.equal(await verify(null, second['labels'] ?? ''), true)
  assert.deepEqual(await verifiedAt(), second)
})

test('a walk goes on at its chunk after kill -9', async () => {
  const name = 'verify_killed'
  const rows = 250_000
  await using installation = await createInstallation(servers, name, {
    schema: `CREATE TABLE big (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO big SELECT seq, seq FROM ${numbersTo(rows)}; ANALYZE TABLE big`,
    copied: true,
  })
  await using cli = new Cli({
    ...servers.environment({ source: name, target: name }),
    SYNC_USE_QUEUE: 'false',
    SYNC_VERIFY_BACKGROUND: '100%',
  })
  const killed = cli.start(['database', '--daemon'])
  const walk = async (): Promise<string | null> =>
    (await installation.rows('SELECT walk FROM mylab_sync.sync_verification'))[0]?.[0] ?? null
  await eventually('a step is stored', async () => (await walk()) !== null, WAIT_MS)
  await killed.kill()
  const left = JSON.parse((await walk()) ?? '{}') as { state: { rows: number; span: { since: string } } }
  assert.ok(left.state.rows > 0 && left.state.rows <= rows, `${left.state.rows}`)
  cli.start(['database', '--daemon'])
  const passed = await untilStatus(
    installation,
    'the pass has ended',
    ({ verification }) => verification.verifiedAt !== null,
  )
  assert.equal(Date.parse(passed.verification.verifiedAt ?? ''), Date.parse(left.state.span.since))
})

test('workers verify by themselves, and enqueue verify prints the id of its job', async () => {
  const fleet = await Fleet.open(servers, 'verify_fleet', 300, { SYNC_VERIFY_BACKGROUND: '100%' })
  await using _fleet = fleet
  const { code, err } = await fleet.cli.run(['initial', '--create-tables'])
  assert.equal(code, 0, err)
  await fleet.start(['scheduler'])
  await fleet.start(['worker'])
  await fleet.reader.query('UPDATE a SET v = -1 WHERE id = 7')
  const count = async (what: string): Promise<number> =>
    Number((await textRows(fleet.reader, `SELECT ${what} FROM mylab_sync.sync_verification`))[0]?.[0])
  await eventually('it is found', async () => (await count('sum(rows_different)')) === 1, WAIT_MS)
  const problems = await fleet.cli.run(['status', '--problems'])
  assert.equal(problems.code, 5)
  assert.match(problems.out, /^problem: a: 1 row differs from the source; mylab-sync repair --table a$/m)
  assert.match(problems.out, /^different: a \(7\): v$/m)
  assert.equal((await fleet.cli.run(['repair', '--table', 'a'])).code, 0)
  const enqueued = await fleet.cli.run(['enqueue', 'verify', '--table', 'a'])
  assert.match(enqueued.out, /^\d+\n$/)
  await eventually('all are verified', async () => (await count('count(verified_since)')) === 3, WAIT_MS)
  const report = JSON.parse((await fleet.cli.run(['status', '--json'])).out) as StatusReport
  assert.deepEqual(
    report.tables.map(({ rowsDifferent }) => rowsDifferent),
    [0, 0, 0],
  )
  assert.equal(report.verification.verified, 3)
})
