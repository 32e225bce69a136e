import { type ErrorCode, SyncError } from '@mylab-sync/core'
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
