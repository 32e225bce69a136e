import { isOpen } from '@mylab-sync/core'
import type { EngineContext } from './context.js'
import { drain } from './drain.js'
import type { Model } from './model.js'
import { readTarget } from './read-target.js'
import type { DrainReport } from './running-drain.js'

/** Pause between two looks at the source while nothing is pending: one index look-up of 0.15 ms each. */
export const POLL_MS = 100
export const BUSY_POLL_MS = 10
/** Without changes too: `consistent_as_of` moves, and definitions that have changed are noticed. */
const IDLE_DRAIN_MS = 3_000

export interface Look {
  /** Entries were pending when the source was looked at. */
  readonly pending: boolean
  /** null: nothing asked for a drain. */
  readonly report: DrainReport | null
  /** How long the look and its drain took. */
  readonly ms: number
}

/** The end of the source's change log, as one process follows it. */
export class SourceTail {
  readonly #context: EngineContext
  #drained: number

  /** `drained`: when the last drain of this process was, on the clock of `performance.now()`. */
  constructor(context: EngineContext, drained: number) {
    this.#context = context
    this.#drained = drained
  }

  /** Drains if entries are pending, if something else asks for it, or if it was long ago. The signal ends a drain at its next slice, undone. */
  async look(model: () => Promise<Model>, signal?: AbortSignal): Promise<Look> {
    const started = performance.now()
    const isDue = started - this.#drained > IDLE_DRAIN_MS
    const { pending, lastDrain } = await this.#context.source.poll()
    const report =
      pending || isDue || (await this.#owes(lastDrain))
        ? await drain(signal ? { ...this.#context, signal } : this.#context, await model())
        : null
    const ended = performance.now()
    if (report) this.#drained = ended
    return { pending, report, ms: ended - started }
  }

  /** Something besides entries asks for a drain: the two sides' numbers differ, or an open table has parked keys. */
  async #owes(sourceDrain: number): Promise<boolean> {
    return readTarget(this.#context, async (target) => {
      if ((await target.lastDrain()).number !== sourceDrain) return true
      const open = [...(await target.progress()).values()].filter((p) => isOpen(p.state))
      return (await target.countParked(open.map((p) => p.table))) > 0
    })
  }
}
