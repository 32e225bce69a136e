import type { DueWork } from './due-work.js'

/** Longest and shortest pause before the next chunks are enqueued during a copy. */
const MAX_PAUSE_MS = 500
const MIN_PAUSE_MS = 50

/**
 * Adapts the scheduler's pause to the speed of the copy. With a fixed pause, workers would idle most of the time on a
 * table with small chunks: they finish a window of 50 within a tenth of a second.
 */
export class ChunkPacer {
  readonly #window: number
  readonly #clock: () => number
  #enqueued: ReadonlySet<string> = new Set()
  #allEnqueuedAt = Number.NEGATIVE_INFINITY
  #seen = ''
  #pauseMs = MAX_PAUSE_MS

  /** `window`: chunks planned ahead, per table. */
  constructor(window: number, clock = (): number => performance.now()) {
    this.#window = window
    this.#clock = clock
  }

  /** Halves the pause while workers take chunks faster than they are enqueued, else doubles it. */
  pauseMs(work: DueWork, waiting: number): number {
    const seen = JSON.stringify([work.plan, work.chunks])
    const isShort = seen !== this.#seen && waiting < this.#window / 2
    this.#seen = seen
    this.#pauseMs = isShort ? Math.max(MIN_PAUSE_MS, this.#pauseMs / 2) : Math.min(MAX_PAUSE_MS, this.#pauseMs * 2)
    return this.#pauseMs
  }

  /**
   * Returns all chunks twice a second, since Redis may have been emptied; in between only new ones, since enqueuing a
   * known chunk is wasted work.
   */
  toEnqueue({ chunks }: DueWork): DueWork['chunks'] {
    const isDue = this.#clock() - this.#allEnqueuedAt >= MAX_PAUSE_MS
    if (isDue) this.#allEnqueuedAt = this.#clock()
    const before = isDue ? new Set<string>() : this.#enqueued
    this.#enqueued = new Set(chunks.map(nameOf))
    return chunks.filter((chunk) => !before.has(nameOf(chunk)))
  }
}

function nameOf({ table, chunk }: DueWork['chunks'][number]): string {
  return `${chunk} ${table}`
}
