import { ConstraintViolated, SyncError } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { suspend } from '../tables/redo.js'
import { settingAside } from '../tables/set-aside.js'
import { drainPass } from './drain-pass.js'
import type { DrainReport } from './drain-report.js'
import type { Watched } from './history-verdict.js'
import { watchOthers } from './ownership.js'
import type { DrainRequest } from './pass.js'

/** Definitions that move between two looks, again and again, are for the caller's pause. */
const MAX_RELOADS = 10
/** Suspended constraints are dropped outside the drain, one at a time; more in a row than a schema has is a defect. */
const MAX_REDOS = 200

/**
 * Brings all open tables to a new snapshot of the source, in one target transaction (DESIGN 3.4).
 * Guarantees: commits only if the live set equals the snapshot, but for quarantined keys; marks exactly the entries
 * that it read; a crash anywhere repeats idempotent work. Constraints that rows of the source violate are suspended, and
 * the drain is done again. Throws SyncError for what a retry may cure (lost connections, locks).
 */
export async function drain(context: EngineContext, model: Model, request: DrainRequest = {}): Promise<DrainReport> {
  let current = model
  let before: Watched | undefined
  for (let redo = 0; ; redo++) {
    try {
      const asked = { ...request, before }
      const result = await settingAside(context, current, () => drainPass(context, current, asked))
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
