import { isDeepStrictEqual } from 'node:util'
import { SyncError } from '@mylab-sync/core'
import { type EngineContext, loadModel, maintain, runDaemon, status } from '@mylab-sync/engine'
import { eventually, random, type Random, type ServerSet } from '@mylab-sync/testkit'
import { firstDifference } from '../property/differences.js'
import { SCHEMA, TABLES } from '../property/schema.js'
import { Writers } from '../property/writers.js'
import { sortedRows, textRows } from '../support/content.js'
import { copyAll, createInstallation } from '../support/installation.js'
import { beforeCommit, type Compared } from '../support/moments.js'

export interface ChaosVerdict {
  drains: number
  wrong: number
  readonly examples: string[]
  /** How often each fault was injected. */
  readonly faults: Map<string, number>
  /** Number of errors that the daemon retried, by code. */
  readonly problems: Map<string, number>
  statements: number
}

/** Tables that no foreign key references, so that TRUNCATE is allowed. */
const LEAVES = ['g', 'n', 'kk', 'bc', 'mm', 'sc', 'sbc', 'pre', 'nk'] as const
const WRITERS = 5
const SETTLED_MS = 90_000
/** Instead of ten seconds: no other installation runs here, and each restored side is watched again. */
const OTHER_MS = 1_000

type Fault = (servers: ServerSet, name: string, r: Random) => Promise<void>

const FAULTS: Readonly<Record<string, Fault>> = {
  truncate: (servers, name, r) => sourceRuns(servers, name, `TRUNCATE \`${r.pick(LEAVES)}\``),
  rebuild: (servers, name, r) => sourceRuns(servers, name, `ALTER TABLE \`${r.pick(TABLES)}\` FORCE`),
  'source connections killed': async (servers, name) => {
    const app = await servers.sourceAdmin(name)
    try {
      const mine = 'SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()'
      // A connection that has closed meanwhile counts as killed.
      for (const [id] of await textRows(app, mine)) await app.query(`KILL ${id}`).catch(() => {})
    } finally {
      app.destroy()
    }
  },
  'target connections killed': async (servers, name) => {
    const admin = await servers.targetAdmin(name)
    await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mylab-sync'")
    await admin.end()
  },
  'source killed': async (servers) => {
    await servers.kill('mariadb')
    await servers.start('mariadb')
  },
  'target killed': async (servers) => {
    await servers.kill('postgres')
    await servers.start('postgres')
  },
  'source frozen': async (servers, _, r) => {
    await servers.freeze('mariadb')
    await nap(r.int(500, 2500))
    servers.thaw('mariadb')
  },
  'target frozen': async (servers, _, r) => {
    await servers.freeze('postgres')
    await nap(r.int(500, 2500))
    servers.thaw('postgres')
  },
  'source goes back': async (servers, _, r) => {
    const backup = await servers.backup('mariadb')
    await nap(r.int(500, 3000))
    await servers.restore(backup)
  },
  'target goes back': async (servers, _, r) => {
    const backup = await servers.backup('postgres')
    await nap(r.int(500, 3000))
    await servers.restore(backup)
  },
}

const nap = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Gives up on a lock after 5 s: a fault is not worth a deadlock with the writers. */
async function sourceRuns(servers: ServerSet, name: string, statement: string): Promise<void> {
  const app = await servers.sourceAdmin(name)
  try {
    await app.query(`SET SESSION lock_wait_timeout = 5; ${statement}`)
  } catch (error) {
    const { errno = 0 } = error as { errno?: number }
    if (![1205, 1213].includes(errno)) throw error
  } finally {
    app.destroy()
  }
}

/**
 * Runs a daemon under random writers and random faults of every kind that drains detect unaided. Before every target
 * commit compares the live tables with the drain's own snapshot, and at the end every row of every table.
 */
export async function runChaos(
  servers: ServerSet,
  { seed, liveMs, only }: { readonly seed: number; readonly liveMs: number; readonly only: readonly string[] },
): Promise<ChaosVerdict> {
  const name = `chaos_${seed}`
  const verdict: ChaosVerdict = {
    drains: 0,
    wrong: 0,
    examples: [],
    faults: new Map(),
    problems: new Map(),
    statements: 0,
  }
  const watch = beforeCommit((compared) => compare(verdict, compared))
  await using made = await createInstallation(servers, name, { schema: SCHEMA, serversDie: true, batchRows: 15, watch })
  const at = { ...made, context: { ...made.context, limits: { otherMs: OTHER_MS } } }
  const ended = new AbortController()
  try {
    const writers = Writers.persistent(WRITERS, () => servers.sourceAdmin(name), seed, 4)
    let daemon: Promise<void> = Promise.resolve()
    try {
      await eventually('the tables hold something to copy', () => writers.statements >= 300, 30_000)
      await copyAll(at.context)
      daemon = follow(at.context, verdict, ended.signal)
      daemon.catch(() => ended.abort())
      await doFaults(servers, name, { seed, liveMs, only, verdict, signal: ended.signal })
      // Throws the error that ended the daemon, which no retry fixes.
      if (ended.signal.aborted) await daemon
    } finally {
      await writers.stop()
    }
    verdict.statements = writers.statements
    const since = await sourceTime(servers, name)
    await eventually('everything is live again and drained', () => isSettled(at.context, since), SETTLED_MS)
    ended.abort()
    await daemon
    await compareAll(servers, name, verdict)
    await compareConstraints(at.context, verdict)
  } finally {
    ended.abort()
  }
  return verdict
}

