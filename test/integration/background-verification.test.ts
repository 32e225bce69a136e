import assert from 'node:assert/strict'
import { test } from 'node:test'
import { repair, status, type StatusReport } from '@mylab-sync/engine'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { ask } from '../support/ask.js'
import { startDaemon } from '../support/daemon.js'
import { startDashboard } from '../support/dashboard.js'
import { createInstallation, type Installation } from '../support/installation.js'

const SCHEMA = `
  CREATE TABLE patients (id INT PRIMARY KEY, name VARCHAR(40), weight DECIMAL(6,2)) ENGINE=InnoDB;
  CREATE TABLE labels (code VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE bare (a INT, b VARCHAR(9)) ENGINE=InnoDB;
  INSERT INTO patients SELECT seq, CONCAT('name ', seq), seq / 7
    FROM (WITH RECURSIVE s AS (SELECT 1 AS seq UNION ALL SELECT seq + 1 FROM s WHERE seq < 400) SELECT seq FROM s) n;
  INSERT INTO labels VALUES ('Alpha', 1), ('beta', 2);
  INSERT INTO bare VALUES (1, 'x'), (1, 'x'), (2, NULL)`
const WAIT_MS = 20_000

const servers = await sharedServers()

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
