import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { abortCutover, cutOver, loadModel, repair, status, verify, verifyStep } from '@mylab-sync/engine'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { assertEqual, createInstallation, type Installation, settle } from '../support/installation.js'
import type { Point } from '../support/intercept.js'
import { reportedKeys } from '../integration/verify-scenes.js'
import type { CommandName } from './command-child.js'

/** Where a life ends, and at which visit. */
type End = readonly [point: Point, nth?: number]

/** CRASH_POINTS=all: after every call of either port; takes half an hour. */
const isEverywhere = process.env['CRASH_POINTS'] === 'all'
/** Each seed dies at another visit of the point. */
const SEEDS = (process.env['CRASH_SEEDS'] ?? '1').split(',').map(Number)
const CHILD = new URL('./command-child.js', import.meta.url).pathname

const SCHEMA = `
  CREATE TABLE parents (id INT AUTO_INCREMENT PRIMARY KEY, code VARCHAR(20) COLLATE utf8mb4_general_ci NOT NULL UNIQUE, v INT) ENGINE=InnoDB;
  CREATE TABLE children (id INT AUTO_INCREMENT PRIMARY KEY, parent_id INT NOT NULL, v INT, CONSTRAINT child_of FOREIGN KEY (parent_id) REFERENCES parents (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE words (k VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE bare (a INT, b VARCHAR(9)) ENGINE=InnoDB;
  INSERT INTO parents (code, v) VALUES ('a', 1), ('b', 2), ('c', 3); INSERT INTO children (parent_id, v) VALUES (1, 1), (2, 2), (3, 3);
  INSERT INTO words VALUES ('alpha', 1), ('beta', 2); INSERT INTO bare VALUES (1, 'x'), (1, 'x'), (2, 'y')`
const TABLES = ['bare', 'children', 'parents', 'words']
const SPOIL = `UPDATE parents SET v = 99 WHERE id = 2; DELETE FROM children WHERE id = 1; UPDATE words SET k = 'BETA' WHERE k = 'beta'; DELETE FROM bare WHERE a = 2`
const DIFFERENCES = ['children 1 missing ', 'parents 2 different v', 'words BETA surplus ', 'words beta missing ']
const REQUEST = { setReadOnly: true, withActions: true, waitMs: 5_000 }

interface Life {
  readonly ends: readonly End[]
  /** Before each life. */
  prepare(installation: Installation): Promise<unknown>
  /** After it has died, and after what it left was looked at. */
  takeUp(installation: Installation, turn: number): Promise<void>
}

const spoil = ({ reader }: Installation): Promise<unknown> => reader.query(SPOIL)

async function verifyAll({ context }: Installation): Promise<void> {
  const asked = { table: null, since: new Date().toISOString() }
  const auto = { ...context, options: { ...context.options, verify: { share: 1, repair: 'auto' as const } } }
  for (let isDone = false; !isDone; )
    isDone = (await verifyStep(auto, () => loadModel(context), { asked })).kind === 'none'
}

async function goBack({ context }: Installation): Promise<void> {
  const aborted = await abortCutover(context, { discardWrites: true })
  if (aborted.kind === 'taken-back') assert.equal(aborted.left.equal, true)
}

async function finish({ context }: Installation): Promise<void> {
  const { done, findings } = await cutOver(context, REQUEST)
  assert.deepEqual(findings, [])
  assert.equal(done, true)
}

const write = ({ app }: Installation): Promise<unknown> =>
  app.query(
    "UPDATE parents SET v = v + 1; INSERT INTO children (parent_id, v) VALUES (3, 3); UPDATE words SET v = v + 1 WHERE k = 'beta'",
  )

const LIVES: Readonly<Record<CommandName, Life>> = {
  verify: {
    ends: [['view.comparison.digest:after', 2]],
    prepare: spoil,
    async takeUp({ context }) {
      assert.deepEqual(reportedKeys(await verify(context, { tables: [] })), DIFFERENCES)
      assert.equal((await repair(context, { tables: [] })).left.equal, true)
    },
  },
  repair: {
    ends: [['drain.parked.park:after'], ['drain.commit:after', 2]],
    prepare: spoil,
    async takeUp({ context }) {
      assert.equal((await repair(context, { tables: [] })).left.equal, true)
    },
  },
  background: {
    ends: [['drain.commit:after', 2], ['exclusive.verification.settle:after']],
    prepare: spoil,
    takeUp: verifyAll,
  },
  cutover: {
    ends: [['target.cutover.begin:after']],
    prepare: write,
    async takeUp(installation, turn) {
      if (turn % 2 === 0) await finish(installation)
      await goBack(installation)
    },
  },
  abort: {
    ends: [['drain.snapshot.acknowledge:after']],
    async prepare(installation) {
      await finish(installation)
      await installation.reader.query('UPDATE parents SET v = 77 WHERE id = 1')
    },
    takeUp: goBack,
  },
}

