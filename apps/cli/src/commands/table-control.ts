import { type EngineContext, pauseTables, resumeTables, resyncTables } from '@mylab-sync/engine'
import { print, printJson } from '../output.js'
import { showProgress } from '../progress.js'
import { type CommonOptions, withInstallation } from '../session.js'

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
    else if (tables.length === 0) print('No table was in a state for that.')
    else for (const table of tables) print(`${table}: ${done}`)
    return 0
  })
}

export const runPause = (options: TableControlOptions): Promise<void> => control(options, 'paused', pauseTables)
export const runResume = (options: TableControlOptions): Promise<void> => control(options, 'resumed', resumeTables)
export const runResync = (options: TableControlOptions): Promise<void> => control(options, 'copied again', resyncTables)
