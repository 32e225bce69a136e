import { isStopped, SyncError } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { DrainReport } from '../drain/drain-report.js'
import type { Model } from '../model/model.js'
import { verifyStep } from '../verify/background.js'

/** The shortest pause after a failed step. */
const AFTER_FAILURE_MS = 10_000

/** Takes the steps of background verification beside the drains of one process, one at a time. */
export class BackgroundVerifier {
  readonly #context: EngineContext
  readonly #model: () => Promise<Model>
  #running: Promise<void> | undefined
  #dueAt = 0
  #reports: readonly DrainReport[] = []
  #problems: readonly SyncError[] = []

  constructor(context: EngineContext, model: () => Promise<Model>) {
    this.#context = context
    this.#model = model
  }

  get isDue(): boolean {
    const isOn = this.#context.options.verify.share > 0
    return isOn && this.#running === undefined && performance.now() >= this.#dueAt
  }

  /** Begins a step, which the signal ends soon. */
  begin(signal: AbortSignal): void {
    this.#running = this.#take(signal).finally(() => {
      this.#running = undefined
    })
  }

  /** What steps have drained, and why they failed, since the last call. */
  taken(): { readonly reports: readonly DrainReport[]; readonly problems: readonly SyncError[] } {
    const taken = { reports: this.#reports, problems: this.#problems }
    this.#reports = []
    this.#problems = []
    return taken
  }

  async ended(): Promise<void> {
    await this.#running
  }

  /** A step that fails ends nothing else: what is wrong with a whole side, the next drain finds too. */
  async #take(signal: AbortSignal): Promise<void> {
    const began = performance.now()
    try {
      const step = await verifyStep({ ...this.#context, signal }, this.#model)
      this.#dueAt = performance.now() + (step.kind === 'none' ? AFTER_FAILURE_MS : step.waitMs)
      if (step.kind !== 'done') return
      this.#reports = [...this.#reports, ...step.reports]
      this.#problems = [...this.#problems, ...step.faults]
    } catch (error) {
      const { share } = this.#context.options.verify
      this.#dueAt = performance.now() + Math.max(AFTER_FAILURE_MS, (performance.now() - began) / share)
      if (!isStopped(error)) this.#problems = [...this.#problems, problemOf(error)]
    }
  }
}

function problemOf(error: unknown): SyncError {
  if (error instanceof SyncError) return error
  const name = error instanceof Error ? error.name : 'error'
  return new SyncError('internal', `verification failed with an unexpected ${name}`, { cause: error })
}
