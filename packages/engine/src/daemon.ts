import { isOpen, SyncError, type TableProgress } from '@mylab-sync/core'
import { Backoff, mayPass } from './backoff.js'
import { bringUp } from './bring-up.js'
import type { EngineContext } from './context.js'
import { drain } from './drain.js'
import { requireMigrated } from './install.js'
import { maintain } from './maintain.js'
import { loadModel, type Model } from './model.js'
import { pause } from './pause.js'
import { readTarget } from './read-target.js'
import type { DrainReport } from './running-drain.js'

export interface DrainedReport {
  readonly drains: number
  readonly processed: number
  readonly failed: number
  readonly pending: number
  readonly ms: number
}

/** Control work of one call is bounded: what is not done then is done by the next. */
const CONTROL_MS = 60_000

/** Everything pending now, control work that is due, and what that made pending. */
export async function drainAll(context: EngineContext, signal: AbortSignal): Promise<DrainedReport> {
  await requireMigrated(context)
  const started = performance.now()
  const sum = { drains: 0, processed: 0, failed: 0 }
  const first = await drain(context, await loadModel(context))
  add(sum, first)
  if (!signal.aborted) {
    await maintain(context, first.kind === 'done' ? first.model : await loadModel(context))
    const until = AbortSignal.any([signal, AbortSignal.timeout(CONTROL_MS)])
    await bringUp({ context, progress: () => {}, signal: until }, isHealing)
    const model = await loadModel(context)
    if (!signal.aborted) await maintain(context, model)
    add(sum, await drain(context, model))
  }
  const { pending } = await context.source.pending()
  return { ...sum, pending, ms: performance.now() - started }
}

/** What a daemon takes up by itself: never a first copy, which somebody has to ask for and stays with. */
function isHealing(table: TableProgress): boolean {
  return table.inPlace || table.state === 'catching-up'
}

function add(sum: { drains: number; processed: number; failed: number }, report: DrainReport): void {
  if (report.kind === 'busy') return
  sum.drains++
  sum.processed += report.entries
  sum.failed += report.failed
}

export interface IntervalLine {
  readonly iteration: number
  readonly processed: number
  readonly success: number
  readonly failed: number
  readonly pending: number
  readonly ms: number
}

export interface DaemonOptions {
  readonly intervalMs: number
  readonly onInterval: (line: IntervalLine) => void
  readonly onProblem?: (error: SyncError) => void
}

/** Pause between two looks at the source while nothing is pending: one index look-up of 0.15 ms each. */
const POLL_MS = 100
const MAINTAIN_MS = 10_000
const PURGE_MS = 3_600_000
const PURGE_DAYS = 7
/** Without changes too: `consistent_as_of` moves, and definitions that have changed are noticed. */
const IDLE_DRAIN_MS = 3_000

/** Drains until the signal; what a retry may cure (a server away, a lock) is retried with growing pauses and told. */
export async function runDaemon(context: EngineContext, options: DaemonOptions, signal: AbortSignal): Promise<void> {
  await requireMigrated(context)
  const daemon = new Daemon(context, options)
  const backoff = new Backoff()
  while (!signal.aborted) {
    try {
      await daemon.round(signal)
      backoff.reset()
    } catch (error) {
      if (!mayPass(error)) throw error
      options.onProblem?.(error)
      await backoff.wait(signal)
    }
  }
  await daemon.end()
}

class Daemon {
  readonly #context: EngineContext
  readonly #options: DaemonOptions
  #model: Model | undefined
  #maintained = 0
  #drained = 0
  #purged = performance.now()
  #healing: Promise<void> | undefined
  #iteration = 0
  #reported = performance.now()
  #sum = { drains: 0, processed: 0, failed: 0 }
  #drainMs = 0

  constructor(context: EngineContext, options: DaemonOptions) {
    this.#context = context
    this.#options = options
  }

  async round(signal: AbortSignal): Promise<void> {
    const context = this.#context
    const model = (this.#model ??= await loadModel(context))
    const started = performance.now()
    const isDue = started - this.#drained > IDLE_DRAIN_MS
    const { pending, lastDrain } = await context.source.poll()
    if (pending || isDue || (await this.#owes(lastDrain))) {
      const report = await drain(context, model).catch((error: unknown) => {
        this.#model = undefined
        throw error
      })
      add(this.#sum, report)
      if (report.kind === 'done') {
        this.#model = report.model
        if (report.setAside.length > 0) this.#heal(signal)
      }
      this.#drained = performance.now()
      this.#drainMs += this.#drained - started
    }
    if (performance.now() - this.#maintained > MAINTAIN_MS) {
      await maintain(context, this.#model ?? model)
      this.#maintained = performance.now()
      this.#heal(signal)
    }
    if (performance.now() - this.#purged > PURGE_MS) {
      this.#purged = performance.now()
      await context.source.purge({ olderThanDays: PURGE_DAYS, dryRun: false, signal })
    }
    if (performance.now() - this.#reported > this.#options.intervalMs) await this.flush()
    await pause(pending ? POLL_MS / 10 : POLL_MS, signal)
  }

  /** Beside the drains, one at a time; what fails is told and tried again with the next control work. */
  #heal(signal: AbortSignal): void {
    this.#healing ??= bringUp({ context: this.#context, progress: () => {}, signal }, isHealing)
      .then((opened) => {
        // the constraints of what is open again
        if (opened) this.#maintained = 0
      })
      .catch((error: unknown) => {
        if (!mayPass(error)) throw error
        this.#options.onProblem?.(error)
      })
      .finally(() => {
        this.#healing = undefined
      })
    // what it throws is thrown by `end`
    this.#healing.catch(() => {})
  }

  async end(): Promise<void> {
    await this.#healing
    await this.flush()
  }

  /** Something besides entries asks for a drain: the two sides' numbers differ, or a table without triggers has moved. */
  async #owes(sourceDrain: number): Promise<boolean> {
    return readTarget(this.#context, async (target) => {
      const last = await target.lastDrain()
      if (last.number !== sourceDrain) return true
      const open = [...(await target.progress()).values()].filter((p) => isOpen(p.state))
      return (await target.countParked(open.map((p) => p.table))) > 0
    })
  }

  async flush(): Promise<void> {
    this.#reported = performance.now()
    if (this.#sum.processed === 0) return
    const { processed, failed } = this.#sum
    const ms = this.#drainMs
    this.#sum = { drains: 0, processed: 0, failed: 0 }
    this.#drainMs = 0
    const { pending } = await this.#context.source.pending()
    this.#options.onInterval({
      iteration: ++this.#iteration,
      processed,
      success: Math.max(0, processed - failed),
      failed,
      pending,
      ms,
    })
  }
}
