import { type ErrorCode, isBeingOpened, SyncError, type TableProgress } from '@mylab-sync/core'
import { Backoff, mayPass } from './backoff.js'
import { type EngineContext, limitsOf, type Progress } from '../context.js'
import { copyChunk } from '../copy/copy-chunk.js'
import { drain } from '../drain/drain.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { openComponent, type Opening } from '../opening/open-component.js'
import { pause } from './pause.js'
import { planChunks } from '../copy/plan-chunks.js'
import { readTarget } from '../transactions.js'
import { reconcile } from '../upkeep/reconcile.js'

const PAUSE_MS = 200
/** Another worker plans a chunk: one look-up at the source. */
const BUSY_MS = 20
/** Definitions that change again and again while their tables are copied: the next call goes on. */
const MOST_ROUNDS = 20
const MOST_FAILURES = 18
/** What befalls one component befalls the next one, too. */
const OF_ALL: ReadonlySet<ErrorCode> = new Set(['lost-connection', 'cannot-connect', 'stopped'])

export interface Running {
  readonly context: EngineContext
  readonly progress: Progress
  readonly signal: AbortSignal
}

/**
 * Brings tables that `wanted` picks to their open state: takes up again what was set aside, copies what is to be
 * copied, and opens components. Returns when none can go on, and whether one was opened; a signal ends it after the
 * chunks that run. What may pass by itself is waited for, about a minute without any progress.
 */
export async function bringUp(running: Running, wanted: (table: TableProgress) => boolean): Promise<boolean> {
  const { context, progress, signal } = running
  const backoff = new Backoff(limitsOf(context).retryDelayMs)
  let opened = false
  for (let round = 0; round < MOST_ROUNDS && !signal.aborted; round++) {
    const copied = new Map<string, number>()
    try {
      const outcome = await bringUpOnce(running, wanted, copied)
      opened ||= outcome.opened > 0
      if (!outcome.again) break
    } catch (error) {
      if (copied.size > 0) backoff.reset()
      if (!mayPass(error) || backoff.failures >= MOST_FAILURES) throw error
      progress({ kind: 'note', text: `${error.message}; it is taken up again` })
      if (error.code !== 'generation-changed') round--
      await backoff.wait(signal)
      // a drain compares all generations and sets aside what has changed
      if (error.code === 'generation-changed') await drain(context, await loadModel(context))
    }
  }
  return opened
}

async function bringUpOnce(
  running: Running,
  wanted: (table: TableProgress) => boolean,
  copied: Map<string, number>,
): Promise<Outcome> {
  const { context, progress } = running
  const model = await loadModel(context)
  await reconcile(context, model, progress)
  const states = await readTarget(context, (target) => target.tables.all())
  const tables = [...states.values()]
    .filter((p) => isBeingOpened(p.state) && wanted(p) && model.tables.has(p.table))
    .map((p) => p.table)
  return tables.length === 0 ? { opened: 0, again: false } : copyAndOpen(running, model, { tables, copied })
}

interface Outcome {
  opened: number
  /** Something was set aside meanwhile. */
  again: boolean
}

interface Copying {
  readonly tables: readonly string[]
  /** Rows copied so far, by table. */
  readonly copied: Map<string, number>
}

async function copyAndOpen(running: Running, model: Model, { tables, copied }: Copying): Promise<Outcome> {
  const { context, signal } = running
  // one that fails ends the others after the chunk that they are at
  const failed = new AbortController()
  const until = AbortSignal.any([signal, failed.signal])
  const workers = Array.from({ length: context.options.copyConcurrency }, async () => {
    try {
      await copyUntilDone({ ...running, signal: until }, model, { tables, copied })
    } catch (error) {
      failed.abort()
      throw error
    }
  })
  const ends = await Promise.allSettled(workers)
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  const outcome: Outcome = { opened: 0, again: false }
  const failures: unknown[] = []
  const copying = await stillOpening(context, tables)
  for (const waiting of model.graph.openingGroups(model.graph.components(copying))) {
    const opening = await openPatiently(running, model, waiting).catch((error: unknown) => {
      if (error instanceof SyncError && OF_ALL.has(error.code)) throw error
      failures.push(error)
    })
    outcome.again ||= opening === 'set-aside'
    if (opening !== 'opened') continue
    outcome.opened += waiting.length
    for (const table of waiting)
      running.progress({
        kind: 'state',
        table,
        state: model.isWhole(table) ? 'recopied' : 'live',
        rows: copied.get(table) ?? 0,
      })
  }
  // What is wrong with one does not keep the others closed.
  for (const failure of failures) throw failure
  // A drain beside may have set aside what had chunks left to copy.
  const states = await readTarget(context, (target) => target.tables.all())
  outcome.again ||= tables.some((table) => states.get(table)?.state === 'suspect')
  return outcome
}

/** Of these tables, those that have not been set aside or broken meanwhile. */
async function stillOpening(context: EngineContext, tables: readonly string[]): Promise<string[]> {
  const states = await readTarget(context, (target) => target.tables.all())
  return tables.filter((table) => isBeingOpened(states.get(table)?.state ?? 'broken'))
}

async function openPatiently(
  { context, signal }: Running,
  model: Model,
  component: readonly string[],
): Promise<Opening> {
  let opening = await openComponent(context, model, component)
  while (opening === 'waiting' && !signal.aborted) {
    await pause(PAUSE_MS, signal)
    opening = await openComponent(context, model, component)
  }
  return opening
}

async function copyUntilDone(
  { context, progress, signal }: Running,
  model: Model,
  { tables, copied }: Copying,
): Promise<void> {
  while (!signal.aborted) {
    const chunk = await copyChunk(context, model, tables)
    if (chunk) {
      const rows = (copied.get(chunk.table) ?? 0) + chunk.rows
      copied.set(chunk.table, rows)
      progress({ kind: 'copy', table: chunk.table, rows, estimated: model.mapping(chunk.table).source.estimatedRows })
      continue
    }
    const planned = await planChunks(context, model, tables)
    if (planned === 'done') return
    if (planned === 'busy') await pause(BUSY_MS, signal)
  }
}
