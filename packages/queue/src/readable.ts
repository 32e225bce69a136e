import { isJson } from '@mylab-sync/core'
import {
  type BackendFactory,
  type ConnectionOptions,
  Job,
  type JobProgress,
  type JobsOptions,
  type Processor,
  Queue,
  type QueueOptions,
  type RedisQueueBackend,
  Worker,
  type WorkerOptions,
} from 'bullmq'
import { type RemovedJob, soundBackend } from './sound-jobs.js'

type Stored = Parameters<typeof Job.fromJSON>[1]

/**
 * Replaces a payload that is not JSON by null. BullMQ could neither complete nor fail such a job: it would be taken
 * again every few seconds forever, and break every list that contains it.
 */
class ReadableJob<T, R, N extends string, P extends JobProgress> extends Job<T, R, N, P> {
  static override fromJSON<T, R, N extends string>(
    queue: Parameters<typeof Job.fromJSON>[0],
    stored: Stored,
    jobId?: string,
  ): Job<T, R, N> {
    return super.fromJSON<T, R, N>(queue, isJson(stored.data) ? stored : { ...stored, data: 'null' }, jobId)
  }
}

export class ReadableQueue<T> extends Queue<T> {
  /** Ignores removals: adding jobs removes none, and `removeUnsound` returns those that it removes. */
  constructor(name: string, options: QueueOptions) {
    super(name, options, soundBackend(() => {}) as BackendFactory<RedisQueueBackend, ConnectionOptions>)
  }

  protected override get Job(): typeof Job {
    return ReadableJob
  }
}

interface Rules {
  /** Replaces the options stored with a job, which any client may have written: a wrong type there makes a script fail. */
  readonly jobs: JobsOptions
  readonly onRemoved: (removed: RemovedJob) => void
}

export class ReadableWorker<T> extends Worker<T> {
  readonly #jobs: JobsOptions

  constructor(name: string, work: Processor<T>, options: WorkerOptions, { jobs, onRemoved }: Rules) {
    super(name, work, { ...options, autorun: false }, soundBackend(onRemoved))
    this.#jobs = jobs
    this.run().catch((error: unknown) => this.emit('error', error as Error))
  }

  protected override get Job(): typeof Job {
    return ReadableJob
  }

  protected override createJob(stored: Stored, jobId: string): Job<T> {
    return super.createJob({ ...stored, opts: { ...this.#jobs } }, jobId)
  }
}
