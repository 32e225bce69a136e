import { concernsAll, isBeingOpened, isRetryable, isStopped, type TableProgress } from '@mylab-sync/core'
import { retryUntil, sleep } from '@mylab-sync/runtime'
import type { EngineContext, Progress } from '../context.js'
import { copyChunk, type CopiedChunk, copyTogether, isSmall, type Together } from '../copy/copy-chunk.js'
import { planChunks } from '../copy/plan-chunks.js'
import { drain } from '../drain/drain.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { openComponent, type Opening } from '../opening/open-component.js'
import { readTarget } from '../transactions.js'
import { reconcile } from '../upkeep/reconcile.js'
import { pausesOf } from './retry.js'
import { isTableBeingOpened, stateOf } from '../tables/table-states.js'

const PAUSE_MS = 200
/** Pause while another worker plans a chunk, which costs one look-up at the source. */
const BUSY_MS = 20
/** Bounds the rounds when definitions keep changing while their tables are copied; the next call continues. */
const MAX_ROUNDS = 20
/** With the pauses between them, about a minute without a copied chunk. */
const ATTEMPTS = 24

export interface Running {
  readonly context: EngineContext
  readonly progress: Progress
  readonly signal: AbortSignal
}

/**
 * Brings the tables that `wanted` selects to their open state: readies set-aside tables for a new copy, copies their
 * chunks, and opens components. Returns when no table can continue: true if one was opened. A signal ends it after
 * the running chunks. Throws errors that no retry can fix; retries others until about a minute has passed without progress.
 */
export async function openTables(running: Running, wanted: (table: TableProgress) => boolean): Promise<boolean> {
  const { context, progress, signal } = running
  const isOver = (): boolean => signal.aborted || rounds >= MAX_ROUNDS
  let [rounds, opened, isOutdated] = [0, false, false]
  const work = async (progressed: () => void): Promise<void> => {
    // A drain compares all generations and sets aside tables whose generation changed.
    if (isOutdated && !isOver()) await drain(context, await loadModel(context))
    isOutdated = false
    for (; !isOver(); rounds++) {
      const outcome = await openOnce(running, wanted, progressed)
      opened ||= outcome.opened > 0
      if (!outcome.again) return
    }
  }
  try {
    await retryUntil(signal, work, {
      ...pausesOf(context),
      attempts: ATTEMPTS,
      isRetryable,
      onRetry: (error) => {
        isOutdated = error.code === 'generation-changed'
        if (isOutdated) rounds++
        progress({ kind: 'note', text: `${error.message}; it will be retried` })
      },
    })
  } catch (error) {
    if (!isStopped(error)) throw error
  }
  return opened
}

async function openOnce(
  running: Running,
  wanted: (table: TableProgress) => boolean,
  progressed: () => void,
): Promise<Outcome> {
  const { context, progress } = running
  const before = await readTarget(context, (target) => target.tables.all())
  const isDue = (p: TableProgress): boolean => p.state === 'suspect' || (isBeingOpened(p.state) && wanted(p))
  if (![...before.values()].some(isDue)) return { opened: 0, again: false }
  const model = await loadModel(context)
  await reconcile(context, model, progress)
  const states = await readTarget(context, (target) => target.tables.all())
  // A concurrent drain may have set a table aside after the reconciliation, which therefore missed it.
  const again = [...states.values()].some(
    (p) => wanted(p) && p.state === 'suspect' && stateOf(before, p.table) !== 'suspect',
  )
  const tables = [...states.values()]
    .filter((p) => isBeingOpened(p.state) && wanted(p) && model.tables.has(p.table))
    .map((p) => p.table)
  if (tables.length === 0) return { opened: 0, again }
  const outcome = await copyAndOpen(running, model, { tables, copied: new Map(), progressed })
  return { opened: outcome.opened, again: outcome.again || again }
}

interface Outcome {
  opened: number
  /** A table was set aside meanwhile, so another round is needed. */
  again: boolean
}

interface Copying {
  readonly tables: readonly string[]
  /** Rows copied so far, by table. */
  readonly copied: Map<string, number>
  readonly progressed: () => void
}

async function copyAndOpen(running: Running, model: Model, copying: Copying): Promise<Outcome> {
  const { context, signal } = running
  const { tables, copied } = copying
  // A worker that fails stops the others after their current chunk.
  const failed = new AbortController()
  const until = AbortSignal.any([signal, failed.signal])
  const workers = Array.from({ length: context.options.copyConcurrency }, async () => {
    try {
      await copyUntilDone({ ...running, signal: until }, model, copying)
    } catch (error) {
      failed.abort()
      throw error
    }
  })
  const ends = await Promise.allSettled(workers)
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  const outcome: Outcome = { opened: 0, again: false }
  const failures: unknown[] = []
  const left = await stillOpening(context, tables)
  for (const waiting of model.graph.openingGroups(model.graph.components(left))) {
    const opening = await openWhenAllowed(running, model, waiting).catch((error: unknown) => {
      if (concernsAll(error)) throw error
      failures.push(error)
    })
    outcome.again ||= opening === 'set-aside'
    if (opening !== 'opened') continue
    outcome.opened += waiting.length
    for (const table of waiting)
      running.progress({
        kind: 'state',
        table,
        state: model.isFullTable(table) ? 'recopied' : 'live',
        rows: copied.get(table) ?? 0,
      })
  }
  // Thrown only now, so the failure of one group does not keep the others closed.
  for (const failure of failures) throw failure
  // A concurrent drain may have set aside tables that had chunks left to copy.
  const states = await readTarget(context, (target) => target.tables.all())
  outcome.again ||= tables.some((table) => stateOf(states, table) === 'suspect')
  return outcome
}

/** Returns those of these tables that were not set aside or broken meanwhile. */
async function stillOpening(context: EngineContext, tables: readonly string[]): Promise<string[]> {
  const states = await readTarget(context, (target) => target.tables.all())
  return tables.filter((table) => isTableBeingOpened(states, table))
}

async function openWhenAllowed(
  { context, signal }: Running,
  model: Model,
  component: readonly string[],
): Promise<Opening> {
  let opening = await openComponent(context, model, component)
  while (opening === 'waiting' && !signal.aborted) {
    await sleep(PAUSE_MS, signal)
    opening = await openComponent(context, model, component)
  }
  return opening
}

async function copyUntilDone(
  { context, progress, signal }: Running,
  model: Model,
  { tables, copied, progressed }: Copying,
): Promise<void> {
  const done = (chunk: CopiedChunk): void => {
    const rows = (copied.get(chunk.table) ?? 0) + chunk.rows
    copied.set(chunk.table, rows)
    progressed()
    progress({ kind: 'copy', table: chunk.table, rows, estimated: model.mapping(chunk.table).source.estimatedRows })
  }
  const small = new Set(tables.filter((table) => isSmall(model.mapping(table))))
  // Looked for only after chunks were planned.
  let areTogether = true
  while (!signal.aborted) {
    const group: Together | null = areTogether ? await copyTogether(context, model, [...small]) : null
    areTogether = group !== null
    if (group !== null) {
      group.copied.forEach(done)
      for (const table of group.alone) small.delete(table)
      continue
    }
    const chunk = await copyChunk(context, model, tables)
    if (chunk) {
      done(chunk)
      continue
    }
    const planned = await planChunks(context, model, tables)
    areTogether = planned === 'planned'
    if (planned === 'done') return
    if (planned === 'busy') await sleep(BUSY_MS, signal)
  }
}
