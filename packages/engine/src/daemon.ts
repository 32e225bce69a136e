import { isOpen, SyncError } from '@mylab-sync/core'
import type { EngineContext } from './context.js'
import { drain, type DrainReport } from './drain.js'
import { requireMigrated } from './install.js'
import { maintain } from './maintain.js'
import { loadModel, type Model } from './model.js'
import { pause } from './pause.js'
import { readTarget } from './read-target.js'

export interface DrainedReport {
  readonly drains: number
  readonly processed: number
  readonly failed: number
  readonly pending: number
  readonly ms: number
}

/** Everything pending now, control work that is due, and what that made pending. */
export async function drainAll(context: EngineContext, signal: AbortSignal): Promise<DrainedReport> {
  await requireMigrated(context)
  const model = await loadModel(context)
  const started = performance.now()
  const sum = { drains: 0, processed: 0, failed: 0 }
  add(sum, await drain(context, model))
  if (!signal.aborted) {
    await maintain(context, model)
    add(sum, await drain(context, model))
  }
  const { pending } = await context.source.pending()
  return { ...sum, pending, ms: performance.now() - started }
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
const LONGEST_BACKOFF_MS = 5_000

/** Drains until the signal; what a retry may cure (a server away, a lock) is retried with growing pauses and told. */
export async function runDaemon(context: EngineContext, options: DaemonOptions, signal: AbortSignal): Promise<void> {
  await requireMigrated(context)
  const daemon = new Daemon(context, options)
  for (let failures = 0; !signal.aborted; ) {
    try {
      await daemon.round(signal)
      failures = 0
    } catch (error) {
      if (!(error instanceof SyncError) || isFinal(error)) throw error
      options.onProblem?.(error)
      failures++
      await pause(Math.min(LONGEST_BACKOFF_MS, POLL_MS * 2 ** failures), signal)
    }
  }
  daemon.flush()
}

function isFinal(error: SyncError): boolean {
  return ['usage', 'configuration', 'missing-right', 'not-migrated', 'foreign-audit-table', 'wrong-owner'].includes(
    error.code,
  )
}

class Daemon {
  readonly #context: EngineContext
  readonly #options: DaemonOptions
  #model: Model | undefined
  #maintained = 0
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
    if (!this.#model || performance.now() - this.#maintained > MAINTAIN_MS) {
      this.#model = await loadModel(context)
      await maintain(context, this.#model)
      this.#maintained = performance.now()
    }
    const { pending, lastDrain } = await context.source.poll()
    const started = performance.now()
    if (pending || (await this.#owes(lastDrain))) {
      try {
        add(this.#sum, await drain(context, this.#model))
      } catch (error) {
        this.#model = undefined
        throw error
      }
      this.#drainMs += performance.now() - started
    }
    if (performance.now() - this.#reported > this.#options.intervalMs) this.flush()
    await pause(pending ? POLL_MS / 10 : POLL_MS, signal)
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

  flush(): void {
    this.#reported = performance.now()
    if (this.#sum.processed === 0) return
    const { processed, failed } = this.#sum
    this.#options.onInterval({
      iteration: ++this.#iteration,
      processed,
      success: processed - failed,
      failed,
      pending: 0,
      ms: this.#drainMs,
    })
    this.#sum = { drains: 0, processed: 0, failed: 0 }
    this.#drainMs = 0
  }
}
