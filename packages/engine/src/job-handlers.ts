import { isBeingOpened, isOpen } from '@mylab-sync/core'
import type { EngineContext } from './context.js'
import { copyChunk, planChunk } from './copy-chunk.js'
import { drain } from './drain.js'
import { maintain } from './maintain.js'
import { loadModel, type Model } from './model.js'
import { openComponent } from './open-component.js'
import { pause } from './pause.js'
import { readTarget } from './read-target.js'
import { reconcile } from './reconcile.js'
import { retryFailed } from './show-errors.js'

/** How long a model is believed: a column that is added is seen after this by all that work. */
const MODEL_MS = 10_000
/** Pause between two looks at the source while nothing is pending: one index look-up of 0.15 ms each. */
const POLL_MS = 100
const BUSY_POLL_MS = 10
/** How long synced entries of the change log stay. */
const KEPT_DAYS = 7
/** Without changes too: `consistent_as_of` moves, and definitions that have changed are noticed. */
const IDLE_DRAIN_MS = 3_000

export interface JobSignals {
  /** Somebody else has the work by now: roll back and leave. */
  readonly signal: AbortSignal
  /** Leave at the next safe point. */
  readonly yielding: AbortSignal
}

export interface DrainSlice extends JobSignals {
  readonly sliceMs: number
  /** Called when the slice is over, and again and again while it says no. */
  readonly mayEnd: () => Promise<boolean>
  readonly onDrained: (drained: { readonly entries: number; readonly failed: number; readonly ms: number }) => void
}

/**
 * The pieces of work that jobs name. Each reads anew what there is to do, so that a job which comes twice, late or after
 * its work is done finds nothing; each may run anywhere, any number of times at once.
 */
export class JobHandlers {
  readonly #context: EngineContext
  #model: { readonly value: Promise<Model>; readonly at: number } | undefined
  #drained = Number.NEGATIVE_INFINITY

  constructor(context: EngineContext) {
    this.#context = context
  }

  /** The source's definitions, read again after ten seconds or a failure. */
  model(): Promise<Model> {
    if (!this.#model || performance.now() - this.#model.at > MODEL_MS) {
      const value = loadModel(this.#context)
      this.#model = { value, at: performance.now() }
      value.catch(() => {
        if (this.#model?.value === value) this.#model = undefined
      })
    }
    return this.#model.value
  }

  /** Work that fails may have failed for a definition that has moved. */
  async #withModel<T>(work: (model: Model) => Promise<T>): Promise<T> {
    try {
      return await work(await this.model())
    } catch (error) {
      this.#model = undefined
      throw error
    }
  }

  /** Plans chunks of this table until so many are open. */
  planTable(table: string, chunks: number, { signal, yielding }: JobSignals): Promise<void> {
    return this.#withModel(async (model) => {
      if (!model.tables.has(table)) return
      const open = await readTarget(this.#context, (target) => target.openChunks(table))
      for (let count = open; count < chunks && !signal.aborted && !yielding.aborted; count++)
        if ((await planChunk(this.#context, model, [table])) !== 'planned') return
    })
  }

  /** Copies this chunk, unless it is done or at work. */
  copyChunk(table: string, chunk: number, { signal }: JobSignals): Promise<void> {
    return this.#withModel(async (model) => {
      if (model.tables.has(table)) await copyChunk({ ...this.#context, signal }, model, [table], chunk)
    })
  }

  /** Opens the component of this table if all its chunks are done, and builds what may stand then. */
  openComponent(table: string): Promise<void> {
    return this.#withModel(async (model) => {
      const progress = await readTarget(this.#context, (target) => target.progress())
      const copied = [...progress.values()].filter((p) => isBeingOpened(p.state))
      const names = copied.map((p) => p.table).filter((name) => model.tables.has(name))
      const component = model.components(names).find((tables) => tables.includes(table))
      if (!component) return
      const opening = await openComponent(this.#context, model, component)
      if (opening === 'opened') await maintain(this.#context, model)
    })
  }

  /** Control work: what nobody writes to the change log is noticed, and what was set aside is taken up again. */
  maintain(): Promise<void> {
    return this.#withModel(async (model) => {
      await maintain(this.#context, model)
      await reconcile(this.#context, await loadModel(this.#context), () => {})
    })
  }

  /** Removes old entries of the change log, in small transactions. */
  async cleanUp({ signal, yielding }: JobSignals): Promise<void> {
    const until = AbortSignal.any([signal, yielding])
    await this.#context.source.purge({ olderThanDays: KEPT_DAYS, dryRun: false, signal: until })
  }

  async retry(table: string): Promise<void> {
    await retryFailed(this.#context, [table])
  }

  /** Drains until nothing is pending, then looks at the source ten times a second until the slice is over. */
  async drainSlice(slice: DrainSlice): Promise<void> {
    const end = performance.now() + slice.sliceMs
    const ended = AbortSignal.any([slice.signal, slice.yielding])
    while (!ended.aborted) {
      const drained = await this.#drainOnce(slice)
      if (performance.now() > end && (await slice.mayEnd())) return
      await pause(drained ? BUSY_POLL_MS : POLL_MS, ended)
    }
  }

  /** True when something was pending and is drained. */
  async #drainOnce({ onDrained }: DrainSlice): Promise<boolean> {
    const started = performance.now()
    const isDue = started - this.#drained > IDLE_DRAIN_MS
    const { pending, lastDrain } = await this.#context.source.poll()
    if (!pending && !isDue && !(await this.#owes(lastDrain))) return false
    const report = await this.#withModel((model) => drain(this.#context, model))
    this.#drained = performance.now()
    if (report.kind === 'busy') return false
    this.#model = { value: Promise.resolve(report.model), at: this.#drained }
    onDrained({ entries: report.entries, failed: report.failed, ms: this.#drained - started })
    return pending
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
