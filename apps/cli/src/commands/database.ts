import { counted } from '@mylab-sync/core'
import { checkPending, drainAll, filterOf, type IntervalLine, runDaemon, status } from '@mylab-sync/engine'
import { clock, print, printJson, printTable } from '../output.js'
import { type CommonOptions, logMemory, type Session, tellMemory, withInstallation } from '../session.js'
import { UsageFault } from '../definition.js'

interface DatabaseOptions extends CommonOptions {
  readonly daemon: boolean
  readonly once: boolean
  readonly checkPending: boolean
  readonly tables: readonly string[]
}

export async function runDatabase(options: DatabaseOptions): Promise<void> {
  if (options.daemon && options.once) throw new UsageFault('--daemon and --once: found both, expected one of them')
  await withInstallation(options, async (session) => {
    if (options.checkPending) return showPending(session, options)
    if (options.daemon) return follow(session, options)
    const report = await drainAll(session.context, session.signal)
    if (!options.quiet) tellMemory(session.config)
    const tables = options.tables.length === 0 ? [] : await statesOf(session, options.tables)
    if (options.json) printJson({ ...report, ...(tables.length === 0 ? {} : { tables }) })
    else {
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
      if (tables.length > 0)
        printTable(
          ['table', 'state', 'pending', 'quarantined'],
          tables.map((t) => [t.table, t.state, t.pending, t.quarantined]),
        )
    }
    return 0
  })
}

/** Drains in this process until the signal. */
export async function follow(
  { context, config, signal, log }: Session,
  options: { readonly json: boolean },
): Promise<number> {
  await runDaemon(
    context,
    {
      intervalMs: config.intervalMs,
      onInterval: (interval) => (options.json ? printJson({ ...interval }) : print(line(interval))),
      onProblem: (error) => log.warn({ code: error.code }, `will be tried again: ${error.message}`),
    },
    signal,
  )
  logMemory({ config, log })
  return 0
}

/** The line that the older package's daemon printed; users' scripts parse it. */
export function line({ iteration, processed, success, failed, pending, ms }: IntervalLine): string {
  return `${clock()} Iteration: ${iteration} | Processed: ${processed} | Success: ${success} | Failed: ${failed} | Pending: ${pending} | Time: ${ms.toFixed(2)}ms`
}

async function statesOf({ context }: Session, patterns: readonly string[]) {
  const { tables } = await status(context)
  const isNamed = filterOf(patterns)
  return tables
    .filter(({ table }) => isNamed(table))
    .map(({ table, state, pending, quarantined }) => ({ table, state, pending, quarantined }))
}

async function showPending({ context }: Session, shown: Pick<DatabaseOptions, 'json' | 'tables'>): Promise<number> {
  const all = await checkPending(context)
  const { pending, failed, oldestMs } = all
  const isNamed = filterOf(shown.tables)
  const tables = all.tables.filter(({ table }) => isNamed(table))
  if (shown.json) printJson({ pending, failed, oldestMs, tables })
  else {
    print(
      `${counted(pending, 'change')} pending, ${counted(failed, 'row')} quarantined${oldestMs === null ? '' : `, the oldest change is ${Math.round(oldestMs)} ms old`}`,
    )
    if (shown.tables.length > 0)
      printTable(
        ['table', 'pending'],
        tables.map((each) => [each.table, each.pending]),
      )
  }
  return 0
}
