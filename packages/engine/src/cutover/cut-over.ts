import { type CutoverState, SyncError } from '@mylab-sync/core'
import { type EngineContext, throwIfStopped } from '../context.js'
import { drain } from '../drain/drain.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { readTarget } from '../transactions.js'
import { maintain, noticeUncaptured } from '../upkeep/maintain.js'
import { type Counters, counterFindings, movedCounters } from './counters.js'
import { blocking, blocks, type CutoverFinding } from './finding.js'
import { blockingFindings, obstaclesOf } from './obstacles.js'
import { untilReadersLeave } from './readers.js'
import { holdOff, type StopRequest, stopWrites } from './stop.js'
import { cutoverTables } from './tables.js'
import { compareTail, compareWhole, type TailResult } from './tail.js'
import type { Quiet } from './watch.js'

export interface CutoverRequest extends StopRequest {
  /** Gives foreign keys the source's actions. */
  readonly withActions: boolean
  readonly onStep?: (step: string) => void
}

export interface CutoverReport {
  /** The application may write PostgreSQL from now on. */
  readonly done: boolean
  readonly findings: readonly CutoverFinding[]
  /** From the last captured write, or from making the source read-only, to the switch; null: not in this run. */
  readonly stoppedMs: number | null
  /** Keys that were compared again after the writes had stopped. */
  readonly tailKeys: number
}

/** Fewer changed keys than these take well under a second to compare while the writes are stopped. */
const FEW_KEYS = 1_000
const MAX_ROUNDS = 5
const LAST_DRAIN_WAIT_MS = 60_000
const SWITCH_WAIT_MS = 30_000

/**
 * Hands over to PostgreSQL (decision 0014). Everything that takes long is done while the application writes; the switch is one
 * transaction of the target. May be killed anywhere and run again. Refuses, with findings, what would lose something.
 */
export async function cutOver(context: EngineContext, request: CutoverRequest): Promise<CutoverReport> {
  const state = await context.target.cutover.state()
  if (state.phase === 'done') return finish(context, { stoppedMs: null, tailKeys: 0 })
  const prepared = await prepare(context, state, request)
  if (Array.isArray(prepared)) return refused(prepared)
  const switched = await withWritesStopped(context, () => stopAndSwitch(context, request, prepared), request)
  return Array.isArray(switched) ? refused(switched) : finish(context, switched, request.onStep)
}

/** Keeps control work and verification out meanwhile. Unless the switch was made, the source may be written again afterwards. */
async function withWritesStopped<T>(
  context: EngineContext,
  work: () => Promise<T>,
  { setReadOnly, onStep }: CutoverRequest,
): Promise<T> {
  await using control = await holdOff(context, 'maintain')
  // Its snapshot would hold tables that the switch alters.
  await using verification = await holdOff(context, 'verify')
  void control
  void verification
  onStep?.(setReadOnly ? 'making the source read-only' : 'waiting for the application to stop writing: stop it now')
  try {
    return await work()
  } finally {
    // A failed commit may have been made.
    if ((await context.target.cutover.state()).phase === 'following') await context.source.writes.allow()
  }
}

function refused(findings: readonly CutoverFinding[]): CutoverReport {
  return { done: false, findings, stoppedMs: null, tailKeys: 0 }
}

interface Prepared {
  readonly model: Model
  /** Everything up to this drain has been compared. */
  readonly drain: number
  /** Of the source, when those of the target were set. */
  readonly counters: Counters
}

/** Everything that can be done while the application writes; returns what blocks. */
async function prepare(
  context: EngineContext,
  state: CutoverState,
  { onStep }: CutoverRequest,
): Promise<Prepared | CutoverFinding[]> {
  onStep?.('building what is missing')
  const model = await loadModel(context)
  await maintain(context, model)
  const found = (await obstaclesOf(context, model)).filter(blocks)
  if (found.length > 0) return found
  await context.target.cutover.prepare(cutoverTables(model), () => throwIfStopped(context))
  // Again in the end for those that have moved until then.
  const counters = await context.source.writes.counters()
  await counterFindings(context, model, { tables: [...model.tables.keys()], dryRun: false })
  let since = await comparedSince(context, state)
  if (since === null) {
    onStep?.('comparing all rows')
    const compared = await compareAll(context, model)
    if (Array.isArray(compared)) return compared
    since = compared
  }
  onStep?.('comparing the rows that have changed since')
  const tail = await shrinkTail(context, model, since)
  return Array.isArray(tail) ? tail : { ...tail, counters }
}

/** The drain up to which an earlier run has compared everything, if the keys changed since are still known. */
async function comparedSince(context: EngineContext, { isCompared, keptDrain }: CutoverState): Promise<number | null> {
  if (!isCompared || keptDrain === null) return null
  return (await readTarget(context, ({ history }) => history.keepsAfter(keptDrain))) ? keptDrain : null
}

