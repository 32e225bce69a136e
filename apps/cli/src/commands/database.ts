import { checkPending, drainAll, type IntervalLine, runDaemon } from '@mylab-sync/engine'
import { clock, print, printJson, tell } from '../output.js'
import { type CommonOptions, type Session, tellMemory, withSession } from '../session.js'

export async function runDatabase(options: CommonOptions & { daemon: boolean; checkPending: boolean }): Promise<void> {
  await withSession(options, async (session) => {
    if (options.checkPending) return showPending(session, options.json)
    if (options.daemon) return follow(session, options)
    const report = await drainAll(session.context, session.signal)
    if (!options.quiet) tellMemory(session.config)
    if (options.json) printJson({ ...report })
    else
      print(
        line({
          iteration: 1,
          processed: report.processed,
          success: report.processed - report.failed,
          failed: report.failed,
          pending: report.pending,
          ms: report.ms,
        }),
      )
    return 0
  })
}

/** Drains in this process until the signal. */
export async function follow(
  { context, config, signal }: Session,
  options: { readonly json: boolean; readonly quiet: boolean },
): Promise<number> {
  await runDaemon(
    context,
    {
      intervalMs: config.intervalMs,
      onInterval: (interval) => (options.json ? printJson({ ...interval }) : print(line(interval))),
      onProblem: (error) => tell(`${clock()} will be tried again: ${error.message}`),
    },
    signal,
  )
  if (!options.quiet) tellMemory(config)
  return 0
}

/** The line of the older package's daemon, which people's scripts read. */
export function line({ iteration, processed, success, failed, pending, ms }: IntervalLine): string {
  return `${clock()} Iteration: ${iteration} | Processed: ${processed} | Success: ${success} | Failed: ${failed} | Pending: ${pending} | Time: ${ms.toFixed(2)}ms`
}

async function showPending({ context }: Session, json: boolean): Promise<number> {
  const { pending, failed, oldestMs, tables } = await checkPending(context)
  if (json) printJson({ pending, failed, oldestMs, tables })
  else
    print(
      `${pending} changes pending, ${failed} rows quarantined${oldestMs === null ? '' : `, the oldest change is ${Math.round(oldestMs)} ms old`}`,
    )
  return 0
}
