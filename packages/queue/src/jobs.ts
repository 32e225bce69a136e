import type { DeduplicationOptions, JobsOptions } from 'bullmq'
import { z } from 'zod'

export const QUEUE_NAMES = ['copy', 'drain', 'control'] as const
export type QueueName = (typeof QUEUE_NAMES)[number]

// A payload names work, it never carries rows: whoever takes the job reads the state tables again.
const table = z.string().min(1).max(64)

const COPY_JOB = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('plan-table'), table }),
  z.strictObject({ kind: z.literal('copy-chunk'), table, chunk: z.int().min(1) }),
])
const DRAIN_JOB = z.strictObject({ kind: z.literal('drain') })
const CONTROL_JOB = z.discriminatedUnion('kind', [
  /** Opens the action component that this table belongs to. */
  z.strictObject({ kind: z.literal('open-component'), table }),
  z.strictObject({ kind: z.literal('maintain') }),
  z.strictObject({ kind: z.literal('clean-up') }),
  z.strictObject({ kind: z.literal('retry'), table }),
])

const SCHEMAS = { copy: COPY_JOB, drain: DRAIN_JOB, control: CONTROL_JOB } as const

export type JobOf<N extends QueueName> = z.infer<(typeof SCHEMAS)[N]>
export type AnyJob = JobOf<QueueName>

/** The payload, or null where it does not fit: another version's job, or somebody's by hand. */
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
 * A dead worker's job is taken over when its lock has run out and two checks have seen that: within nine seconds. A
 * lock that is lost though its worker lives costs a piece of work done twice, and nothing else.
 */
export const LOCK_MS = 5_000
export const STALL_CHECK_MS = 2_000

/**
 * When attempts run out the job fails, its deduplication key is free, and the next tick begins a new series: retries
 * never end, and never come faster than the longest delay.
 */
export const QUEUE_RULES: Readonly<Record<QueueName, QueueRules>> = {
  copy: { attempts: 6, firstDelayMs: 500, longestDelayMs: 30_000 },
  drain: { attempts: 8, firstDelayMs: 200, longestDelayMs: 5_000 },
  control: { attempts: 6, firstDelayMs: 500, longestDelayMs: 30_000 },
}

/** Every worker or host that dies counts as a stall of the jobs that it held; the default of 1 fails them for good. */
export const MOST_STALLS = 10

const KEPT = { limit: 100 } as const
const RETENTION = {
  removeOnComplete: { age: 3_600, count: 200, ...KEPT },
  removeOnFail: { age: 7 * 86_400, count: 500, ...KEPT },
} as const

/** What a worker goes by, whatever stands beside the job in Redis. */
export function workOptions(queue: QueueName): JobsOptions {
  return {
    ...RETENTION,
    attempts: QUEUE_RULES[queue].attempts,
    backoff: { type: 'capped' },
    // a failure's stack would be text of unknown content in Redis
    stackTraceLimit: 0,
  }
}

/** No job id is ever chosen: a finished job that is still kept would silently swallow the next one of its id. */
export function jobOptions(queue: QueueName, job: AnyJob): JobsOptions {
  return {
    ...workOptions(queue),
    deduplication: deduplication(job),
    // one that waits behind all chunks of the other tables would leave its own table without any
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
    case 'drain':
      // One that is asked for while it runs comes after it: at most one at a time, and no wish is lost.
      return { id: job.kind, keepLastIfActive: true }
  }
}
