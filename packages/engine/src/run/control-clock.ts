import { MAINTAIN_MS } from './cadence.js'

/**
 * Decides when control work is due: every ten seconds, and at once if another table was set aside. One policy for the
 * daemon, which does the work itself, and the scheduler, which enqueues it.
 */
export class ControlClock {
  readonly #now: () => number
  #done = Number.NEGATIVE_INFINITY
  #aside: readonly string[] = []

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** `aside`: all tables that are set aside now. */
  isDue(aside: readonly string[]): boolean {
    return aside.some((table) => !this.#aside.includes(table)) || this.#now() - this.#done >= MAINTAIN_MS
  }

  done(aside: readonly string[]): void {
    this.#done = this.#now()
    this.#aside = aside
  }

  /** Makes the next round due at once. */
  hurry(): void {
    this.#done = Number.NEGATIVE_INFINITY
  }
}
