import type { DeduplicationOptions, JobsOptions } from 'bullmq'
import * as z from 'zod'

export const QUEUE_NAMES = ['copy', 'drain', 'control'] as const
export type QueueName = (typeof QUEUE_NAMES)[number]

// A payload identifies work and never carries rows: whoever takes the job reads the state tables again.
const table = z.string().min(1).max(64)

const COPY_JOB = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('plan-table'), table }),
  z.strictObject({ kind: z.literal('copy-chunk'), table, chunk: z.int().min(1) }),
])
const DRAIN_JOB = z.strictObject({ kind: z.literal('drain') })
const CONTROL_JOB = z.discriminatedUnion('kind', [
  /** Opens the action component of this table. */
  z.strictObject({ kind: z.literal('open-component'), table }),
  z.strictObject({ kind: z.literal('maintain') }),
  z.strictObject({ kind: z.literal('clean-up') }),
  z.strictObject({ kind: z.literal('retry'), table }),
  /** A step of background verification, if it is due; with `since` all comparisons of this table, or of all, that are older. */
  z.strictObject({ kind: z.literal('verify-chunk'), since: z.iso.datetime().optional(), table: table.optional() }),
])

const SCHEMAS = { copy: COPY_JOB, drain: DRAIN_JOB, control: CONTROL_JOB } as const

export type JobOf<N extends QueueName> = z.infer<(typeof SCHEMAS)[N]>
export type AnyJob = JobOf<QueueName>

/** The payload, or null if it does not match the schema: a job of another version, or one added by hand. */
export function parseJob<N extends QueueName>(queue: N, data: unknown): JobOf<N> | null {
  const parsed = SCHEMAS[queue].safeParse(data)
  return parsed.success ? (parsed.data as JobOf<N>) : null
}

interface QueueRules {
  readonly attempts: number
  readonly firstDelayMs: number
  readonly longestDelayMs: number
}

/**
 * A dead worker's job is taken over once its lock has expired and two checks have seen that: within nine seconds. If a
 * live worker loses its lock, one piece of work is done twice, which is harmless.
 */
export const LOCK_MS = 5_000
export const STALL_CHECK_MS = 2_000

/**
 * When its attempts run out, a job fails and frees its deduplication key, and the next tick adds a new one. So retries
 * never end, and their pauses never exceed the longest delay.
 */
export const QUEUE_RULES: Readonly<Record<QueueName, QueueRules>> = {
  copy: { attempts: 6, firstDelayMs: 500, longestDelayMs: 30_000 },
  drain: { attempts: 8, firstDelayMs: 200, longestDelayMs: 5_000 },
  control: { attempts: 6, firstDelayMs: 500, longestDelayMs: 30_000 },
}

/**
 * The death of a worker or host counts as a stall of each job it held; with the default of 1, the second one would fail
 * the job for good.
 */
export const MAX_STALLS = 10

const KEPT = { limit: 100 } as const
const RETENTION = {
  removeOnComplete: { age: 3_600, count: 200, ...KEPT },
  removeOnFail: { age: 7 * 86_400, count: 500, ...KEPT },
} as const

/** The options that a worker uses, regardless of those stored with the job in Redis. */
export function workOptions(queue: QueueName): JobsOptions {
  return {
    ...RETENTION,
    attempts: QUEUE_RULES[queue].attempts,
    backoff: { type: 'capped' },
    // a stack trace would put text of unknown content into Redis
    stackTraceLimit: 0,
  }
}

/** Never sets a job id: a finished job that is still kept would silently swallow the next one with the same id. */
export function jobOptions(queue: QueueName, job: AnyJob): JobsOptions {
  return {
    ...workOptions(queue),
    deduplication: deduplication(job),
    // behind all chunks of the other tables, its own table would run out of chunks
    ...(job.kind === 'plan-table' ? { lifo: true } : {}),
  }
}

function deduplication(job: AnyJob): DeduplicationOptions {
  switch (job.kind) {
    case 'copy-chunk':
      return { id: `copy-chunk ${job.chunk} ${job.table}` }
    case 'plan-table':
    case 'open-component':
    case 'retry':
      return { id: `${job.kind} ${job.table}` }
    case 'maintain':
    case 'clean-up':
      return { id: job.kind }
    case 'verify-chunk':
      // What a stopping worker leaves, it asks for again while its own job still runs.
      if (job.since === undefined) return { id: job.kind }
      return { id: `${job.kind} ${job.table === undefined ? 'all' : `of ${job.table}`}`, keepLastIfActive: true }
    case 'drain':
      // A drain requested while one runs follows it: at most one at a time, and no request is lost.
      return { id: job.kind, keepLastIfActive: true }
  }
}
