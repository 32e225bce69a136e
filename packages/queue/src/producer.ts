import type { SyncError } from '@mylab-sync/core'
import { withDeadline } from '@mylab-sync/runtime'
import type { Job, Queue } from 'bullmq'
import { producerConnection, type QueueSettings, redisPlace } from './connection.js'
import { mendedKey, redisError, removedJob } from './errors.js'
import { type AnyJob, type JobOf, jobOptions, QUEUE_NAMES, QUEUE_RULES, type QueueName } from './jobs.js'
import { ReadableQueue } from './readable.js'
import { removeUnsound } from './sound-jobs.js'
import { mendKeys } from './sound-keys.js'

const KEPT_EVENTS = 1_000
const READY_MS = 5_000
const COUNTED = ['waiting', 'active', 'delayed', 'failed', 'completed'] as const
/** A scheduler without a heartbeat for this long counts as dead. */
const SCHEDULER_ALIVE_SECONDS = 20
/** Tolerated difference between the clocks of two hosts. */
const CLOCKS_APART_MS = 5_000
const MAX_PROMOTED = 100

export interface QueueHealth {
  /** Connected workers, per queue. */
  readonly workers: Readonly<Record<QueueName, number>>
  readonly scheduler: boolean
  readonly held: readonly HeldQueue[]
}

/** A queue whose jobs are held back by a setting in Redis, which any BullMQ tool can make. */
export interface HeldQueue {
  readonly queue: QueueName
  /** A participle, such as `paused`. */
  readonly how: string
}

type Queues = Readonly<Record<QueueName, Queue<AnyJob>>>

/** Adds jobs to the three queues, each at most once at a time. Every call fails within seconds if Redis is down. */
export class Producer {
  readonly #settings: QueueSettings
  readonly #queues: Queues
  /** When each delayed attempt was first seen, by this process's monotonic clock. */
  #delayed: ReadonlyMap<string, number> = new Map()
  /** Where the next scan of the names of a queue's jobs continues. */
  readonly #names = new Map<QueueName, string>()
  #closing = false

