import { ConstraintViolated, SyncError } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { suspend } from '../tables/redo.js'
import { redoWithoutUnfitTables } from '../tables/set-aside.js'
import { drainPass } from './drain-pass.js'
import type { DrainReport } from './drain-report.js'
import type { Watched } from './history-verdict.js'
import { watchOthers } from './ownership.js'
import type { DrainRequest } from './pass.js'

/** If definitions keep changing between two reads, the caller backs off. */
const MAX_RELOADS = 10
/** Each redo suspends one constraint outside the drain; more redos than a schema has constraints are a defect. */
const MAX_REDOS = 200

/**
 * Brings all open tables to a new snapshot of the source, in one target transaction (DESIGN 3.4).
 * Guarantees: commits only if the open tables equal the snapshot, except for quarantined keys; marks exactly the entries
 * that it read; a crash anywhere repeats idempotent work. Suspends constraints that rows of the source violate and starts
 * again. Throws SyncError for failures that a retry may fix (lost connections, locks).
 */
export async function drain(context: EngineContext, model: Model, request: DrainRequest = {}): Promise<DrainReport> {
  let current = model
  let before: Watched | undefined
  for (let redo = 0; ; redo++) {
    try {
      const asked = { ...request, before }
      const result = await redoWithoutUnfitTables(context, current, () => drainPass(context, current, asked))
      switch (result.kind) {
        case 'taken-back':
          before = undefined
          break
        case 'look-again':
          before = result.watched
          await watchOthers(context)
          break
        case 'busy':
        case 'done':
          return result
      }
    } catch (error) {
      if (error instanceof SyncError && error.code === 'generation-changed' && redo < MAX_RELOADS) {
        current = await loadModel(context)
        continue
      }
      if (!(error instanceof ConstraintViolated) || redo >= MAX_REDOS) throw error
      await suspend(context, current, error)
    }
  }
}
