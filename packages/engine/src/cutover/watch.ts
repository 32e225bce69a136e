import { sleep } from '@mylab-sync/runtime'
import { type EngineContext, throwIfStopped } from '../context.js'

/** The log must not move for this long. */
const QUIET_MS = 2_000
const LOOK_MS = 200

/** A log that has not moved for a while, of which nothing is pending. */
export interface Quiet {
  readonly mark: string
  /** When the newest entry was written, on the clock of `performance.now()`. */
  readonly since: number
}

/**
 * Waits until the application writes no more; null if it still does after `waitMs`. Entries that drains of ours acknowledge,
 * and the log's seal, do not count.
 */
export async function waitForQuiet(context: EngineContext, waitMs: number): Promise<Quiet | null> {
  const { writes } = context.source
  const until = performance.now() + Math.max(waitMs, QUIET_MS + LOOK_MS)
  let { mark } = await writes.look()
  let moved = performance.now()
  while (performance.now() < until) {
    throwIfStopped(context)
    await sleep(LOOK_MS, context.signal)
    const seen = await writes.look()
    const now = performance.now()
    if (seen.mark !== mark) {
      mark = seen.mark
      moved = now
    } else if (now - moved >= QUIET_MS && !(await writes.areOpen())) return { mark, since: now - (seen.idleMs ?? 0) }
  }
  return null
}
