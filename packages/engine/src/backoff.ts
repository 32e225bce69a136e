import { type ErrorCode, SyncError } from '@mylab-sync/core'
import { type EngineContext, limitsOf } from './context.js'
import { pause } from './pause.js'

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