  private constructor(settings: QueueSettings) {
    this.#settings = settings
    const open = (name: QueueName): Queue<AnyJob> => {
      const queue = new ReadableQueue<AnyJob>(name, {
        prefix: settings.prefix,
        connection: producerConnection(settings, () => this.#closing),
        streams: { events: { maxLen: KEPT_EVENTS } },
      })
      // The failing call itself reports the error; without a listener the process would end.
      queue.on('error', () => {})
      return queue
    }
    this.#queues = { copy: open('copy'), drain: open('drain'), control: open('control') }
  }

  /** Works while Redis is down: the error is thrown by each call instead. */
  static unopened(settings: QueueSettings): Producer {
    return new Producer(settings)
  }

  /** Throws SyncError lost-connection. */
  static async open(settings: QueueSettings): Promise<Producer> {
    const producer = new Producer(settings)
    try {
      await producer.#call(() => Promise.all(producer.#all().map((queue) => queue.waitUntilReady())))
      return producer
    } catch (error) {
      await producer.close()
      throw error
    }
  }

  /** Returns the ids of the jobs, including those that already existed. */
  async add<N extends QueueName>(name: N, jobs: readonly JobOf<N>[]): Promise<string[]> {
    if (jobs.length === 0) return []
    const bulk = jobs.map((data: AnyJob) => ({ name: data.kind, data, opts: jobOptions(name, data) }))
    const added = await this.#call(() => this.#queues[name].addBulk(bulk))
    return added.map((job) => job.id ?? '')
  }

  /** The number of jobs waiting for a worker, without those waiting for their next attempt. */
  async waiting(name: QueueName): Promise<number> {
    const counts = await this.#call(() => this.#queues[name].getJobCounts('wait', 'prioritized'))
    return Object.values(counts).reduce((sum, count) => sum + count, 0)
  }

  /**
   * Promotes overdue retries and returns their number. A retry is scheduled by the clock of the host where it failed
   * and compared with the clock of the host that picks it up. If either clock is wrong, a job could block its queue for
   * hours, since no other job with its key is accepted meanwhile. Overdue is a job that failed in the future, or one
   * delayed for longer than any backoff; the latter is measured here, independent of both clocks.
   */
  async promoteOverdue(): Promise<number> {
    const latest = await this.#call(() =>
      Promise.all(this.#all().map((queue) => queue.getJobs(['delayed'], 0, MAX_PROMOTED - 1, false))),
    )
    const now = performance.now()
    const known = this.#delayed
    const delayed = latest.flatMap((jobs, at) =>
      jobs.map((job) => {
        const name = QUEUE_NAMES[at] ?? 'control'
        const attempt = `${name} ${job.id} ${job.attemptsMade}`
        return { job, attempt, since: known.get(attempt) ?? now, longestMs: QUEUE_RULES[name].longestDelayMs }
      }),
    )
    this.#delayed = new Map(delayed.map(({ attempt, since }) => [attempt, since]))
    const due = delayed.filter(
      ({ job, since, longestMs }) =>
        (job.processedOn ?? job.timestamp) > Date.now() + CLOCKS_APART_MS || now - since > longestMs + CLOCKS_APART_MS,
    )
    for (const { job } of due) await this.#promote(job)
    return due.length
  }

  /**
   * Removes jobs that no worker can take, even while no worker asks for one, and keys that keep jobs from being added or taken. Returns one error
   * per removed job or repaired key.
   */
  async removeUnsound(): Promise<SyncError[]> {
    const removed = await this.#call(() => Promise.all(QUEUE_NAMES.map((name) => this.#removeUnsound(name))))
    return removed.flat()
  }

  async #removeUnsound(name: QueueName): Promise<SyncError[]> {
    const { backend } = this.#queues[name]
    const { next, found } = await mendKeys(backend, this.#names.get(name) ?? '0')
    this.#names.set(name, next)
    const removed = await removeUnsound(backend)
    return [...found.map((what) => mendedKey(name, what)), ...removed.map((job) => removedJob(name, job))]
  }

  #promote(job: Job<AnyJob>): Promise<void> {
    return this.#call(async () => {
      try {
        await job.promote()
      } catch (error) {
        // another scheduler was faster
        if (await job.isDelayed()) throw error
      }
    })
  }

  /** For the queue board. */
  get queues(): readonly Queue<AnyJob>[] {
    return this.#all()
  }

  async counts(): Promise<{ readonly queue: string; readonly state: string; readonly jobs: number }[]> {
    const lists = await this.#call(() => Promise.all(this.#all().map((queue) => queue.getJobCounts(...COUNTED))))
    return lists.flatMap((counts, at) =>
      Object.entries(counts).map(([state, jobs]) => ({ queue: QUEUE_NAMES[at] ?? '', state, jobs })),
    )
  }

  async health(): Promise<QueueHealth> {
    return this.#call(async () => {
      const [copy, drain, control] = await Promise.all(this.#all().map((queue) => queue.getWorkersCount()))
      const client = await this.#queues.control.backend.client
      const scheduler = (await client.get(this.#schedulerKey)) !== null
      const held = (await Promise.all(QUEUE_NAMES.map((name) => this.#heldBy(name)))).flat()
      return { workers: { copy: copy ?? 0, drain: drain ?? 0, control: control ?? 0 }, scheduler, held }
    })
  }

  async #heldBy(name: QueueName): Promise<HeldQueue[]> {
    const queue = this.#queues[name]
    const [paused, rate, most, waitMs] = await Promise.all([
      queue.isPaused(),
      queue.getGlobalRateLimit(),
      queue.getGlobalConcurrency(),
      queue.getRateLimitTtl(),
    ])
    const how = [
      ...(paused ? ['paused'] : []),
      ...(rate === null ? [] : [`limited to ${rate.max} jobs in ${rate.duration} ms`]),
      ...(most === null ? [] : [`limited to ${most} jobs at once`]),
      ...(rate === null && waitMs > 0 ? [`held back for ${Math.ceil(waitMs / 1000)} s`] : []),
    ]
    return how.map((one) => ({ queue: name, how: one }))
  }

  /** Removes every pause and limit from these queues. */
  async resume(names: readonly QueueName[]): Promise<void> {
    await this.#call(async () => {
      for (const queue of names.map((name) => this.#queues[name])) {
        await queue.resume()
        await queue.removeGlobalRateLimit()
        await queue.removeGlobalConcurrency()
        await queue.removeRateLimitKey()
      }
    })
  }

  /** The scheduler's heartbeat in Redis. */
  async beatScheduler(): Promise<void> {
    await this.#call(async () => {
      const client = await this.#queues.control.backend.client
      await client.set(this.#schedulerKey, '1', { EX: SCHEDULER_ALIVE_SECONDS })
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    await Promise.all(this.#all().map((queue) => withDeadline(READY_MS, queue.close()).catch(() => queue.disconnect())))
  }

  get #schedulerKey(): string {
    return `${this.#settings.prefix}:scheduler`
  }

  #all(): Queue<AnyJob>[] {
    return QUEUE_NAMES.map((name) => this.#queues[name])
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    try {
      // a call that waits for the first connection has no deadline of its own
      return await withDeadline(READY_MS, work())
    } catch (error) {
      throw redisError(error, redisPlace(this.#settings))
    }
  }
}
