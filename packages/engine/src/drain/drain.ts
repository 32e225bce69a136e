import { ConstraintViolated, type SourceSnapshot, SyncError, type TargetTransaction } from '@mylab-sync/core'
import { type EngineContext, reach, rulesOf } from '../context.js'
import { loadModel, type Model } from '../model/model.js'
import { NotAsLeft, watchOthers } from './ownership.js'
import { settingAside } from '../tables/set-aside.js'
import { suspend } from '../tables/redo.js'
import type { DrainReport } from './drain-report.js'
import { type DrainRequest, RunningDrain, WentBack } from './running-drain.js'

/** Definitions that move between two looks, again and again, are for the caller's pause. */
const MOST_RELOADS = 10
/** Suspended constraints are dropped outside the drain, one at a time; more in a row than a schema has is a defect. */
const MOST_REDOS = 200

/**
 * One pass that brings all live tables to a new snapshot of the source, in one target transaction (DESIGN 3.4).
 * Guarantees: commits only if the live set equals the snapshot, but for quarantined keys; marks exactly the entries
 * that it read; a crash anywhere repeats idempotent work. Constraints that the truth breaks are suspended and the drain
 * is done again. Throws SyncError for what a retry may cure (lost connections, locks).
 */
export async function drain(context: EngineContext, model: Model, request: DrainRequest = {}): Promise<DrainReport> {
  let current = model
  let before: NotAsLeft['watched'] | undefined
  for (let redo = 0; ; redo++) {
    try {
      const { model: read, seen } = { model: current, seen: before }
      return await settingAside(context, read, () =>
        drainOnce(context, read, seen ? { ...request, before: seen } : request),
      )
    } catch (error) {
      if (error instanceof WentBack) {
        before = undefined
        continue
      }
      if (error instanceof NotAsLeft) {
        before = error.watched
        await watchOthers(context)
        continue
      }
      if (error instanceof SyncError && error.code === 'generation-changed' && redo < MOST_RELOADS) {
        current = await loadModel(context)
        continue
      }
      if (!(error instanceof ConstraintViolated) || redo >= MOST_REDOS) throw error
      await suspend(context, current, error)
    }
  }
}

async function drainOnce(context: EngineContext, model: Model, request: DrainRequest): Promise<DrainReport> {
  const rules = rulesOf(context)
  const run = async (target: TargetTransaction, snapshot: SourceSnapshot): Promise<DrainReport> => {
    const running = await RunningDrain.begin({ context, model, request, rules, snapshot, target })
    return await running.run()
  }
  if (!rules.lockBeforeSnapshot)
    return withSnapshot(context, (snapshot) => withLock(context, request, (target) => run(target, snapshot)))
  return withLock(context, request, (target) => withSnapshot(context, (snapshot) => run(target, snapshot)))
}

async function withLock(
  context: EngineContext,
  request: DrainRequest,
  use: (target: TargetTransaction) => Promise<DrainReport>,
): Promise<DrainReport> {
  const { target, hooks } = context
  await using transaction = request.waitMs
    ? await target.beginDrain({ waitMs: request.waitMs })
    : await target.beginDrain()
  if (!transaction) return { kind: 'busy' }
  await reach(context, 'drain:locked')
  await hooks?.betweenLockAndSnapshot?.()
  return await use(transaction)
}

async function withSnapshot(
  { source, hooks }: EngineContext,
  use: (snapshot: SourceSnapshot) => Promise<DrainReport>,
): Promise<DrainReport> {
  const snapshot = await source.openSnapshot()
  try {
    await hooks?.betweenLockAndSnapshot?.()
    return await use(snapshot)
  } finally {
    snapshot.release()
  }
}
