import {
  CADENCE,
  ChunkPacer,
  ControlClock,
  type DueWork,
  type EngineContext,
  JobHandlers,
  listDueWork,
  requireFollowing,
  requireMigrated,
} from '@mylab-sync/engine'
import { Producer, type QueueSettings } from '@mylab-sync/queue'
import { sleep } from '@mylab-sync/runtime'

export interface SchedulerOptions {
  readonly context: EngineContext
  readonly queue: QueueSettings
  readonly onProblem: (where: string, error: unknown) => void
}

/**
 * Runs the reconcile tick until the signal. Adds to Redis what the state tables call due and Redis lacks, so Redis may
 * be emptied at any time; any number of schedulers may run. Throws if a side or Redis is unreachable at the start.
 */
export async function runScheduler(options: SchedulerOptions, signal: AbortSignal): Promise<void> {
  await requireMigrated(options.context)
  await requireFollowing(options.context)
  const producer = await Producer.open(options.queue)
  try {
    const scheduler = new Scheduler(options, producer)
    while (!signal.aborted) {
      let pauseMs: number = CADENCE.idleLookMs
      try {
        pauseMs = await scheduler.tick()
      } catch (error) {
        options.onProblem('scheduler', error)
      }
      await sleep(pauseMs, signal)
    }
  } finally {
    await producer.close()
  }
}

class Scheduler {
  readonly #context: EngineContext
  readonly #onProblem: SchedulerOptions['onProblem']
  readonly #producer: Producer
  readonly #jobs: JobHandlers
  #cleaned = performance.now()
  readonly #control = new ControlClock()
  #promoted = Number.NEGATIVE_INFINITY
  #pauseMs: number = CADENCE.idleLookMs
  readonly #pacer = new ChunkPacer(CADENCE.chunksAhead)

  constructor({ context, onProblem }: SchedulerOptions, producer: Producer) {
    this.#context = context
    this.#onProblem = onProblem
    this.#producer = producer
    this.#jobs = new JobHandlers(context)
  }

  /** Returns the pause before the next tick, in ms. */
  async tick(): Promise<number> {
    await this.#producer.beatScheduler()
    await this.#mend()
    await listDueWork(
      this.#context,
      () => this.#jobs.model(),
      (work) => this.#put(work),
    )
    return this.#pauseMs
  }

  /** Before anything is put in, which fails where a key of the queues is of another type. */
  async #mend(): Promise<void> {
    if (performance.now() - this.#promoted < CADENCE.idleLookMs) return
    this.#promoted = performance.now()
    try {
      for (const removed of await this.#producer.removeUnsound()) this.#onProblem('scheduler', removed)
      await this.#producer.promoteOverdue()
    } catch (error) {
      this.#onProblem('scheduler', error)
    }
  }

  async #put(work: DueWork): Promise<void> {
    const producer = this.#producer
    // Even if no table is open: entries of tables whose copy was never requested must be marked as synced and
    // forgotten.
    await producer.add('drain', [{ kind: 'drain' }])
    for (const [table] of work.open)
      if (table !== undefined) await producer.add('control', [{ kind: 'open-component', table }])
    // These jobs are LIFO: the one added last is taken first.
    const plan = [...work.plan].reverse()
    await producer.add(
      'copy',
      plan.map((table) => ({ kind: 'plan-table', table })),
    )
    await this.#putChunks(work)
    await this.#maintain(work)
    if (work.verify) await producer.add('control', [{ kind: 'verify-chunk' }])
    if (performance.now() - this.#cleaned < CADENCE.cleanUpMs) return
    await producer.add('control', [{ kind: 'clean-up' }])
    this.#cleaned = performance.now()
  }

  async #putChunks(work: DueWork): Promise<void> {
    const isBusy = work.plan.length + work.chunks.length + work.open.length > 0
    const waiting = isBusy ? await this.#producer.waiting('copy') : 0
    this.#pauseMs = isBusy ? this.#pacer.pauseMs(work, waiting) : CADENCE.idleLookMs
    if (waiting > CADENCE.chunksPerLook / 4) return
    await this.#producer.add(
      'copy',
      this.#pacer.toEnqueue(work).map(({ table, chunk }) => ({ kind: 'copy-chunk', table, chunk })),
    )
  }

  async #maintain({ aside }: DueWork): Promise<void> {
    if (!this.#control.isDue(aside)) return
    await this.#producer.add('control', [{ kind: 'maintain' }])
    this.#control.done(aside)
  }
}
