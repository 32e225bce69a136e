import { ERRORS, SyncError } from '@mylab-sync/core'
import { backoffMs, endsWithin } from '@mylab-sync/runtime'
import { type Job, UnrecoverableError, WaitingError, type Worker } from 'bullmq'
import { type QueueSettings, redisPlace, workerConnection } from './connection.js'
import { redisError, removedJob, shownId } from './errors.js'
import {
  type AnyJob,
  type JobOf,
  LOCK_MS,
  MAX_STALLS,
  parseJob,
  QUEUE_RULES,
  type QueueName,
  STALL_CHECK_MS,
  workOptions,
} from './jobs.js'
import { ReadableWorker } from './readable.js'

/** The two signals that a handler listens to. */
export interface Work {
  /** Another worker holds the job, or the process must end now: roll back and return. */
  readonly signal: AbortSignal
  /** The process is shutting down: keep what is done and return at the next safe point. */
  readonly yielding: AbortSignal
}

export type Handlers = {
  readonly [N in QueueName]: (job: JobOf<N>, work: Work) => Promise<void>
}

export interface ConsumerOptions {
  readonly settings: QueueSettings
  readonly handlers: Handlers
  /** Jobs at once, per queue that this process serves. */
  readonly concurrency: ReadonlyMap<QueueName, number>
  readonly onProblem: (queue: QueueName, error: unknown) => void
}

const RECONNECT_MS = 1_000
const POLL_SECONDS = 2
const ANSWER_MS = 1_000
const CLOSE_MS = 3_000

/**
 * Takes jobs from the queues and passes them to the handlers. A job may run twice at once (its lock expires while the
 * event loop is blocked), so handlers take their own locks in the target; the only cost here is time.
 */
export class Consumer {
  readonly #options: ConsumerOptions
  readonly #workers: readonly Worker<AnyJob>[]
  readonly #yielding = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #closing = false

  constructor(options: ConsumerOptions) {
    this.#options = options
    this.#workers = [...options.concurrency].map(([name, concurrency]) => this.#serve(name, concurrency))
  }

  /**
   * Takes no further jobs, lets running ones reach a safe point, and closes. After the deadline they are cancelled and
   * left to another worker's stall check. Returns false if not all of them ended.
   */
  async close(deadlineMs: number): Promise<boolean> {
    for (const worker of this.#workers) await worker.pause(true)
    this.#yielding.abort()
    const inTime = await endsWithin(deadlineMs, Promise.allSettled(this.#running))
    if (!inTime) for (const worker of this.#workers) worker.cancelAllJobs('the process ends')
    this.#closing = true
    const closed = await Promise.all(this.#workers.map((worker) => closeWorker(worker, inTime)))
    return inTime && closed.every(Boolean)
  }

  #serve(name: QueueName, concurrency: number): Worker<AnyJob> {
    const { settings, onProblem } = this.#options
    const rules = QUEUE_RULES[name]
    const worker = new ReadableWorker<AnyJob>(
      name,
      // BullMQ passes a signal only to a function that declares exactly three parameters.
      (job: Job<AnyJob>, _token: string | undefined, signal: AbortSignal | undefined) => this.#track(name, job, signal),
      {
        prefix: settings.prefix,
        connection: workerConnection(settings, () => this.#closing),
        concurrency,
        lockDuration: LOCK_MS,
        stalledInterval: STALL_CHECK_MS,
        maxStalledCount: MAX_STALLS,
        drainDelay: POLL_SECONDS,
        runRetryDelay: RECONNECT_MS,
        settings: {
          backoffStrategy: (attemptsMade) =>
            backoffMs(attemptsMade, { firstMs: rules.firstDelayMs, longestMs: rules.longestDelayMs }),
        },
      },
      { jobs: workOptions(name), onRemoved: (removed) => onProblem(name, removedJob(name, removed)) },
    )
    worker.on('error', (error) => {
      if (!this.#closing) onProblem(name, redisError(error, redisPlace(settings)))
    })
    worker.on('lockRenewalFailed', (ids) => {
      for (const id of ids) worker.cancelJob(id, 'another worker holds the job')
    })
    return worker
  }

  #track(name: QueueName, job: Job<AnyJob>, signal: AbortSignal | undefined): Promise<void> {
    const work = this.#handle(name, job, signal ?? new AbortController().signal)
    this.#running.add(work)
    const done = (): boolean => this.#running.delete(work)
    work.then(done, done)
    return work
  }

  async #handle(name: QueueName, job: Job<AnyJob>, signal: AbortSignal): Promise<void> {
    const { handlers, onProblem } = this.#options
    const work: Work = { signal, yielding: this.#yielding.signal }
    try {
      if (name === 'copy') await handlers.copy(payload(name, job), work)
      else if (name === 'drain') await handlers.drain(payload(name, job), work)
      else await handlers.control(payload(name, job), work)
    } catch (error) {
      if (!signal.aborted) onProblem(name, error)
      if (isFinal(error)) throw new UnrecoverableError(storable(error).message)
      if (!signal.aborted) throw storable(error)
    }
    // Another worker holds the job, or it was removed: this error tells BullMQ that there is nothing to finish.
    if (signal.aborted) throw new WaitingError()
  }
}

/**
 * A graceful close reports to Redis but waits forever if Redis is down, or goes down meanwhile; hence the probe and
 * the deadline.
 */
async function closeWorker(worker: Worker<AnyJob>, gently: boolean): Promise<boolean> {
  return endsWithin(CLOSE_MS, worker.close(!(gently && (await answers(worker)))))
}

async function answers(worker: Worker<AnyJob>): Promise<boolean> {
  let answered = false
  const asked = worker.backend.client.then((client) => client.info()).then(() => (answered = true))
  await endsWithin(ANSWER_MS, asked)
  return answered
}

function payload<N extends QueueName>(name: N, job: Job<AnyJob>): JobOf<N> {
  const data = parseJob(name, job.data)
  if (data !== null) return data
  throw new SyncError('job-refused', `Redis: job ${shownId(job.id)} is not a job of the queue ${name}`)
}

/** A refused job would only be refused again; every other failure is retried. */
function isFinal(error: unknown): boolean {
  return error instanceof SyncError && ERRORS[error.code].scope === 'job'
}

/** Redis keeps the message of a failed job. Our own messages contain no values; driver messages quote row data. */
function storable(error: unknown): Error {
  if (error instanceof SyncError) return new Error(`${error.code}: ${error.message}`)
  return new Error(`an unexpected ${error instanceof Error ? error.name : 'error'}; see the worker's log`)
}
