import { ConstraintViolated } from '@mylab-sync/core'
import { type EngineContext, rulesOf } from './context.js'
import { loadModel, type Model } from './model.js'
import { type DrainReport, type DrainRequest, ModelStale, RunningDrain, WentBack } from './running-drain.js'

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
  for (let redo = 0; ; redo++) {
    try {
      return await drainOnce(context, current, request)
    } catch (error) {
      if (error instanceof WentBack) continue
      if (error instanceof ModelStale && redo < MOST_RELOADS) {
        current = await loadModel(context)
        continue
      }
      if (!(error instanceof ConstraintViolated) || redo >= MOST_REDOS) throw error
      await context.target.suspend(error)
    }
  }
}

async function drainOnce(context: EngineContext, model: Model, request: DrainRequest): Promise<DrainReport> {
  const { source, target: server, hooks } = context
  const rules = rulesOf(context)
  const early = rules.lockBeforeSnapshot ? null : await source.openSnapshot()
  if (early) await hooks?.betweenLockAndSnapshot?.()
  const target = request.waitMs ? await server.beginDrainWaiting(request.waitMs) : await server.beginDrain()
  if (!target) {
    early?.release()
    return { kind: 'busy' }
  }
  let snapshot = early
  try {
    if (!early) await hooks?.betweenLockAndSnapshot?.()
    snapshot ??= await source.openSnapshot()
    const running = await RunningDrain.begin({ context, model, request, rules, snapshot, target })
    return await running.run()
  } finally {
    await target.rollback()
    snapshot?.release()
  }
}
