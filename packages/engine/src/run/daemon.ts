import { isOpen, isStopped, isSurvivable, type SyncError, type TableProgress } from '@mylab-sync/core'
import { endsWithin, retryUntil, sleep } from '@mylab-sync/runtime'
import { BUSY_POLL_MS, CLEAN_UP_MS, POLL_MS } from './cadence.js'
import { ControlClock } from './control-clock.js'
import { cleanUp } from '../upkeep/clean-up.js'
import type { EngineContext } from '../context.js'
import { drain } from '../drain/drain.js'
import { DrainLock } from '../drain/drain-lock.js'
import { requireMigrated } from '../capture/install.js'
import { maintain } from '../upkeep/maintain.js'
import { mendLog } from '../capture/repair-log.js'
import { loadModel } from '../model/load.js'
import { isDrainOwed } from './is-drain-owed.js'
import { ModelCache } from './model-cache.js'
import { openTables } from './open-tables.js'
import { pausesOf, retryAsConfigured } from './retry.js'
import { type DrainReport, problemsOf } from '../drain/drain-report.js'
import { SourceTail } from './source-tail.js'
import { readTarget } from '../transactions.js'
import { tablesThat } from '../tables/table-states.js'
import { tablesOfTurn } from './turns.js'
import { BackgroundVerifier } from './background-verifier.js'

export interface DrainedReport {
  readonly drains: number
  readonly processed: number
  readonly failed: number
  readonly pending: number
  readonly ms: number
}

/** Bounds the control work of one call; the next call continues it. */
const CONTROL_MS = 60_000
/** Pause between two attempts to take the drain lock. */
const BUSY_MS = 250

/** Drains everything pending now, does the control work that is due, and drains what that made pending. */
export async function drainAll(context: EngineContext, signal: AbortSignal): Promise<DrainedReport> {
  await requireMigrated(context)
  const started = performance.now()
  const sum = { drains: 0, processed: 0, failed: 0 }
  // Must precede the first drain: if the log was damaged, that drain has all tables read again, so this call heals them.
  await mendLog(context)
  await context.source.log.guard()
  const first = await drainOrWait(context, signal)
  add(sum, first)
  if (!signal.aborted) {
    await maintain(context, first.kind === 'done' ? first.model : await loadModel(context))
    const until = AbortSignal.any([signal, AbortSignal.timeout(CONTROL_MS)])
    const opened = await openTables({ context, progress: () => {}, signal: until }, isHealing)
    if (opened && !signal.aborted) await maintain(context, await loadModel(context))
    if (opened || first.kind === 'busy' || (await isDrainLeft(context)))
      add(sum, await retryAsConfigured(context, signal, () => drainAgain(context, first)))
  }
  const { pending } = await context.source.log.pending()
  return { ...sum, pending, ms: performance.now() - started }
}

async function isDrainLeft(context: EngineContext): Promise<boolean> {
  const { pending, lastDrain } = await context.source.log.poll()
  return pending || isDrainOwed(context, lastDrain)
}

/** Looks rows of each table up by their own keys unless the first drain of this process did. */
async function drainAgain(context: EngineContext, first: DrainReport): Promise<DrainReport> {
  const model = await loadModel(context)
  return drain(context, model, first.kind === 'busy' ? { lookUps: [...model.tables.keys()] } : {})
}

/** Of two drains that ended since this call began, the later one began after this call did. */
const ENOUGH_DRAINS = 2

/**
 * Drains what is pending now, or waits for another process that drains it. Returns `busy` in that case, or if the signal
 * came first. Throws SyncError lock-timeout, naming the holder of the drain lock, if the holder does nothing.
 */
async function drainOrWait(context: EngineContext, signal: AbortSignal): Promise<DrainReport> {
  const lock = new DrainLock(context)
  const model = await retryAsConfigured(context, signal, () => loadModel(context))
  const lookUps = await lookUpsOfThisCall(context)
  const probe = [...model.tables.keys()]
  const request = (await context.source.catalog.seesStorage()) ? { lookUps } : { lookUps, probe }
  for (;;) {
    const report = await retryAsConfigured(context, signal, () => drain(context, model, request))
    if (report.kind !== 'busy' || signal.aborted) return report
    const stuck = await lock.stuck()
    if (stuck) throw stuck
    if (lock.ended >= ENOUGH_DRAINS) return report
    await sleep(BUSY_MS, signal)
  }
}

/** A daemon looks rows of each table up once in its life; calls take turns by the number of the drain, so that each stays short. */
async function lookUpsOfThisCall(context: EngineContext): Promise<readonly string[]> {
  return await readTarget(context, async ({ tables, history }) =>
    tablesOfTurn(tablesThat(await tables.all(), isOpen), (await history.last()).number),
  )
}

/** Tables that a daemon heals unasked. Never a first copy: that is requested explicitly and watched by its requester. */
function isHealing(table: TableProgress): boolean {
  return table.inPlace || table.state === 'catching-up'
}

