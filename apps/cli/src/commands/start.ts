import { requireRedis } from '../queue.js'
import { type CommonOptions, withSession } from '../session.js'
import { serve } from './dashboard.js'
import { follow } from './database.js'
import { schedule } from './scheduler.js'
import { concurrencyOf, work } from './worker.js'

const LOOPBACK = '127.0.0.1'

/** Everything in one process: scheduler and worker with Redis, the direct runner without, and the dashboard. */
export async function runStart(
  options: CommonOptions & { readonly queues: string; readonly concurrency: number; readonly dashboard: boolean },
): Promise<void> {
  const check = async (config: Parameters<typeof requireRedis>[0]): Promise<void> => {
    if (config.useQueue) await requireRedis(config)
  }
  await withSession({ ...options, check }, async (session) => {
    // If one part ends, all end.
    const failed = new AbortController()
    const together = { ...session, signal: AbortSignal.any([session.signal, failed.signal]) }
    const ended = (error: unknown): never => {
      failed.abort()
      throw error
    }
    const parts: Promise<unknown>[] = session.config.useQueue
      ? [schedule(together), work(together, { json: options.json, concurrency: concurrencyOf(options) })]
      : [follow(together, options)]
    const { port } = session.config.dashboard
    if (options.dashboard) parts.push(serve(together, { host: LOOPBACK, port }))
    const outcomes = await Promise.allSettled(parts.map((part) => part.catch(ended)))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    return 0
  })
}
