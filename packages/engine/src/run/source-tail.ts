import { isOpen, type SyncError } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { drain } from '../drain/drain.js'
import { DrainLock } from '../drain/drain-lock.js'
import type { Model } from '../model/model.js'
import { readTarget } from '../transactions.js'
import type { DrainReport } from '../drain/drain-report.js'
import { IDLE_DRAIN_MS } from './cadence.js'
import { isDrainOwed } from './is-drain-owed.js'
import { tablesThat } from '../tables/table-states.js'
import { turnSize } from './turns.js'

export interface Look {
  /** Entries were pending when the source was polled. */
  readonly pending: boolean
  /** null: no drain was needed. */
  readonly report: DrainReport | null
  /** Set if another process holds the drain lock and does nothing. */
  readonly stuck: SyncError | undefined
  /** Duration of the look and its drain. */
  readonly ms: number
}

/** Follows the end of the source's change log for one process. */
export class SourceTail {
  readonly #context: EngineContext
  readonly #lock: DrainLock
  #drained: number
  #probed = Number.NEGATIVE_INFINITY
  /** Position among the open tables of the next one to probe. */
  #turn = 0

  /** Tables of which this process has looked up rows by their own keys. */
  readonly #checked = new Set<string>()
  #chosen = Number.NEGATIVE_INFINITY

  /** `drained`: time of this process's last drain, on the clock of `performance.now()`. */
  constructor(context: EngineContext, drained: number) {
    this.#context = context
    this.#lock = new DrainLock(context)
    this.#drained = drained
  }

  /**
   * Drains if entries are pending, if something else requires it, or if the last drain is `IDLE_DRAIN_MS` old. The signal
   * ends a drain at its next slice and rolls it back.
   */
  async look(model: () => Promise<Model>, signal?: AbortSignal): Promise<Look> {
    const started = performance.now()
    const isDue = started - this.#drained > IDLE_DRAIN_MS
    const { pending, lastDrain } = await this.#context.source.log.poll()
    const context = signal ? { ...this.#context, signal } : this.#context
    const isAsked = pending || isDue || (await isDrainOwed(this.#context, lastDrain))
    const report = isAsked ? await this.#drain(context, await model()) : null
    const ended = performance.now()
    if (report) this.#drained = ended
    return { pending, report, stuck: await this.#stuck(report), ms: ended - started }
  }

  async #stuck(report: DrainReport | null): Promise<SyncError | undefined> {
    if (report?.kind === 'busy') return await this.#lock.stuck()
    if (report) this.#lock.got()
    return undefined
  }

  async #drain(context: EngineContext, model: Model): Promise<DrainReport> {
    const lookUps = await this.#toCheck()
    const report = await drain(context, model, { probe: await this.#toProbe(), lookUps })
    if (report.kind === 'done') for (const table of lookUps) this.#checked.add(table)
    return report
  }

  /** Returns each open table once per process, in turns: the first drain of many tables must not wait for all look-ups. */
  async #toCheck(): Promise<readonly string[]> {
    if (performance.now() - this.#chosen < IDLE_DRAIN_MS) return []
    this.#chosen = performance.now()
    const open = await this.#openTables()
    return open.filter((table) => !this.#checked.has(table)).slice(0, turnSize(open.length))
  }

  async #openTables(): Promise<string[]> {
    return readTarget(this.#context, async ({ tables }) => tablesThat(await tables.all(), isOpen))
  }

  /** Returns open tables to probe if the account cannot watch their storage, in turns: all of them within a minute. */
  async #toProbe(): Promise<readonly string[]> {
    if (performance.now() - this.#probed < IDLE_DRAIN_MS || (await this.#context.source.catalog.seesStorage()))
      return []
    this.#probed = performance.now()
    const open = await this.#openTables()
    const count = turnSize(open.length)
    const from = this.#turn >= open.length ? 0 : this.#turn
    this.#turn = from + count
    return open.slice(from, from + count)
  }
}
