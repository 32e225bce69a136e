import { KEPT_DAYS } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'

/** Removes old entries of the change log, in small transactions. */
export async function cleanUp(context: EngineContext, signal: AbortSignal): Promise<void> {
  await context.source.log.purge({ olderThanDays: KEPT_DAYS, dryRun: false, signal })
}
