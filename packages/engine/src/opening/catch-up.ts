import { NO_DRAIN, parksKeys, type SourceSnapshot, type TargetTransaction } from '@mylab-sync/core'
import { type EngineContext, limitsOf, throwIfStopped } from '../context.js'
import type { Model } from '../model/model.js'
import { DirtyKeys } from '../slice/dirty-keys.js'
import { parkOrphans } from '../slice/orphans.js'
import { recordOutcome } from '../slice/record-outcome.js'
import { runSlice } from '../slice/run-slice.js'
import type { SliceScope } from '../slice/slice.js'
import { redoWithoutViolatedConstraints } from '../tables/redo.js'
import { readTarget, writeTarget } from '../transactions.js'
import { type Copies, lockUnopened } from './copies.js'
import { tablesThat } from '../tables/table-states.js'

/** More constraints than a component has. */
const MAX_SUSPENSIONS = 200

/** Parks orphans. Runs before the catch-up, which reads most of them outside the drain lock, and again after it, for orphans of its own slices. False: another process is opening these tables. */
export async function scanOrphans(context: EngineContext, model: Model, copies: Copies): Promise<boolean> {
  const tables = [...copies.keys()]
  return writeTarget(context, async (target) => {
    if (!(await lockUnopened(target, copies))) return false
    const edges = model.graph.edges.filter((edge) => tables.includes(edge.child))
    await parkOrphans(target, model, { edges, drain: NO_DRAIN })
    await target.tables.stepAll('all-chunks-done', new Map(tables.map((table) => [table, {}])))
    return true
  })
}

/**
 * Applies parked keys in slices (DESIGN 3.3, step 3) and stops at the first slice that makes no headway against drains that
 * park; the opening drain applies the rest. False: another process is opening these tables.
 */
export async function catchUp(context: EngineContext, model: Model, copies: Copies): Promise<boolean> {
  const { lastSliceKeys } = limitsOf(context)
  let before = Number.POSITIVE_INFINITY
  for (;;) {
    const behind = await countParked(context, copies)
    if (behind <= lastSliceKeys || behind >= before) break
    throwIfStopped(context)
    const isDone = await redoWithoutViolatedConstraints(context, { model, most: MAX_SUSPENSIONS }, () =>
      catchUpSlice(context, model, copies),
    )
    if (!isDone) return false
    before = behind
  }
  const isUntouched = before === Number.POSITIVE_INFINITY
  return isUntouched || (await scanOrphans(context, model, copies))
}

function countParked(context: EngineContext, copies: Copies): Promise<number> {
  return readTarget(context, async ({ parked }) => {
    const counts = await parked.counts([...copies.keys()])
    return [...counts.values()].reduce((sum, count) => sum + count, 0)
  })
}

/** Runs one slice with its own commit. Reads parked keys before its snapshot, and removes exactly the keys it read. */
async function catchUpSlice(context: EngineContext, model: Model, copies: Copies): Promise<boolean> {
  const tables = [...copies.keys()]
  const { catchUpKeys } = limitsOf(context)
  await using target = await context.target.begin()
  if (!(await lockUnopened(target, copies))) return false
  const parked = await target.parked.read(tables, catchUpKeys)
  await using snapshot = await context.source.openSnapshot()
  const scope = await scopeOf({ context, model, target, snapshot }, tables)
  const { outcome, tally } = await runSlice(scope, {
    drain: NO_DRAIN,
    dirty: new DirtyKeys(),
    parked,
    opening: [],
    maxKeys: 2 * catchUpKeys,
  })
  await recordOutcome(target, outcome, { drain: NO_DRAIN, tally })
  await target.parked.remove(parked)
  await target.history.addWatermark(tables, await snapshot.watermarks.leave())
  await target.commit()
  return true
}

interface CatchingUp {
  readonly context: EngineContext
  readonly model: Model
  readonly target: TargetTransaction
  readonly snapshot: SourceSnapshot
}

async function scopeOf(parts: CatchingUp, tables: readonly string[]): Promise<SliceScope> {
  const open = new Set(tables)
  const parking = tablesThat(await parts.target.tables.all(), parksKeys)
  const waiting = new Set(parking.filter((table) => !open.has(table)))
  return { ...parts, open, waiting }
}