interface Death {
  readonly signal: string | null
  readonly reached: readonly string[]
  readonly said: string
}

async function live(name: string, command: CommandName, [point, nth = 1]: readonly [string, number?]): Promise<Death> {
  const { source, target, product } = servers
  const env = { ...process.env, CRASH_SERVERS: JSON.stringify({ source, target, product }) }
  const child = spawn(process.execPath, [CHILD, name, command, point, '', String(nth)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [said, reached] = ['', '']
  child.stdout.on('data', (data: Buffer) => (reached += data.toString()))
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  await once(child, 'close')
  return { signal: child.signalCode, reached: reached.split('\n').filter(Boolean), said }
}

const servers = await sharedServers()

/** What a life leaves is explained, and no session of it keeps a lock. */
async function assertExplained({ context, source, rows }: Installation): Promise<void> {
  const { problems } = await status(context)
  const isFollowing = (await context.target.cutover.state()).phase === 'following'
  const isForbidden = await source.writes.isForbidden()
  assert.equal(
    problems.some(({ code }) => code === 'source-read-only'),
    isFollowing && isForbidden,
  )
  const locks = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"
  await eventually('its locks are gone', async () => (await rows(locks)).length === 0, 30_000)
}

async function assertHealed(installation: Installation): Promise<void> {
  const { context } = installation
  assert.equal(await installation.source.writes.isForbidden(), false)
  await settle(installation)
  await assertEqual(installation, TABLES)
  const { problems, verification } = await status(context)
  assert.deepEqual(problems, [])
  assert.equal(verification.rowsDifferent, 0)
  const left = await installation.rows(
    'SELECT count(*) FROM mylab_sync.sync_parked UNION ALL SELECT count(*) FROM mylab_sync.sync_verification_key',
  )
  assert.deepEqual(left, [['0'], ['0']])
  const constraints = await installation.rows(
    "SELECT conname, condeferrable, convalidated FROM pg_constraint WHERE contype IN ('f', 'u') AND connamespace = 'public'::regnamespace ORDER BY 1",
  )
  assert.deepEqual(constraints, [
    ['child_of', 't', 't'],
    ['parents_code', 't', 't'],
  ])
}

async function survives(
  installation: Installation,
  of: { readonly name: string; readonly command: CommandName; readonly end: readonly [string, number?] },
  { must, turn }: { readonly must: boolean; readonly turn: number },
): Promise<readonly string[]> {
  const { prepare, takeUp } = LIVES[of.command]
  await prepare(installation)
  const { signal, reached, said } = await live(of.name, of.command, of.end)
  if (must) assert.equal(signal, 'SIGKILL', `${of.end[0]} was reached: ${said}`)
  await assertExplained(installation)
  await takeUp(installation, turn)
  await assertHealed(installation)
  return reached
}

async function dieEverywhere(
  t: TestContext,
  installation: Installation,
  name: string,
  command: CommandName,
): Promise<void> {
  const never = await survives(installation, { name, command, end: [''] }, { must: false, turn: 0 })
  // A death before a call is one after the call before it. What a life may do without is not always reached.
  const points = never.filter((point) => /:(after|batch)$/.test(point))
  assert.ok(points.length > 10, `${points.length} points`)
  for (const [turn, point] of points.entries())
    await t.test(point, async () => {
      for (const nth of SEEDS) await survives(installation, { name, command, end: [point, nth] }, { must: false, turn })
    })
}

for (const command of Object.keys(LIVES) as CommandName[]) {
  test(`${command}: what a killed process leaves is explained, and taken up again`, async (t) => {
    const name = `killed_${command}`
    await using installation = await createInstallation(servers, name, { schema: SCHEMA, copied: true })
    for (const [turn, end] of LIVES[command].ends.entries())
      await survives(installation, { name, command, end }, { must: true, turn })
    if (isEverywhere) await dieEverywhere(t, installation, name, command)
  })
}
