const FIRST_MS = 60_000
const LONGEST_MS = 3_600_000
/** Building takes a tenth of the time at most, as long as it is in vain. */
const TIMES_TOOK = 9
/** Of many indexes that wait for one transaction, one is tried at a time. */
const BETWEEN_MS = 30_000

/**
 * When an index is tried again whose build waited in vain for transactions of others, which may stay open for hours: each
 * failure doubles its pause, so that those which could be built get their turn, and none is begun right after another's.
 */
export class PutOff {
  readonly #now: () => number
  readonly #failed = new Map<string, { readonly pauseMs: number; readonly until: number }>()
  #next = Number.NEGATIVE_INFINITY
  #why = ''

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Why this index is not to be begun now; null: it is. */
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
