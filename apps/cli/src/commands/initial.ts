import { initial, retryErrors } from '@mylab-sync/engine'
import { print, printJson } from '../output.js'
import { showProgress } from '../progress.js'
import { type CommonOptions, type Session, withSession } from '../session.js'
import { showStatus } from './status.js'

export interface InitialOptions extends CommonOptions {
  readonly tables: string[]
  readonly createTables: boolean
  readonly resume: boolean
  readonly triggers: boolean
  readonly force: boolean
  readonly takeOver: boolean
  readonly retryErrors: boolean
  readonly showProgress: boolean
  readonly batch?: number
}

export async function runInitial(options: InitialOptions): Promise<void> {
  await withSession(options, async ({ context, config, signal }) => {
    if (options.showProgress)
      return showStatus(context, config, { json: options.json, problems: false, tables: options.tables })
    if (options.retryErrors) return retry({ context, signal }, options)
    const progress = showProgress(options.quiet)
    const report = await initial(context, options, progress.on, signal).finally(() => progress.stop())
    if (options.json) printJson({ ...report })
    else {
      for (const { table, state, rows, sourceRows } of report.tables) print(`${table}: ${rows}/${sourceRows} ${state}`)
      for (const { table, problem } of report.listed) print(`${table}: not live: ${problem}`)
      for (const { table, problem } of report.constraints) print(`${table}: ${problem}`)
      print('From now on changes are drained by: mylab-sync database --daemon (or database --once from cron).')
    }
    return report.listed.length + report.constraints.length === 0 ? 0 : 5
  })
}

async function retry(
  { context, signal }: Pick<Session, 'context' | 'signal'>,
  options: InitialOptions,
): Promise<number> {
  const progress = showProgress(options.quiet)
  const report = await retryErrors(context, options.tables, { progress: progress.on, signal }).finally(() =>
    progress.stop(),
  )
  if (options.json) printJson({ ...report })
  else {
    for (const table of report.mended) print(`${table}: copied again`)
    print(`${report.tried} rows tried again: ${report.recovered} applied, ${report.left} still quarantined.`)
  }
  return report.left === 0 ? 0 : 5
}
