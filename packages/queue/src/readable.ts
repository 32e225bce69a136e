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
 * A job whose payload is no JSON carries null. To BullMQ it would be one that can be neither done nor failed: taken
 * again every few seconds for ever, and in the way of every list that it stands in.
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
  /** What is removed is told by `removeUnsound`; putting jobs in removes none. */
  constructor(name: string, options: QueueOptions) {
    super(name, options, soundBackend(() => {}) as BackendFactory<RedisQueueBackend, ConnectionOptions>)
  }

  protected override get Job(): typeof Job {
    return ReadableJob
  }
}

interface Rules {
  /** In place of what stands beside the job, which anybody may have written: a word there ends in a script's error. */
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

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
