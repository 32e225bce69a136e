import { isBeingOpened, type TableProgress } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'
import { readTarget } from '../transactions.js'
import { isTableOpen, tablesThat } from '../tables/table-states.js'

export interface DueWorkLimits {
  /** Chunks planned ahead of the copy, per table. */
  readonly chunksPerTable: number
  /** Chunks listed at once. */
  readonly chunks: number
}

/** What there is to do by the state tables alone. */
export interface DueWork {
  /** Tables that need more chunks, big ones first. */
  readonly plan: readonly string[]
  /** Open chunks, the tables by turns, big ones first. Some may be at work already. */
  readonly chunks: readonly { readonly table: string; readonly chunk: number }[]
  /** Components whose chunks are all done. */
  readonly open: readonly (readonly string[])[]
  /** Tables set aside, which control work takes up again. */
  readonly aside: readonly string[]
}

/**
 * One look at the state tables, under a lock that only ticks take: schedulers on any number of hosts need no leader.
 * Names work and starts none: a copy begins with `initial` alone. False when another scheduler is looking right now.
 * `put` is called inside the lock and must be quick.
 */
export async function listDueWork(
  context: EngineContext,
  model: () => Promise<Model>,
  limits: DueWorkLimits,
  put: (work: DueWork) => Promise<void>,
): Promise<boolean> {
  await using target = await context.target.beginExclusive('tick')
  if (!target) return false
  const states = await target.tables.all()
  const copied = [...states.values()].filter((p) => isBeingOpened(p.state)).sort(bySize)
  const aside = tablesThat(states, (state) => state === 'suspect')
  if (copied.length === 0) {
    await put({ plan: [], chunks: [], open: [], aside })
    return true
  }
  const known = await model()
  const tables = copied.filter((p) => known.tables.has(p.table))
  const names = tables.map((p) => p.table)
  const open = await target.chunks.pending(names, limits.chunksPerTable)
  const due = dueCopy(known, tables, open, limits)
  const ready = due.open.filter((component) => !known.graph.isBlocked(component, (table) => isTableOpen(states, table)))
  await put({ ...due, open: ready, aside })
  return true
}

function bySize(a: TableProgress, b: TableProgress): number {
  return b.estimatedRows - a.estimatedRows
}

function dueCopy(
  model: Model,
  tables: readonly TableProgress[],
  chunks: readonly { readonly table: string; readonly chunk: number }[],
  limits: DueWorkLimits,
): Pick<DueWork, 'plan' | 'chunks' | 'open'> {
  const count = new Map<string, number>()
  for (const { table } of chunks) count.set(table, (count.get(table) ?? 0) + 1)
  // Planned again at half of the window, so that planning comes in batches and never too late.
  const plan = tables.filter(
    (p) => p.state === 'copying' && !p.planned && (count.get(p.table) ?? 0) <= limits.chunksPerTable / 2,
  )
  return {
    plan: plan.map((p) => p.table),
    chunks: chunks.slice(0, limits.chunks),
    open: copiedGroups(model, tables, count),
  }
}

/** What opens together and may open now, as the state tables say. */
export function readyGroups(context: EngineContext, model: Model): Promise<(readonly string[])[]> {
  return readTarget(context, async (target) => {
    const copied = [...(await target.tables.all()).values()].filter(
      (p) => isBeingOpened(p.state) && model.tables.has(p.table),
    )
    const open = await target.chunks.pending(
      copied.map((p) => p.table),
      1,
    )
    return copiedGroups(model, copied, new Set(open.map((chunk) => chunk.table)))
  })
}

/** Of these tables, which are being opened, what opens together and has no chunk left to plan or to copy. */
function copiedGroups(
  model: Model,
  tables: readonly TableProgress[],
  chunks: { has(table: string): boolean },
): (readonly string[])[] {
  const isDone = (p: TableProgress): boolean => p.state === 'catching-up' || (p.planned && !chunks.has(p.table))
  const done = new Set(tables.filter(isDone).map((p) => p.table))
  const components = model.graph.components(tables.map((p) => p.table))
  return model.graph.openingGroups(components.filter((component) => component.every((table) => done.has(table))))
}
