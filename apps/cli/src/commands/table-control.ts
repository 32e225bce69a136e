import { type EngineContext, pauseTables, resumeTables, resyncTables } from '@mylab-sync/engine'
import { print, printJson } from '../output.js'
import { showProgress } from '../progress.js'
import { queueNames, resumeQueues } from '../queue.js'
import { type CommonOptions, withConfig, withInstallation } from '../session.js'

export interface TableControlOptions extends CommonOptions {
  readonly tables: string[]
}

type Work = (
  context: EngineContext,
  tables: readonly string[],
  running: { readonly progress: ReturnType<typeof showProgress>['on']; readonly signal: AbortSignal },
) => Promise<string[]>

async function control(options: TableControlOptions, done: string, work: Work): Promise<void> {
  await withInstallation(options, async ({ context, signal }) => {
    const progress = showProgress(options.quiet)
    const tables = await work(context, options.tables, { progress: progress.on, signal }).finally(() => progress.stop())
    if (options.json) printJson({ tables })
    else if (tables.length === 0) print('No table is in a state that allows this.')
    else for (const table of tables) print(`${table}: ${done}`)
    return 0
  })
}

export const runPause = (options: TableControlOptions): Promise<void> => control(options, 'paused', pauseTables)

/** Resumes tables, or with `queues` the named queues instead. */
export async function runResume({ queues, ...options }: TableControlOptions & { queues?: string }): Promise<void> {
  if (queues === undefined) return control(options, 'resumed', resumeTables)
  const names = queueNames(queues)
  await withConfig(options, async ({ config }) => {
    await resumeQueues(config, names)
    if (options.json) printJson({ queues: names })
    else for (const name of names) print(`queue ${name}: resumed`)
    return 0
  })
}

export const runResync = (options: TableControlOptions): Promise<void> => control(options, 'copied again', resyncTables)
