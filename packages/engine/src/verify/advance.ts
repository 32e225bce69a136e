import { type EngineContext, throwIfStopped } from '../context.js'
import type { CompletedDrain } from '../drain/drain-report.js'
import type { Model } from '../model/model.js'
import { ALL, type Findings, type FindingsLimits, isFull } from './findings.js'
import { Moment } from './moment.js'
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
}

export interface AdvanceLimits {
  /** How long the moment is used; opening it took `openedMs`. */
  readonly ms: (openedMs: number) => number
  /** Differences that the walks may list together; only those of the last step may be beyond. */
  readonly listed?: FindingsLimits
}

/**
 * Opens one moment, which takes a drain, and lets these walks use it in their order until a limit is reached: each goes as far
 * as it can, then the next one begins. A walk that the moment is no use to is skipped. Ends with the step that passes the
 * limit, and takes at least one; a step takes less than a second on idle servers. Throws what the drain throws, and SyncError stopped.
 */
export async function advanceWalks(
  context: EngineContext,
  model: Model,
  walks: readonly TableWalk[],
  { ms, listed = ALL }: AdvanceLimits,
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
  let isFirst = true
  for (const walk of walks)
    while (!walk.isDone) {
      throwIfStopped(context)
      if (!isFirst && (performance.now() >= until || isFull(found(), listed))) break
      isFirst = false
      if (!(await walk.step(context, moment))) break
    }
  return {
    model: moment.model,
    report: moment.report,
    takenAt: moment.takenAt,
    rows: Math.max(0, rowsOf() - before),
    openedMs: opened - began,
    walkedMs: performance.now() - opened,
    quarantined,
  }
}