function follow(context: EngineContext, verdict: ChaosVerdict, signal: AbortSignal): Promise<void> {
  const onProblem = ({ code, message }: SyncError): void =>
    count(verdict.problems, code === 'internal' ? message : code)
  return runDaemon(context, { intervalMs: 1000, onInterval: () => {}, onProblem }, signal)
}

async function doFaults(
  servers: ServerSet,
  name: string,
  of: { seed: number; liveMs: number; only: readonly string[]; verdict: ChaosVerdict; signal: AbortSignal },
): Promise<void> {
  const r = random(of.seed * 7919)
  const names = of.only.length > 0 ? of.only : Object.keys(FAULTS)
  const end = performance.now() + of.liveMs
  while (performance.now() < end && !of.signal.aborted) {
    await nap(r.int(600, 2500))
    const fault = r.pick(names)
    count(of.verdict.faults, fault)
    await FAULTS[fault]?.(servers, name, r)
  }
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}

async function compare(verdict: ChaosVerdict, { snapshot, target, live }: Compared): Promise<void> {
  let difference: string | null
  try {
    difference = await firstDifference(snapshot, target, live)
  } catch (error) {
    // The comparison's own reads meet the faults too: such a drain is neither compared nor committed.
    throw error instanceof SyncError
      ? error
      : new SyncError('lost-connection', 'a comparison was cut off', { cause: error })
  }
  verdict.drains++
  if (difference === null) return
  verdict.wrong++
  if (verdict.examples.length < 5) verdict.examples.push(difference)
}

async function sourceTime(servers: ServerSet, name: string): Promise<string> {
  const app = await servers.sourceAdmin(name)
  try {
    const [row] = await textRows(app, "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')")
    return row?.[0] ?? ''
  } finally {
    await app.end()
  }
}

/**
 * `since`: when the faults ended. A side that the last fault restored looks settled until a drain detects that. Throws with
 * what is not settled yet.
 */
async function isSettled(context: EngineContext, since: string): Promise<boolean> {
  const { consistentAsOf, totals, tables } = await status(context)
  const left = tables.filter(({ state, parked }) => !(state === 'live' || state === 'recopied') || parked > 0)
  const isMet = consistentAsOf !== null && consistentAsOf >= since
  if (isMet && totals.pending === 0 && left.length === 0 && tables.length === TABLES.length) return true
  const each = left.map(({ table, state, parked, problem }) => `${table} ${state}, ${parked} parked: ${problem ?? ''}`)
  throw new Error(
    `as of ${consistentAsOf}, faults until ${since}; ${totals.pending} pending; ${tables.length} tables; ${each.join('; ')}`,
  )
}

/** Their children may be spelt differently from the parents, even in the source. */
const MISSPELT: ReadonlySet<string> = new Set(['sc', 'sbc', 'bc'])

/** Only constraints that the source's own rows violate may be suspended. */
async function compareConstraints(context: EngineContext, verdict: ChaosVerdict): Promise<void> {
  await maintain(context, await loadModel(context))
  for (const { table, name, state, detail } of await context.target.constraints.all())
    if (state !== 'validated' && !MISSPELT.has(table))
      verdict.examples.push(`at the end: ${table}: ${name} is ${state}: ${detail ?? ''}`)
}

async function compareAll(servers: ServerSet, name: string, verdict: ChaosVerdict): Promise<void> {
  const app = await servers.sourceAdmin(name)
  const reader = await servers.targetAdmin(name)
  try {
    for (const table of TABLES) {
      const query = `SELECT * FROM \`${table}\``
      const mine = await sortedRows(app, query)
      const theirs = await sortedRows(reader, query.replaceAll('`', '"'))
      if (!isDeepStrictEqual(mine, theirs)) verdict.examples.push(`at the end: ${table}`)
    }
  } finally {
    await app.end()
    await reader.end()
  }
}
