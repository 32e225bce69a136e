import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SyncError, type TableMapping } from '@mylab-sync/core'
import { loadModel, repair, status, verify, type VerifyReport, verifyStep } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { createInstallation, type Installation, settle } from '../support/installation.js'
import { intercept, type Point } from '../support/intercept.js'
import { reportedKeys } from './verify-scenes.js'

const servers = await sharedServers()

/** Statements that change a table under an open snapshot, by table. */
const ALTERED: Readonly<Record<string, string>> = {
  derived: 'ALTER TABLE derived DROP COLUMN d, ADD COLUMN d INT AS (a + 5) VIRTUAL',
  swapped: 'ALTER TABLE swapped CHANGE a b INT, CHANGE b a INT',
  emptied: 'TRUNCATE TABLE emptied',
  rebuilt: 'ALTER TABLE rebuilt FORCE',
  renamed: 'RENAME TABLE renamed TO renamed_away',
  dropped: 'DROP TABLE dropped',
  part_dropped: 'ALTER TABLE part_dropped DROP PARTITION p1',
  part_emptied: 'ALTER TABLE part_emptied TRUNCATE PARTITION p1',
  part_exchanged: 'ALTER TABLE part_exchanged EXCHANGE PARTITION p1 WITH TABLE outside',
}
const PARTS = 'PARTITION BY RANGE (id) (PARTITION p1 VALUES LESS THAN (3), PARTITION p2 VALUES LESS THAN MAXVALUE)'
const SCHEMA = `
  CREATE TABLE derived (id INT PRIMARY KEY, a INT, d INT AS (a + 1) VIRTUAL) ENGINE=InnoDB;
  CREATE TABLE swapped (id INT PRIMARY KEY, a INT, b INT) ENGINE=InnoDB;
  CREATE TABLE still (id INT PRIMARY KEY, a INT) ENGINE=InnoDB;
  CREATE TABLE outside (id INT PRIMARY KEY, a INT) ENGINE=InnoDB;
  ${['emptied', 'rebuilt', 'renamed', 'dropped'].map((table) => `CREATE TABLE ${table} (id INT PRIMARY KEY, a INT) ENGINE=InnoDB;`).join('\n')}
  ${['part_dropped', 'part_emptied', 'part_exchanged'].map((table) => `CREATE TABLE ${table} (id INT PRIMARY KEY, a INT) ENGINE=InnoDB ${PARTS};`).join('\n')}
  INSERT INTO derived (id, a) VALUES (1, 1), (2, 2);
  INSERT INTO swapped VALUES (1, 1, 2), (2, 3, 4);
  ${['still', ...Object.keys(ALTERED).slice(2)].map((table) => `INSERT INTO ${table} VALUES (1, 1), (2, 2), (3, 3), (4, 4);`).join('\n')}`

/** Does this once, when a call of the installation's context reaches the point. */
function once({ context }: Installation, point: Point, act: () => Promise<unknown>): Installation['context'] {
  let isDone = false
  return intercept(context, async (call) => {
    if (isDone || call.point !== point) return
    isDone = true
    await act()
  })
}

function notCompared(report: VerifyReport): Record<string, string> {
  return Object.fromEntries(
    report.tables.flatMap(({ table, notCompared: why }) => (why === null ? [] : [[table, why]])),
  )
}

const REASONS = /its definition or its storage|no longer exists|no longer selected/

test('a table that is redefined while it is compared is never reported', async () => {
  await using installation = await createInstallation(servers, 'verify_redefined', { schema: SCHEMA, copied: true })
  await installation.reader.query('UPDATE still SET a = 9 WHERE id = 4')
  const context = once(installation, 'view.history.last:after', async () => {
    for (const statement of Object.values(ALTERED)) await installation.app.query(statement)
  })
  const report = await verify(context, { tables: [] })
  assert.deepEqual(reportedKeys(report), ['still 4 different a'])
  const left = notCompared(report)
  assert.deepEqual(Object.keys(left).sort(), [...Object.keys(ALTERED), 'outside'].sort())
  for (const [table, why] of Object.entries(left)) assert.match(why, REASONS, table)
  assert.equal(report.equal, false)
  await settle(installation)
  const { left: healed } = await repair(installation.context, { tables: [] })
  assert.deepEqual([reportedKeys(healed), Object.keys(notCompared(healed)).sort()], [[], []])
})

const FAULTY = `
  CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE altered (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE bare (v INT) ENGINE=InnoDB;
  CREATE TABLE locked (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE z (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO a VALUES (1, 1); INSERT INTO altered VALUES (1, 1); INSERT INTO bare VALUES (1), (1); INSERT INTO locked VALUES (1, 1); INSERT INTO z VALUES (1, 1)`
const LOCKED = new SyncError('lock-timeout', 'statement failed: timed out waiting for a lock', { side: 'source' })
const MOMENTS = 14

test('an error of one table, or its constant changes, end no other comparison', async () => {
  await using installation = await createInstallation(servers, 'verify_faulty', { schema: FAULTY, copied: true })
  const { app, reader } = installation
  await reader.query('UPDATE z SET v = 9; ALTER TABLE altered DROP COLUMN v')
  let moments = 0
  /** Of a table that can be compared later. */
  let locked = 2
  const context = intercept(installation.context, async ({ point, args }) => {
    if (point === 'target.beginSnapshot:before') moments++
    if (point === 'drain.openSnapshot:after') await app.query('UPDATE bare SET v = v + 1')
    const [table] = args as TableMapping[]
    if (point !== 'drain.snapshot.rows.digest:before') return
    if (table?.source.name === 'locked' || (table?.source.name === 'a' && locked-- > 0)) throw LOCKED
  })
  const report = await verify(context, { tables: [] })
  assert.deepEqual(reportedKeys(report), ['z 1 different v'])
  const left = notCompared(report)
  assert.deepEqual(Object.keys(left).sort(), ['altered', 'bare', 'locked'])
  assert.match(left['altered'] ?? '', /altered there.*; mylab-sync resync --table altered$/)
  assert.match(left['bare'] ?? '', /^it changes all the time, /)
  assert.match(left['locked'] ?? '', /^source: .*timed out waiting for a lock/)
  assert.ok(moments <= MOMENTS, `${moments} moments`)

  const since = new Date().toISOString()
  const faults: string[] = []
  for (let isDone = false; !isDone; ) {
    const step = await verifyStep(context, () => loadModel(context), { asked: { table: null, since } })
    if (step.kind === 'done') faults.push(...step.faults.map(({ message }) => message))
    isDone = step.kind === 'none'
  }
  assert.deepEqual(faults.map((message) => message.split(' ', 2).join(' ')).sort(), ['table altered', 'table locked'])
  const { tables } = await status(installation.context)
  assert.deepEqual(
    tables.map(({ table, rowsDifferent }) => `${table} ${rowsDifferent}`),
    ['a 0', 'altered 0', 'bare 0', 'locked 0', 'z 1'],
  )
})
