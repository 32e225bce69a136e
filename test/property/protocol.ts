import { drain, type EngineContext, initial, loadModel, maintain, migrate, setupTriggers } from '@mylab-sync/engine'
import { eventually, random, type ServerSet } from '@mylab-sync/testkit'
import type { RowDataPacket } from 'mysql2/promise'
import { connect, OPTIONS } from '../support/connect.js'
import { intercept, type Watch } from '../support/intercept.js'
import { beforeCommit, type Compared, during } from '../support/moments.js'
import { firstDifference } from './differences.js'
import { RESPELL, SCHEMA } from './schema.js'
import { Writers } from './writers.js'

export interface Experiment {
  readonly seed: number
  readonly liveMs: number
  /** Keys per catch-up slice; the opening drain then takes fewer. */
  readonly catchUpKeys?: number
  /** Builds backlogs: pauses this long between drains, and makes slices small. */
  readonly backlogMs?: number
  /** Entries per slice, of one snapshot. With few, the closure parks the keys that it finds for a later slice. */
  readonly sliceEntries?: number
  /**
   * Writers pause while more entries are pending: small slices are slower than the writers, and a drain ends at the point
   * where it began to fall behind.
   */
  readonly mostPending?: number
  /** Continues beyond liveMs, for a minute at most, until drains have taken this many slices: a busy machine takes few. */
  readonly leastSlices?: number
  /** Foreign keys over text are validated, violated by misspelt children, suspended, and rebuilt. */
  readonly foreignKeysComeAndGo?: boolean
  /** Judges each drain before its commit, instead of the comparison that counts wrong ones. */
  readonly judge?: (drain: Compared) => Promise<void>
  /** Runs beside the drains, which pause for it; the copy before them is quick. */
  readonly beside?: (around: Beside) => Promise<void>
}

export interface Beside {
  /** Of another process, without any watch. */
  readonly context: EngineContext
  readonly writers: Writers
  readonly isOver: () => boolean
}

export interface Verdict {
  drains: number
  wrong: number
  /** Drains whose snapshot was older than the previous one. */
  backwards: number
  statements: number
  /** Snapshots taken by drains that took more than one. */
  slices: number
  /** How often a foreign key over text was found validated before misspelt children violated one. */
  validated: number
  readonly examples: string[]
  /** When the last drain's snapshot was opened. */
  latest: string
}

const WRITERS = 6
const MOST_EXTRA_MS = 60_000
const STATEMENTS_BEFORE_COPY = 500
/** Between two transactions of a writer, on average. */
const WRITER_PAUSE_MS = 3
const BESIDE_PAUSE_MS = 12
/** Between two drains. */
const DRAIN_PAUSE_MS = 100

/**
 * Runs the protocol under random writers. Before every target commit, compares the whole live set with the drain's own
 * source snapshot. The comparison reads both sides with its own SQL and shares no code with the engine.
 */
export async function runExperiment(servers: ServerSet, experiment: Experiment): Promise<Verdict> {
  const name = `property_${experiment.seed}`
  await servers.createDatabases({ source: name, target: name })
  const admin = await servers.sourceAdmin(name)
  await admin.query(SCHEMA)
  const { source, target } = await connect(servers, name)
  const connections = await Promise.all(Array.from({ length: WRITERS }, () => servers.sourceAdmin(name)))
  const verdict: Verdict = {
    drains: 0,
    wrong: 0,
    backwards: 0,
    statements: 0,
    slices: 0,
    validated: 0,
    examples: [],
    latest: '',
  }
  try {
    const unwatched: EngineContext = {
      source,
      target,
      limits: {
        ...(experiment.seed % 2 === 0 ? { leastTogether: 2 } : {}),
        ...(experiment.catchUpKeys ? { lastSliceKeys: 5, catchUpKeys: experiment.catchUpKeys } : {}),
        ...(experiment.backlogMs ? { sliceEntries: 60, snapshotMs: 1 } : {}),
        ...(experiment.sliceEntries ? { sliceEntries: experiment.sliceEntries } : {}),
      },
      options: { ...OPTIONS, batchRows: experiment.beside ? null : 7 },
    }
    const context = intercept(unwatched, watchOf(verdict, experiment))
    await migrate(context)
    const writers = new Writers(connections, experiment.seed, experiment.beside ? BESIDE_PAUSE_MS : WRITER_PAUSE_MS)
    try {
      await eventually('the tables hold something to copy', () => writers.statements >= STATEMENTS_BEFORE_COPY, 30_000)
      const held = new AbortController()
      const around: Around = { verdict, writers, admin, unwatched }
      const holding = holdBack(around, experiment.mostPending, held.signal)
      try {
        await copyAndFollow(context, experiment, around)
      } finally {
        held.abort()
        await holding
      }
    } finally {
      await writers.stop()
    }
    verdict.statements = writers.statements
    await drain(context, await loadModel(context), { waitMs: 30_000 })
  } finally {
    await Promise.all([...connections, admin].map((connection) => connection.end()))
    await source.close()
    await target.close()
  }
  return verdict
}

