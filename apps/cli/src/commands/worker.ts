import { SyncError } from '@mylab-sync/core'
import { QUEUE_NAMES, type QueueName } from '@mylab-sync/queue'
import { runWorker } from '@mylab-sync/worker'
import { DrainLines, problemTeller, queueSettings, requireRedis } from '../queue.js'
import { type CommonOptions, logMemory, type Session, withSession } from '../session.js'

export async function runWorkerCommand(
  options: CommonOptions & { readonly queues: string; readonly concurrency: number },
): Promise<void> {
  await withSession({ ...options, check: requireRedis }, async (session) => {
    await work(session, { json: options.json, concurrency: concurrencyOf(options) })
    return 0
  })
}

export interface WorkOptions {
  readonly json: boolean
  readonly concurrency: ReadonlyMap<QueueName, number>
}

/** Serves the queues until the session's signal. */
export async function work({ context, config, signal, log }: Session, options: WorkOptions): Promise<void> {
  const lines = new DrainLines({ json: options.json, intervalMs: config.intervalMs })
  log.info(`Working on ${[...options.concurrency.keys()].join(', ')}`)
  await runWorker(
    {
      context,
      queue: queueSettings(config),
      concurrency: options.concurrency,
      onDrained: (drained) => lines.add(drained),
      onProblem: problemTeller(log),
    },
    signal,
  )
  lines.flush()
  logMemory({ config, log })
}

/**
 * Copies `concurrency` chunks at once. Runs one drain, since a second could only wait, and two control jobs, so that an
 * opening does not block the others.
 */
export function concurrencyOf(options: {
  readonly queues: string
  readonly concurrency: number
}): ReadonlyMap<QueueName, number> {
  const limits = { copy: options.concurrency, drain: 1, control: 2 }
  if (!Number.isInteger(options.concurrency) || options.concurrency < 1)
    throw new SyncError('usage', '--concurrency: not a whole number above 0')
  const names = options.queues.split(',').map((name) => name.trim())
  return new Map(
    names.map((name) => {
      const known = QUEUE_NAMES.find((queue) => queue === name)
      if (known) return [known, limits[known]]
      throw new SyncError('usage', `--queues: found ${name}, expected some of ${QUEUE_NAMES.join(', ')}`)
    }),
  )
}
