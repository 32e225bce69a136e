import { type ErrorCode, SyncError } from '@mylab-sync/core'
import { type EngineContext, limitsOf, type Progress } from '../context.js'
import { pause } from './pause.js'

const LONGEST_MS = 5_000

/** What only a human can cure; everything else of ours may pass by itself: a server away, a lock, a definition in motion. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'usage',
  'configuration',
  'missing-right',
  'not-migrated',
  'foreign-audit-table',
  'foreign-trigger',
  'wrong-owner',
  'table-refused',
  'target-table-missing',
  'xa-prepared',
])

export function mayPass(error: unknown): error is SyncError {
  return error instanceof SyncError && !FINAL.has(error.code)
}

/** A lock that somebody holds, a server that restarts: about a minute of tries. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['lock-timeout', 'lost-connection', 'cannot-connect', 'unavailable'])
const MOST_TRIES = 12

/** Does `work`, which may run again, until it gets through what passes by itself; each failure is told. */
export async function patiently<T>(
  { context, progress, signal }: { context: EngineContext; progress: Progress; signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  for (const backoff = new Backoff(limitsOf(context).retryDelayMs); ; ) {
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

/** Pauses that double, up to 5 s, between tries that fail one after the other. */
export class Backoff {
  readonly #firstMs: number
  #failures = 0

  constructor(firstMs: number) {
    this.#firstMs = firstMs
  }

  get failures(): number {
    return this.#failures
  }

  reset(): void {
    this.#failures = 0
  }

  async wait(signal: AbortSignal): Promise<void> {
    await pause(Math.min(LONGEST_MS, this.#firstMs * 2 ** this.#failures++), signal)
  }
}

/** Does `work` again where a retry may cure what went wrong, as often as the limits say, or until the signal. */
export async function retrying<T>(context: EngineContext, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const { attempts, retryDelayMs } = limitsOf(context)
  const backoff = new Backoff(retryDelayMs)
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!mayPass(error) || backoff.failures + 1 >= attempts || signal.aborted) throw error
      await backoff.wait(signal)
    }
  }
}