function watchOf(verdict: Verdict, { seed, judge, beside }: Experiment): Watch {
  const r = random(seed * 77)
  const aroundSnapshot = (): Promise<void> => nap(r.chance(0.5) ? r.int(0, 60) : 0)
  const delays = during({
    // Delays half of the chunks: a short copy never shows why the orphan scan is needed.
    'chunk:taken': () => nap(r.chance(0.5) && !beside ? r.int(200, 900) : 0),
    'together:taken': () => nap(r.chance(0.5) && !beside ? r.int(200, 900) : 0),
    'chunk:read': () => nap(r.chance(0.2) && !beside ? r.int(20, 90) : 0),
    'drain:locked': aroundSnapshot,
    'drain:opened': aroundSnapshot,
    'catch-up:begun': () => nap(r.chance(0.5) ? r.int(0, 200) : 0),
    'catch-up:applied': () => nap(r.chance(0.5) && !beside ? r.int(100, 700) : 0),
    'drain:refreshed': () => nap(r.int(0, 30)),
  })
  const compare = beforeCommit(judge ?? ((drain) => compareDrain(verdict, drain)))
  return async (call) => {
    await delays(call)
    // Without the rule that the lock comes first, a drain's own is one of these.
    if (call.point === 'source.openSnapshot:after') await aroundSnapshot()
    await compare(call)
  }
}

async function compareDrain(verdict: Verdict, { snapshot, target, live }: Compared): Promise<void> {
  verdict.drains++
  if (snapshot.takenAt < verdict.latest) verdict.backwards++
  verdict.latest = snapshot.takenAt
  const difference = await firstDifference(snapshot, target, live)
  if (difference === null) return
  verdict.wrong++
  if (verdict.examples.length < 5) verdict.examples.push(difference)
}

interface Around {
  readonly verdict: Verdict
  readonly writers: Writers
  readonly admin: Awaited<ReturnType<ServerSet['sourceAdmin']>>
  readonly unwatched: EngineContext
}

async function copyAndFollow(context: EngineContext, experiment: Experiment, around: Around): Promise<void> {
  await setupTriggers(context, { tables: [], recreate: false, dryRun: false })
  const request = { tables: [], createTables: true, resume: false, triggers: true, force: false, takeOver: false }
  await initial(context, request, () => {}, new AbortController().signal)
  const end = performance.now() + experiment.liveMs
  const { verdict } = around
  const drainUntil = async (): Promise<void> => {
    let model = await loadModel(context)
    const isLive = (): boolean =>
      performance.now() < end ||
      (verdict.slices < (experiment.leastSlices ?? 0) && performance.now() < end + MOST_EXTRA_MS)
    while (isLive()) {
      const report = await drain(context, model)
      if (report.kind === 'done') {
        model = report.model
        if (report.slices > 1) verdict.slices += report.slices
      }
      if (experiment.backlogMs) await nap(experiment.backlogMs)
      else if (experiment.beside) await nap(DRAIN_PAUSE_MS)
    }
  }
  // Two drainers compete for the lock.
  const running = [drainUntil(), drainUntil()]
  if (experiment.foreignKeysComeAndGo) running.push(comeAndGo(context, around, end))
  const { beside } = experiment
  if (beside)
    running.push(beside({ context: around.unwatched, writers: around.writers, isOver: () => performance.now() > end }))
  await Promise.all(running)
}

const LOOK_MS = 20

async function holdBack(
  { writers, admin }: Around,
  mostPending: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  while (mostPending !== undefined && !signal.aborted) {
    const [rows] = await admin.query<RowDataPacket[]>('SELECT COUNT(*) AS n FROM sync_audit_log WHERE synced = 0')
    writers.isHeld = Number(rows[0]?.['n']) > mostPending
    await nap(LOOK_MS)
  }
}

const TEXT_KEYS = ['sc', 'sbc', 'bc']
const PHASE_MS = 1200

/** Alternates clean phases, which build and validate the foreign keys over text, with wild ones of misspelt children. */
async function comeAndGo(context: EngineContext, { verdict, writers, admin }: Around, end: number): Promise<void> {
  while (performance.now() < end) {
    writers.spelling = 'clean'
    for (const statement of RESPELL) await persistently(admin, statement)
    const phase = Math.min(end, performance.now() + PHASE_MS)
    while (performance.now() < phase) {
      await maintain(context, await loadModel(context))
      await nap(100)
    }
    await using held = await context.target.begin()
    const names = [...(await held.lookup.validatedKeys())]
    verdict.validated += names.filter((name) => TEXT_KEYS.some((table) => name.startsWith(`${table}_`))).length
    writers.spelling = 'wild'
    await nap(PHASE_MS)
  }
}

/** Retries: deadlocks with the writers are expected. */
async function persistently(admin: Around['admin'], statement: string): Promise<void> {
  for (;;) {
    try {
      await admin.query(statement)
      return
    } catch (error) {
      const { errno = 0 } = error as { errno?: number }
      if (![1205, 1213, 1020].includes(errno)) throw error
    }
  }
}

export function nap(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
