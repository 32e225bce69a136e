import type { DueWork } from '@mylab-sync/engine'

/** While something is copied: how long a finished step waits for the next one to be named, at most and at least. */
const BUSY_MS = 500
const HASTY_MS = 50

/**
 * Paces the looks of a copy by how fast it goes. With one pause for all, a table of small chunks would stand still for
 * most of the time: a window of 50 is done within a tenth of a second.
 */
export class NamedChunks {
  readonly #window: number
  readonly #clock: () => number
  #named: ReadonlySet<string> = new Set()
  #allNamedAt = Number.NEGATIVE_INFINITY
  #seen = ''
  #pauseMs = BUSY_MS

  /** `window`: chunks planned ahead, per table. */
  constructor(window: number, clock = (): number => performance.now()) {
    this.#window = window
    this.#clock = clock
  }

  /** Halved while workers take chunks faster than they are named, else doubled. */
  pauseMs(work: DueWork, waiting: number): number {
    const seen = JSON.stringify([work.plan, work.chunks])
    const isShort = seen !== this.#seen && waiting < this.#window / 2
    this.#seen = seen
    this.#pauseMs = isShort ? Math.max(HASTY_MS, this.#pauseMs / 2) : Math.min(BUSY_MS, this.#pauseMs * 2)
    return this.#pauseMs
  }

  /** All of them twice a second, for Redis may have been emptied; between, those that are new: asking again only costs. */
  toName({ chunks }: DueWork): DueWork['chunks'] {
    const isDue = this.#clock() - this.#allNamedAt >= BUSY_MS
    if (isDue) this.#allNamedAt = this.#clock()
    const before = isDue ? new Set<string>() : this.#named
    this.#named = new Set(chunks.map(nameOf))
    return chunks.filter((chunk) => !before.has(nameOf(chunk)))
  }
}

function nameOf({ table, chunk }: DueWork['chunks'][number]): string {
  return `${chunk} ${table}`
}
