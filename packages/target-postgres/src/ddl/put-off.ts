const FIRST_MS = 60_000
const LONGEST_MS = 3_600_000
/** While its builds keep failing, an index takes at most a tenth of the time. */
const TIMES_TOOK = 9
/** If many indexes wait for one transaction, only one at a time is tried. */
const BETWEEN_MS = 30_000

/**
 * Decides when to retry an index whose build timed out waiting for other transactions, which may stay open for hours. Each
 * failure doubles the index's pause, so indexes that can be built get their turn, and no build follows a failure at once.
 */
export class PutOff {
  readonly #now: () => number
  readonly #failed = new Map<string, { readonly pauseMs: number; readonly until: number }>()
  #next = Number.NEGATIVE_INFINITY
  #why = ''

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Returns why the index must not be started now; null if it may. */
  reason(index: string): string | null {
    const now = this.#now()
    return now < this.#next || now < (this.#failed.get(index)?.until ?? now) ? this.#why : null
  }

  failed(index: string, tookMs: number, why: string): void {
    const now = this.#now()
    const doubled = 2 * (this.#failed.get(index)?.pauseMs ?? FIRST_MS / 2)
    const pauseMs = Math.max(Math.min(LONGEST_MS, doubled), TIMES_TOOK * tookMs)
    this.#failed.set(index, { pauseMs, until: now + pauseMs })
    this.#next = now + BETWEEN_MS
    this.#why = why
  }

  built(index: string): void {
    this.#failed.delete(index)
  }
}
