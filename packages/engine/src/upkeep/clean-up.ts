import type { EngineContext } from '../context.js'

/** Days that synced entries of the change log are kept by default. */
export const KEPT_DAYS = 7

/** Removes old entries of the change log, in small transactions. */
export async function cleanUp(context: EngineContext, signal: AbortSignal): Promise<void> {
  await context.source.log.purge({ olderThanDays: KEPT_DAYS, dryRun: false, signal })
}
