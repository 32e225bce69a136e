import { runScheduler } from '@mylab-sync/scheduler'
import { problemTeller, queueSettings, requireRedis } from '../queue.js'
import { type CommonOptions, type Session, withSession } from '../session.js'

export async function runSchedulerCommand(options: CommonOptions): Promise<void> {
  await withSession({ ...options, check: requireRedis }, async (session) => {
    await schedule(session)
    return 0
  })
}

/** Schedules due work until the session's signal. */
export async function schedule({ context, config, signal, log }: Session): Promise<void> {
  await runScheduler({ context, queue: queueSettings(config), onProblem: problemTeller(log) }, signal)
}
