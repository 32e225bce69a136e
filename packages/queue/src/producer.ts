import type { SyncError } from '@mylab-sync/core'
import type { Job, Queue } from 'bullmq'
import { producerConnection, type QueueSettings, redisPlace } from './connection.js'
import { redisError, removedJob } from './errors.js'
import { type AnyJob, type JobOf, jobOptions, QUEUE_NAMES, QUEUE_RULES, type QueueName } from './jobs.js'
import { ReadableQueue } from './readable.js'
import { removeUnsound } from './sound-jobs.js'

const KEPT_EVENTS = 1_000
const READY_MS = 5_000
const COUNTED = ['waiting', 'active', 'delayed', 'failed', 'completed'] as const
/** A scheduler that has not shown itself for so long is taken for dead. */
const SCHEDULER_ALIVE_SECONDS = 20
/** How far the clocks of two hosts may be apart. */
const CLOCKS_APART_MS = 5_000
const HASTENED = 100

export interface QueueHealth {
  /** Workers connected, per queue. */
  readonly workers: Readonly<Record<QueueName, number>>
  readonly scheduler: boolean
  readonly held: readonly HeldQueue[]
}

/** A queue whose jobs are kept back by a setting in Redis, which any tool for BullMQ can make. */
export interface HeldQueue {
  readonly queue: QueueName
  /** As `paused`. */
  readonly how: string
}

type Queues = Readonly<Record<QueueName, Queue<AnyJob>>>

/** Puts jobs into the three queues, each at most once at a time. Every call fails within seconds when Redis is away. */
export class Producer {
  readonly #settings: QueueSettings
  readonly #queues: Queues
  /** Since when, by this process's own count of time, each attempt that is put off is known. */
  #putOff: ReadonlyMap<string, number> = new Map()
  #closing = false

  private constructor(settings: QueueSettings) {
    this.#settings = settings
    const open = (name: QueueName): Queue<AnyJob> => {
      const queue = new ReadableQueue<AnyJob>(name, {
        prefix: settings.prefix,
        connection: producerConnection(settings, () => this.#closing),
        streams: { events: { maxLen: KEPT_EVENTS } },
      })
      // The failing call itself says so; without a listener the process would end.
      queue.on('error', () => {})
      return queue
    }
    this.#queues = { copy: open('copy'), drain: open('drain'), control: open('control') }
  }

  /** Also while Redis is away: each call says so then. */
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

  /** Ids of the jobs, those that were there already included. */
  async add<N extends QueueName>(name: N, jobs: readonly JobOf<N>[]): Promise<string[]> {
    if (jobs.length === 0) return []
    const bulk = jobs.map((data: AnyJob) => ({ name: data.kind, data, opts: jobOptions(name, data) }))
    const added = await this.#call(() => this.#queues[name].addBulk(bulk))
    return added.map((job) => job.id ?? '')
  }

  /** Jobs that wait for a worker, those that wait for their next attempt not counted. */
  async waiting(name: QueueName): Promise<number> {
    const counts = await this.#call(() => this.#queues[name].getJobCounts('wait', 'prioritized'))
    return Object.values(counts).reduce((sum, count) => sum + count, 0)
  }

  /**
   * When a job is tried again is told by the clock of the host where it failed, and whether that time has come by the
   * clock of whoever takes it. Where one of them is wrong, work could stand for hours, and no other job of its kind is
   * taken meanwhile. Due at once is what was put off in the future, and what waits for longer than any pause between two
   * attempts: the latter is counted here, so that it needs no clock to be right. Returns their number.
   */
  async hasten(): Promise<number> {
    const latest = await this.#call(() =>
      Promise.all(this.#all().map((queue) => queue.getJobs(['delayed'], 0, HASTENED - 1, false))),
    )
    const now = performance.now()
    const known = this.#putOff
    const putOff = latest.flatMap((jobs, at) =>
      jobs.map((job) => {
        const name = QUEUE_NAMES[at] ?? 'control'
        const attempt = `${name} ${job.id} ${job.attemptsMade}`
        return { job, attempt, since: known.get(attempt) ?? now, longestMs: QUEUE_RULES[name].longestDelayMs }
      }),
    )
    this.#putOff = new Map(putOff.map(({ attempt, since }) => [attempt, since]))
    const due = putOff.filter(
      ({ job, since, longestMs }) =>
        (job.processedOn ?? job.timestamp) > Date.now() + CLOCKS_APART_MS || now - since > longestMs + CLOCKS_APART_MS,
    )
    for (const { job } of due) await this.#promote(job)
    return due.length
  }

  /** Takes out what could not be handed out, also while no worker asks for a job; each as an error that names it. */
  async removeUnsound(): Promise<SyncError[]> {
    const removed = await this.#call(() =>
      Promise.all(QUEUE_NAMES.map((name) => removeUnsound(this.#queues[name].backend))),
    )
    return removed.flatMap((jobs, at) => jobs.map((job) => removedJob(QUEUE_NAMES[at] ?? '', job)))
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

  /** For a board that shows them. */
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

  /** Takes off whatever holds these queues back. */
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

  /** Says that a scheduler is alive. */
  async showScheduler(): Promise<void> {
    await this.#call(async () => {
      const client = await this.#queues.control.backend.client
      await client.set(this.#schedulerKey, '1', { EX: SCHEDULER_ALIVE_SECONDS })
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    await Promise.all(this.#all().map((queue) => within(READY_MS, queue.close()).catch(() => queue.disconnect())))
  }

  get #schedulerKey(): string {
    return `${this.#settings.prefix}:scheduler`
  }

  #all(): Queue<AnyJob>[] {
    return QUEUE_NAMES.map((name) => this.#queues[name])
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    try {
      // what waits for a first connection has no deadline of its own
      return await within(READY_MS, work())
    } catch (error) {
      throw redisError(error, redisPlace(this.#settings))
    }
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
