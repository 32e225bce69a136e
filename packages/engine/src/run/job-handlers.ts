import { isStopped, type SyncError } from '@mylab-sync/core'
import { sleep } from '@mylab-sync/runtime'
import { cleanUp } from '../upkeep/clean-up.js'
import { type EngineContext, throwIfStopped } from '../context.js'
import { copyChunk } from '../copy/copy-chunk.js'
import { maintain } from '../upkeep/maintain.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { openComponent } from '../opening/open-component.js'
import { planChunks } from '../copy/plan-chunks.js'
import { readTarget } from '../transactions.js'
import { reconcile } from '../upkeep/reconcile.js'
import { retryFailed } from './retry-quarantined.js'
import { type DrainReport, problemsOf } from '../drain/drain-report.js'
import { type AskedVerification, verifyStep } from '../verify/background.js'
import { BUSY_POLL_MS, CHUNKS_AHEAD, POLL_MS } from './cadence.js'
import { ModelCache } from './model-cache.js'
import { SourceTail } from './source-tail.js'
import { readyGroups } from './due-work.js'

export interface JobSignals {
  /** Another worker has taken over the job: roll back and leave. */
  readonly signal: AbortSignal
  /** Leave at the next safe point. */
  readonly yielding: AbortSignal
}

export interface DrainTurn extends JobSignals {
  readonly turnMs: number
  /** Called when the turn is over, and again after every look until it returns true. */
  readonly mayEnd: () => Promise<boolean>
  readonly onDrained: (drained: { readonly entries: number; readonly failed: number; readonly ms: number }) => void
  /** Called for each problem of a completed drain, and for a stuck holder of the drain lock. */
  readonly onProblem: (error: SyncError) => void
}

export interface VerifyTurn extends JobSignals, Pick<DrainTurn, 'onDrained' | 'onProblem'> {
  /** A whole comparison, which keeps no pace; undefined: the next step, if it is due. */
  readonly asked: AskedVerification | undefined
}

/**
 * Handles the jobs of the queue. Each handler reads the remaining work again, so a job that arrives twice, late or after its
 * work is done finds nothing. Each may run on any host, any number of times at once.
 */
export class JobHandlers {
  readonly #context: EngineContext
  readonly #models: ModelCache
  readonly #tail: SourceTail

  constructor(context: EngineContext) {
    this.#context = context
    this.#models = new ModelCache(context)
    this.#tail = new SourceTail(context, Number.NEGATIVE_INFINITY)
  }

  model(): Promise<Model> {
    return this.#models.get()
  }

  #withModel<T>(work: (model: Model) => Promise<T>): Promise<T> {
    return this.#models.guard(async () => work(await this.model()))
  }

  /** Plans chunks of this table until `CHUNKS_AHEAD` are pending. */
  planTable(table: string, signals: JobSignals): Promise<void> {
    return this.#leaving(signals, (context) =>
      this.#withModel(async (model) => {
        if (!model.tables.has(table)) return
        while ((await readTarget(context, (target) => target.chunks.countPending([table]))) < CHUNKS_AHEAD) {
          throwIfStopped(context)
          if ((await planChunks(context, model, [table])) !== 'planned') return
        }
      }),
    )
  }

  /** Copies this chunk, unless it is done or in progress. */
  copyChunk(table: string, chunk: number, { signal }: JobSignals): Promise<void> {
    return this.#withModel(async (model) => {
      if (model.tables.has(table)) await copyChunk({ ...this.#context, signal }, model, [table], chunk)
    })
  }

  /** Opens this table's group if all of its chunks are done, then builds the constraints that this allows. */
  openComponent(table: string, signals: JobSignals): Promise<void> {
    return this.#leaving(signals, (context) =>
      this.#withModel(async (model) => {
        const group = (await readyGroups(context, model)).find((tables) => tables.includes(table))
        if (!group) return
        const opening = await openComponent(context, model, group)
        if (opening === 'opened') await maintain(context, model)
      }),
    )
  }

  /** Runs control work: detects changes that write no change entry, and has tables that were set aside copied again. */
  maintain(signals: JobSignals): Promise<void> {
    return this.#leaving(signals, (context) =>
      this.#withModel(async (model) => {
        await maintain(context, model)
        await reconcile(context, await loadModel(context), () => {})
      }),
    )
  }

  /** Runs work of many steps and leaves between two of them on either signal: the next tick lists the work again. */
  async #leaving({ signal, yielding }: JobSignals, work: (context: EngineContext) => Promise<void>): Promise<void> {
    const either = AbortSignal.any([signal, yielding])
    try {
      await work({ ...this.#context, signal: either })
    } catch (error) {
      if (!isStopped(error)) throw error
    }
  }

  /** Removes old entries of the change log, in small transactions. */
  async cleanUp({ signal, yielding }: JobSignals): Promise<void> {
    await cleanUp(this.#context, AbortSignal.any([signal, yielding]))
  }

  /** Retries the quarantined keys of this table. */
  retry(table: string, signals: JobSignals): Promise<void> {
    return this.#leaving(signals, async (context) => {
      await retryFailed(context, [table])
    })
  }

  /**
   * Takes the next step of background verification, if it is due; with `asked` all steps of that comparison. Returns false if it
   * left before they were done.
   */
  async verify({ asked, ...turn }: VerifyTurn): Promise<boolean> {
    const signal = AbortSignal.any([turn.signal, turn.yielding])
    const context = { ...this.#context, signal }
    let isDone = false
    await this.#leaving(turn, async () => {
      while (!isDone && !signal.aborted) {
        const step = await this.#models.guard(() => verifyStep(context, () => this.model(), asked ? { asked } : {}))
        if (step.kind === 'done') {
          for (const report of step.reports) this.#tell(report, turn)
          step.faults.forEach(turn.onProblem)
        }
        isDone = asked === undefined || step.kind === 'none'
        if (!isDone && step.kind === 'waits') await sleep(step.waitMs, signal)
      }
    })
    return isDone
  }

  #tell(report: DrainReport, { onDrained, onProblem }: Pick<DrainTurn, 'onDrained' | 'onProblem'>): void {
    if (report.kind === 'busy') return
    this.#models.keep(report.model)
    if (report.entries > 0) onDrained({ entries: report.entries, failed: report.failed, ms: 0 })
    problemsOf(report).forEach(onProblem)
  }

  /** Drains until nothing is pending, then looks at the source ten times a second until the turn is over. */
  async drainTurn(turn: DrainTurn): Promise<void> {
    const end = performance.now() + turn.turnMs
    const ended = AbortSignal.any([turn.signal, turn.yielding])
    while (!ended.aborted) {
      const drained = await this.#drainOnce(turn)
      if (performance.now() > end && (await turn.mayEnd())) return
      await sleep(drained ? BUSY_POLL_MS : POLL_MS, ended)
    }
  }

  /** Returns true if entries were pending and a drain completed. */
  async #drainOnce({ onDrained, onProblem, signal }: DrainTurn): Promise<boolean> {
    const { pending, report, stuck, ms } = await this.#models.guard(() => this.#tail.look(() => this.model(), signal))
    if (stuck) onProblem(stuck)
    if (report?.kind !== 'done') return false
    this.#models.keep(report.model)
    onDrained({ entries: report.entries, failed: report.failed, ms })
    problemsOf(report).forEach(onProblem)
    return pending
  }
}
