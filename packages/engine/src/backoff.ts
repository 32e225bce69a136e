import { type ErrorCode, SyncError } from '@mylab-sync/core'
import type { Progress } from './context.js'
import { pause } from './pause.js'

const FIRST_MS = 100
const LONGEST_MS = 5_000

/** What only a human can cure; everything else of ours may pass by itself: a server away, a lock, a definition in motion. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'usage',
  'configuration',
  'missing-right',
  'not-migrated',
  'foreign-audit-table',
  'wrong-owner',
  'table-refused',
  'target-table-missing',
  'xa-prepared',
])

export function mayPass(error: unknown): error is SyncError {
  return error instanceof SyncError && !FINAL.has(error.code)
}

/** A lock that somebody holds, a server that restarts: about a minute of tries. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['lock-timeout', 'lost-connection', 'cannot-connect'])
const MOST_TRIES = 12

/** Does `work`, which may run again, until it gets through what passes by itself; each failure is told. */
export async function patiently<T>(
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  for (const backoff = new Backoff(); ; ) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof SyncError) || !PASSING.has(error.code)) throw error
      if (signal.aborted || backoff.failures >= MOST_TRIES) throw error
      progress({ kind: 'note', text: `${error.message}; it is tried again` })
      await backoff.wait(signal)
    }
  }
}

/** Pauses of 0.1, 0.2, 0.4 s and so on up to 5 s between tries that fail one after the other. */
export class Backoff {
  #failures = 0

  get failures(): number {
    return this.#failures
  }

  reset(): void {
    this.#failures = 0
  }

  async wait(signal: AbortSignal): Promise<void> {
    await pause(Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures++), signal)
  }
}