function setAsideBy(report: DrainReport): string[] {
  return report.kind === 'done' ? report.setAside.map(({ table }) => table) : []
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

/** Drains until the signal. Reports failures and retries with growing pauses; throws only errors that no retry can fix. */
export async function runDaemon(context: EngineContext, options: DaemonOptions, signal: AbortSignal): Promise<void> {
  const daemon = new Daemon(context, options)
  let isChecked = false
  const drainOn = async (progressed: () => void): Promise<void> => {
    while (!signal.aborted) {
      if (!isChecked) await requireMigrated(context)
      isChecked = true
      await daemon.round(signal)
      progressed()
    }
  }
  try {
    await retryUntil(signal, drainOn, {
      ...pausesOf(context),
      isRetryable: isSurvivable,
      onRetry: (error) => options.onProblem?.(error),
    })
  } catch (error) {
    await daemon.leave()
    throw error
  }
  await daemon.end()
}

/** Healing may wait up to a minute for a lock of the application; a failing daemon waits only this long for it to end. */
const LEAVE_MS = 3_000

class Daemon {
  readonly #context: EngineContext
  readonly #options: DaemonOptions
  readonly #models: ModelCache
  readonly #control = new ControlClock()
  #purged = performance.now()
  #healing: Promise<void> | undefined
  readonly #leaving = new AbortController()
  /** An error that no retry can fix; the next round throws it. */
  #failure: unknown
  readonly #tail: SourceTail
  readonly #verifier: BackgroundVerifier
  #iteration = 0
  #reported = performance.now()
  #sum = { drains: 0, processed: 0, failed: 0, ms: 0 }

  constructor(context: EngineContext, options: DaemonOptions) {
    this.#context = context
    this.#options = options
    this.#models = new ModelCache(context)
    this.#tail = new SourceTail(context, 0)
    this.#verifier = new BackgroundVerifier(context, () => this.#models.get())
  }

  async round(signal: AbortSignal): Promise<void> {
    await this.#models.guard(() => this.#work(signal))
  }

  async #work(signal: AbortSignal): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    const { pending, report, stuck, ms } = await this.#tail.look(() => this.#models.get())
    if (stuck) this.#options.onProblem?.(stuck)
    if (report) this.#note(report, ms)
    const reports = [...(report ? [report] : []), ...this.#verify(signal)]
    if (this.#control.isDue(reports.flatMap(setAsideBy))) {
      await maintain(this.#context, await this.#models.get())
      // A drain reports each table once for every time that it sets the table aside.
      this.#control.done([])
      this.#heal(signal)
    }
    if (performance.now() - this.#purged > CLEAN_UP_MS) {
      this.#purged = performance.now()
      await cleanUp(this.#context, signal)
    }
    if (performance.now() - this.#reported > this.#options.intervalMs) await this.flush()
    await sleep(pending ? BUSY_POLL_MS : POLL_MS, signal)
  }

  /** Verifies beside the drains: begins the next step if it is due. Returns the drains of steps that have ended since. */
  #verify(signal: AbortSignal): readonly DrainReport[] {
    const { problems, reports } = this.#verifier.taken()
    for (const problem of problems) this.#options.onProblem?.(problem)
    for (const report of reports) this.#note(report, 0)
    if (this.#verifier.isDue) this.#verifier.begin(AbortSignal.any([signal, this.#leaving.signal]))
    return reports
  }

  #note(report: DrainReport, ms: number): void {
    add(this.#sum, report)
    this.#sum.ms += ms
    if (report.kind === 'busy') return
    for (const problem of problemsOf(report)) this.#options.onProblem?.(problem)
    this.#models.keep(report.model)
  }

  /**
   * Heals tables beside the drains, one run at a time. Reports a failure and retries with the next control work; one that
   * no retry can fix ends the daemon.
   */
  #heal(signal: AbortSignal): void {
    const until = AbortSignal.any([signal, this.#leaving.signal])
    const context = { ...this.#context, signal: until }
    this.#healing ??= openTables({ context, progress: () => {}, signal: until }, isHealing)
      .then((opened) => {
        // Control work is due at once: it builds the constraints of tables that are open again.
        if (opened) this.#control.hurry()
      })
      .catch((error: unknown) => {
        if (this.#leaving.signal.aborted || isStopped(error)) return
        if (isSurvivable(error)) this.#options.onProblem?.(error)
        else this.#failure = error
      })
      .finally(() => {
        this.#healing = undefined
      })
  }

  /** Stops the healing at its next safe point. After `LEAVE_MS` the end of its connections stops it. */
  async leave(): Promise<void> {
    this.#leaving.abort()
    await endsWithin(LEAVE_MS, Promise.all([this.#healing, this.#verifier.ended()]))
  }

  async end(): Promise<void> {
    await Promise.all([this.#healing, this.#verifier.ended()])
    if (this.#failure !== undefined) throw this.#failure
    await this.flush()
  }

  async flush(): Promise<void> {
    this.#reported = performance.now()
    if (this.#sum.processed === 0) return
    const { processed, failed, ms } = this.#sum
    this.#sum = { drains: 0, processed: 0, failed: 0, ms: 0 }
    const { pending } = await this.#context.source.log.pending()
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
