import { isBeingOpened, isOpen, type TableProgress, type TargetTransaction } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { ActionGraph } from '../model/action-graph.js'
import type { Model } from '../model/model.js'
import { readTarget } from '../transactions.js'
import { isTableOpen, type TableStates, tablesThat } from '../tables/table-states.js'
import { CHUNKS_AHEAD, CHUNKS_PER_LOOK } from './cadence.js'

export interface DueWorkLimits {
  /** Chunks planned ahead of the copy, per table. */
  readonly chunksPerTable: number
  /** Chunks listed at once. */
  readonly chunks: number
}

const LIMITS: DueWorkLimits = { chunksPerTable: CHUNKS_AHEAD, chunks: CHUNKS_PER_LOOK }

/** The work that is due, derived from the state tables alone. */
export interface DueWork {
  /** Tables that need more chunks planned, largest first. */
  readonly plan: readonly string[]
  /** Pending chunks, alternating between tables, largest table first. Some may already be in progress. */
  readonly chunks: readonly { readonly table: string; readonly chunk: number }[]
  /** Components whose chunks are all done and whose action parents are open. */
  readonly open: readonly (readonly string[])[]
  /** Tables that are set aside; control work has them copied again. */
  readonly aside: readonly string[]
  /** A step of background verification is due. */
  readonly verify: boolean
}

/**
 * Lists due work by one look at the state tables, under a lock that only ticks take: schedulers on any number of hosts need
 * no leader. Never starts a copy; only `initial` does. Returns false if another scheduler is looking right now. Calls `put`
 * inside the lock, so it must be quick.
 */
export async function listDueWork(
  context: EngineContext,
  model: () => Promise<Model>,
  put: (work: DueWork) => Promise<void>,
): Promise<boolean> {
  await using target = await context.target.beginExclusive('tick')
  if (!target) return false
  const states = await target.tables.all()
  const opening = [...states.values()].filter((p) => isBeingOpened(p.state)).sort(bySize)
  const verify = await isVerifyDue(context, target, states)
  if (opening.length === 0) {
    await put({ plan: [], chunks: [], open: [], aside: setAsideOf(states), verify })
    return true
  }
  const { graph, tables } = await model()
  const copied = opening.filter((p) => tables.has(p.table))
  const names = copied.map((p) => p.table)
  const pending = await target.chunks.pending(names, LIMITS.chunksPerTable)
  await put({ ...dueWork({ graph, states, copied, pending }, LIMITS), verify })
  return true
}

async function isVerifyDue(
  { options }: EngineContext,
  { verification }: TargetTransaction,
  states: TableStates,
): Promise<boolean> {
  if (options.verify.share === 0 || tablesThat(states, isOpen).length === 0) return false
  return (await verification.pace()).waitMs === 0
}

function setAsideOf(states: TableStates): string[] {
  return tablesThat(states, (state) => state === 'suspect')
}

function bySize(a: TableProgress, b: TableProgress): number {
  return b.estimatedRows - a.estimatedRows
}

/** The parts of the state tables that describe a copy. */
export interface CopyStates {
  readonly graph: ActionGraph
  readonly states: TableStates
  /** Tables of the model that are being opened, largest first. */
  readonly copied: readonly TableProgress[]
  /** Their pending chunks in copying order, at most one window per table. */
  readonly pending: DueWork['chunks']
}

/** Derives the due work from the states alone. */
export function dueWork(
  { graph, states, copied, pending }: CopyStates,
  limits: DueWorkLimits,
): Omit<DueWork, 'verify'> {
  const count = new Map<string, number>()
  for (const { table } of pending) count.set(table, (count.get(table) ?? 0) + 1)
  // A table is planned again at half of its window, so planning happens in batches and never too late.
  const plan = copied.filter(
    (p) => p.state === 'copying' && !p.planned && (count.get(p.table) ?? 0) <= limits.chunksPerTable / 2,
  )
  const groups = copiedGroups(graph, copied, count)
  return {
    plan: plan.map((p) => p.table),
    chunks: pending.slice(0, limits.chunks),
    open: groups.filter((group) => !graph.isBlocked(group, (table) => isTableOpen(states, table))),
    aside: setAsideOf(states),
  }
}

/** Returns the groups of tables that open together and whose chunks are all done, according to the state tables. */
export function readyGroups(context: EngineContext, model: Model): Promise<(readonly string[])[]> {
  return readTarget(context, async (target) => {
    const copied = [...(await target.tables.all()).values()].filter(
      (p) => isBeingOpened(p.state) && model.tables.has(p.table),
    )
    const open = await target.chunks.pending(
      copied.map((p) => p.table),
      1,
    )
    return copiedGroups(model.graph, copied, new Set(open.map((chunk) => chunk.table)))
  })
}

/** Groups those of these tables, all being opened, that open together and have no chunk left to plan or to copy. */
function copiedGroups(
  graph: ActionGraph,
  tables: readonly TableProgress[],
  chunks: { has(table: string): boolean },
): (readonly string[])[] {
  const isDone = (p: TableProgress): boolean => p.state === 'catching-up' || (p.planned && !chunks.has(p.table))
  const done = new Set(tables.filter(isDone).map((p) => p.table))
  const components = graph.components(tables.map((p) => p.table))
  return graph.openingGroups(components.filter((component) => component.every((table) => done.has(table))))
}
