import type { ResolvedConfig } from '@mylab-sync/config'
import { counted, SyncError } from '@mylab-sync/core'
import {
  requestDetachedCopies,
  type EngineContext,
  initial,
  type Progress,
  requireMigrated,
  requireTables,
  retryErrors,
} from '@mylab-sync/engine'
import { print, printJson } from '../output.js'
import { showProgress } from '../progress.js'
import { healthProblems, queueHealth, queueSettings } from '../queue.js'
import { type CommonOptions, type Session, tellMemory, withSession } from '../session.js'
import { retried } from './show-errors.js'
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
  readonly detach: boolean
  readonly batch?: number
}

export async function runInitial(options: InitialOptions): Promise<void> {
  await withSession({ ...options, check: checkDetach(options.detach) }, async ({ context, config, signal }) => {
    if (options.showProgress) await requireMigrated(context)
    await requireTables(context, options.tables, options.showProgress ? 'installation' : 'source')
    checkBatch(options.batch)
    if (options.showProgress)
      return showStatus(context, config, { json: options.json, problems: false, tables: options.tables })
    if (options.retryErrors) return retry({ context, signal }, options)
    const progress = showProgress(options.quiet)
    if (options.detach) return detach(context, config, { options, progress: progress.on }).finally(progress.stop)
    const report = await initial(context, options, progress.on, signal).finally(() => progress.stop())
    if (options.json) printJson({ ...report })
    else {
      for (const { table, state, rows, sourceRows } of report.tables) print(`${table}: ${rows}/${sourceRows} ${state}`)
      for (const { table, problem } of report.listed) print(`${table}: not live: ${problem}`)
      for (const { table, problem } of report.constraints) print(`${table}: ${problem}`)
      print(whoDrains(config))
    }
    if (!options.quiet) tellMemory(config)
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
    print(`${retried(report)}.`)
  }
  return report.left === 0 ? 0 : 5
}

function checkBatch(rows: number | undefined): void {
  if (rows !== undefined && !(Number.isInteger(rows) && rows > 0))
    throw new SyncError('usage', `--batch: found ${rows}, expected a whole number above 0`)
}

/** `--detach` leaves the copy to workers, so it requires Redis. */
function checkDetach(detached: boolean): (config: ResolvedConfig) => Promise<void> {
  return (config) => {
    if (detached) queueSettings(config)
    return Promise.resolve()
  }
}

function whoDrains(config: ResolvedConfig): string {
  return config.useQueue
    ? 'From now on changes are drained by the workers: mylab-sync scheduler and mylab-sync worker, or both as mylab-sync start.'
    : 'From now on changes are drained by: mylab-sync database --daemon (or database --once from cron).'
}

/** Requests the copy and reports who works on it. Missing workers are only a warning: they may start later. */
async function detach(
  context: EngineContext,
  config: ResolvedConfig,
  { options, progress }: { readonly options: InitialOptions; readonly progress: Progress },
): Promise<number> {
  const { copying, listed } = await requestDetachedCopies(context, options, progress)
  const health = await queueHealth(config)
  const problems = healthProblems(health)
  const workers = health instanceof SyncError ? 0 : health.workers.copy
  if (options.json) printJson({ copying, listed, workers, problems })
  else {
    print(
      `${counted(copying.length, 'table')} ${copying.length === 1 ? 'is' : 'are'} copied by ${counted(workers, 'worker')}: mylab-sync status`,
    )
    for (const { table, problem } of listed) print(`${table}: not live: ${problem}`)
    for (const problem of problems) print(`problem: ${problem}`)
  }
  return listed.length === 0 ? 0 : 5
}
