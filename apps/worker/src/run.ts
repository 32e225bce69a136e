import { CADENCE, type EngineContext, JobHandlers, requireFollowing, requireMigrated } from '@mylab-sync/engine'
import {
  Consumer,
  type Handlers,
  type JobOf,
  Producer,
  type QueueName,
  type QueueSettings,
  type Work,
} from '@mylab-sync/queue'
import { aborted } from '@mylab-sync/runtime'

export interface WorkerOptions {
  readonly context: EngineContext
  readonly queue: QueueSettings
  /** Jobs at once, per queue that this process serves. */
  readonly concurrency: ReadonlyMap<QueueName, number>
  readonly onDrained: (drained: { readonly entries: number; readonly failed: number; readonly ms: number }) => void
  readonly onProblem: (where: string, error: unknown) => void
}

type VerifyJob = Extract<JobOf<'control'>, { kind: 'verify-chunk' }>

/** Leaves time to close connections before the process is killed after 18 s. */
const STOP_MS = 12_000

/**
 * Consumes the queues until the signal, then lets running jobs reach a safe point. Throws if a side or Redis is
 * unreachable at the start.
 */
export async function runWorker(options: WorkerOptions, signal: AbortSignal): Promise<void> {
  await requireMigrated(options.context)
  await requireFollowing(options.context)
  const producer = await Producer.open(options.queue)
  try {
    const consumer = new Consumer({
      settings: options.queue,
      handlers: handlers(options, producer),
      concurrency: options.concurrency,
      onProblem: options.onProblem,
    })
    await aborted(signal)
    await consumer.close(STOP_MS)
  } finally {
    await producer.close()
  }
}

function handlers({ context, onDrained, onProblem }: WorkerOptions, producer: Producer): Handlers {
  const jobs = new JobHandlers(context)
  const askAgain = (): Promise<boolean> =>
    producer.add('drain', [{ kind: 'drain' }]).then(
      () => true,
      (error: unknown) => {
        onProblem('drain', error)
        return false
      },
    )
  const verify = async ({ table, since }: VerifyJob, work: Work): Promise<void> => {
    const asked = since === undefined ? undefined : { table: table ?? null, since }
    const isDone = await jobs.verify({ ...work, asked, onDrained, onProblem: (error) => onProblem('control', error) })
    // Stopped early: another worker goes on where this one was.
    if (!isDone && since !== undefined)
      await producer.add('control', [{ kind: 'verify-chunk', since, ...(table === undefined ? {} : { table }) }])
  }
  return {
    copy: (job, work) =>
      job.kind === 'plan-table' ? jobs.planTable(job.table, work) : jobs.copyChunk(job.table, job.chunk, work),
    control: (job, work) => {
      if (job.kind === 'maintain') return jobs.maintain(work)
      if (job.kind === 'clean-up') return jobs.cleanUp(work)
      if (job.kind === 'retry') return jobs.retry(job.table, work)
      if (job.kind === 'verify-chunk') return verify(job, work)
      return jobs.openComponent(job.table, work)
    },
    drain: async (_job, work) => {
      // While Redis is down no other worker can take over, so the drain continues past its turn.
      await jobs.drainTurn({
        ...work,
        turnMs: CADENCE.drainTurnMs,
        mayEnd: askAgain,
        onDrained,
        onProblem: (error) => onProblem('drain', error),
      })
      // Stopped early: another worker may start at once instead of at the next tick.
      if (work.signal.aborted || work.yielding.aborted) await askAgain()
    },
  }
}
