import type { SyncError } from '@mylab-sync/core'
import { type EngineContext, throwIfStopped } from '../context.js'
import type { CompletedDrain } from '../drain/drain-report.js'
import type { Model } from '../model/model.js'
import { ALL, type Findings, type FindingsLimits, isFull } from './findings.js'
import { Moment } from './moment.js'
import { faultOfTable, REDEFINED, redefinedAt } from './obstacle.js'
import type { TableWalk } from './table-walk.js'

export interface Advance {
  /** As read by the moment's drain: pass it to the next call. */
  readonly model: Model
  /** Of the moment's drain. */
  readonly report: CompletedDrain
  /** ISO 8601 in UTC by the source's clock: what the steps found holds for this moment. */
  readonly takenAt: string
  /** Rows of the source that were compared. */
  readonly rows: number
  /** How long opening the moment took, drain included, and how long the walks used it. */
  readonly openedMs: number
  readonly walkedMs: number
  /** Keys that the target refused, by table. */
  readonly quarantined: ReadonlyMap<string, number>
  /** Whether the moment proved something, or a walk has ended. */
  readonly isOfUse: boolean
  /** Why walks have ended early, of those that an error has ended. */
  readonly faults: readonly SyncError[]
}

export interface AdvanceLimits {
  /** How long the moment is used; opening it took `openedMs`. */
  readonly ms: (openedMs: number) => number
  /** Differences that the walks may list together; only those of the last step may be beyond. */
  readonly listed?: FindingsLimits
  /** Takes a walk's next step: returns false if it needs another moment. */
  readonly step?: (walk: TableWalk, moment: Moment) => Promise<boolean>
}

/**
 * Opens one moment, which takes a drain, and lets these walks use it in their order until a limit is reached: each goes as far
 * as it can, then the next one begins. A walk that the moment is no use to is skipped, and an error of one table or a change
 * of its definition only postpones its walk; those come last at the next moment. Ends with the step that passes the limit,
 * and takes at least one; a step takes less than a second on idle servers. Throws what the drain throws, and SyncError stopped.
 */
export async function advanceWalks(
  context: EngineContext,
  model: Model,
  walks: readonly TableWalk[],
  { ms, listed = ALL, step = (walk, moment) => walk.step(context, moment) }: AdvanceLimits,
): Promise<Advance> {
  throwIfStopped(context)
  const began = performance.now()
  await using moment = await Moment.open(context, model)
  const opened = performance.now()
  const quarantined = await moment.target.quarantine.counts()
  const rowsOf = (): number => walks.reduce((sum, walk) => sum + walk.state.rows, 0)
  const before = rowsOf()
  const found = (): Findings[] => walks.map((walk) => walk.state.findings)
  const until = opened + ms(opened - began)
  let [isOver, hasFailed] = [false, false]
  const faults: SyncError[] = []
  const used = new Set<TableWalk>()
  const take = async (walk: TableWalk): Promise<void> => {
    try {
      while (!walk.isDone && !isOver) {
        throwIfStopped(context)
        if (!(await step(walk, moment))) return
        used.add(walk)
        isOver = performance.now() >= until || isFull(found(), listed)
      }
    } catch (error) {
      const fault = faultOfTable(walk.table, error)
      walk.postpone(moment, fault)
      if (walk.isDone) faults.push(fault.error)
      used.delete(walk)
      // An error of the target ends its transaction.
      isOver = hasFailed = true
    }
  }
  for (const walk of walks.toSorted((a, b) => a.state.failures - b.state.failures)) if (!isOver) await take(walk)
  const redefined = await redefinedAt(context, moment, tablesComparedBy(used))
  for (const walk of used)
    if (redefined.has(walk.table)) walk.postpone(moment, { why: REDEFINED, isFinal: false })
    else walk.confirm()
  const isOfUse = walks.some((walk) => walk.isDone || (used.has(walk) && !redefined.has(walk.table)))
  // After an error, or a change that has to settle, others may not have been tried.
  if (!isOfUse && !hasFailed && redefined.size === 0) for (const walk of walks) walk.noteVain()
  return {
    model: moment.model,
    report: moment.report,
    takenAt: moment.takenAt,
    rows: Math.max(0, rowsOf() - before),
    openedMs: opened - began,
    walkedMs: performance.now() - opened,
    quarantined,
    isOfUse,
    faults,
  }
}

/** Those that were left out instead have been judged by the moment's drain. */
function tablesComparedBy(walks: Iterable<TableWalk>): string[] {
  return [...walks].flatMap(({ table, state }) => (state.notCompared === null ? [table] : []))
}