async function compareAll(context: EngineContext, model: Model): Promise<number | CutoverFinding[]> {
  const { number: keptDrain } = await readTarget(context, ({ history }) => history.last())
  await context.target.cutover.note({ keptDrain, isCompared: false })
  const keyed = [...model.tables.keys()].filter((table) => !model.isFullTable(table))
  const findings = await compareWhole(context, keyed)
  if (findings.length > 0) return findings
  await context.target.cutover.note({ keptDrain, isCompared: true })
  return keptDrain
}

/** Each round compares what has changed during the one before, so the last one finds little to do. */
async function shrinkTail(
  context: EngineContext,
  model: Model,
  from: number,
): Promise<Omit<Prepared, 'counters'> | CutoverFinding[]> {
  let since = from
  for (let round = 0; ; round++) {
    const tail = await compareTail(context, model, since)
    if (tail === null) return [tooManyChanges()]
    if (tail.findings.length > 0) return [...tail.findings]
    since = tail.drain
    await context.target.cutover.note({ keptDrain: since, isCompared: true })
    if (tail.keys <= FEW_KEYS || round >= MAX_ROUNDS) return { model: tail.model, drain: since }
  }
}

function tooManyChanges(): CutoverFinding {
  return blocking('not-compared', null, {
    cause: 'more rows have changed since the comparison than their keys are kept of',
    commands: ['mylab-sync cutover'],
  })
}

interface Switched {
  readonly stoppedMs: number | null
  readonly tailKeys: number
}

/** From the stop of the writes to the switch; returns why it was not made. */
async function stopAndSwitch(
  context: EngineContext,
  request: CutoverRequest,
  prepared: Prepared,
): Promise<Switched | CutoverFinding[]> {
  const end = performance.now() + request.waitMs
  for (;;) {
    const quiet = await stopWrites(context, { ...request, waitMs: Math.max(0, end - performance.now()) })
    if (quiet === null) return [sourceWritten()]
    const tail = await lastTail(context, prepared)
    if (tail === null) return [tooManyChanges()]
    const now = await context.source.writes.counters()
    const changed = movedCounters(tail.model, { before: prepared.counters, now, tail: tail.tables })
    const findings = [
      ...tail.findings,
      ...(await blockingFindings(context, tail.model)).filter(blocks),
      ...(await counterFindings(context, tail.model, { tables: changed, dryRun: false })),
    ]
    if (findings.length > 0) return findings
    if (await makeSwitch(context, request, { model: tail.model, quiet }))
      return { stoppedMs: performance.now() - quiet.since, tailKeys: tail.keys }
    if (performance.now() > end) return [sourceWritten()]
  }
}

function sourceWritten(): CutoverFinding {
  return blocking('source-written', null, {
    cause: 'the application still writes the source',
    commands: ['mylab-sync cutover # once the application is stopped', 'mylab-sync cutover --set-read-only'],
  })
}

/** Drains what is left, looks for changes without entries, and compares what has changed since. */
async function lastTail(context: EngineContext, { model, drain: since }: Prepared): Promise<TailResult | null> {
  await noticeUncaptured(context, model)
  const probe = (await context.source.catalog.seesStorage()) ? {} : { probe: [...model.tables.keys()] }
  await drain(context, model, { ...probe, waitMs: LAST_DRAIN_WAIT_MS })
  const tail = await compareTail(context, model, since)
  if (tail === null) return null
  const full = [...tail.model.tables.keys()].filter((table) => tail.model.isFullTable(table))
  return { ...tail, findings: [...tail.findings, ...(await compareWhole(context, full))] }
}

/** Returns false, with nothing changed, if the source was written meanwhile. */
async function makeSwitch(
  context: EngineContext,
  { withActions }: CutoverRequest,
  { model, quiet }: { readonly model: Model; readonly quiet: Quiet },
): Promise<boolean> {
  const tables = cutoverTables(model)
  const once = async (): Promise<boolean> => {
    await using target = await context.target.cutover.begin({ waitMs: SWITCH_WAIT_MS })
    if ((await target.state()).phase !== 'following')
      throw new SyncError('lock-timeout', 'another process has changed the phase of the cutover', {
        remedy: 'mylab-sync status; then mylab-sync cutover again',
      })
    await target.harden(tables, { withActions })
    await target.enter('done', { withActions })
    // Last, so that as little as possible is written after it.
    if (!(await isStillQuiet(context, quiet))) return false
    await target.commit()
    return true
  }
  return untilReadersLeave(once)
}

async function isStillQuiet({ source: { writes, log } }: EngineContext, { mark }: Quiet): Promise<boolean> {
  if ((await log.poll()).pending) return false
  // A refused write may move the mark, too.
  if (await writes.isForbidden()) return true
  return (await writes.look()).mark === mark && !(await writes.areOpen())
}

/** What blocks no write of the application: validating foreign keys that the switch has made anew. */
async function finish(
  context: EngineContext,
  switched: Switched,
  onStep?: (step: string) => void,
): Promise<CutoverReport> {
  onStep?.(HANDED_OVER)
  await context.target.cutover.validate(cutoverTables(await loadModel(context)))
  return { done: true, findings: [], ...switched }
}

export const HANDED_OVER = 'point the application at PostgreSQL now'
