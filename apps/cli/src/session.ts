import { loadConfig, type ResolvedConfig } from '@mylab-sync/config'
import { SyncError } from '@mylab-sync/core'
import type { EngineContext } from '@mylab-sync/engine'
import { listenForShutdown } from '@mylab-sync/runtime'
import { createSource } from '@mylab-sync/source-mysql'
import { createTarget } from '@mylab-sync/target-postgres'
import { tell } from './output.js'

export interface CommonOptions {
  readonly config: string | undefined
  readonly json: boolean
  readonly quiet: boolean
}

export interface Session {
  readonly context: EngineContext
  readonly config: ResolvedConfig
  readonly signal: AbortSignal
}

const EXIT_OF: Readonly<Partial<Record<string, number>>> = { usage: 2, configuration: 3, 'cannot-connect': 4 }

export function exitCodeOf(error: unknown): number {
  return error instanceof SyncError ? (EXIT_OF[error.code] ?? 1) : 1
}

/**
 * Connects both sides, runs one command and closes them again, whatever happens. The number that `work` gives is the exit
 * code, unless a signal asked for the end.
 */
export async function withSession(
  options: CommonOptions & { readonly batch?: number },
  work: (session: Session) => Promise<number>,
): Promise<void> {
  const shutdown = listenForShutdown()
  try {
    const config = loadConfig({
      env: process.env,
      directory: process.cwd(),
      ...(options.config === undefined ? {} : { file: options.config }),
    })
    const code = await connected(config, options.batch ?? null, (context) =>
      work({ context, config, signal: shutdown.signal }),
    )
    process.exitCode = shutdown.code() ?? code
  } catch (error) {
    process.exitCode = shutdown.code() ?? exitCodeOf(error)
    if (shutdown.code() === null) explain(error)
  } finally {
    shutdown.dispose()
  }
}

async function connected(
  config: ResolvedConfig,
  batchRows: number | null,
  work: (context: EngineContext) => Promise<number>,
): Promise<number> {
  const { socket, ...address } = config.source
  const source = await createSource({
    ...address,
    ...(socket === null ? {} : { socket }),
    auditTable: config.auditTable,
    instance: config.instance,
  })
  try {
    const target = await createTarget({ ...config.target, instance: config.instance })
    try {
      const mapping = { names: config.names, types: config.types, columns: config.columns }
      return await work({
        source,
        target,
        options: { include: config.include, exclude: config.exclude, mapping, batchRows, copyConcurrency: 2 },
      })
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

/** One line of what and where, one of what to do. Errors of drivers quote row data, so theirs are never printed. */
function explain(error: unknown): void {
  if (error instanceof SyncError) {
    tell(`mylab-sync: ${error.message}`)
    if (error.remedy !== null) tell(`  try: ${error.remedy}`)
    return
  }
  tell(
    `mylab-sync: an unexpected ${error instanceof Error ? error.name : 'error'} in ${placeOf(error)}; set MYLAB_SYNC_DEBUG=1 to see it whole`,
  )
  if (process.env['MYLAB_SYNC_DEBUG'] === '1')
    tell(error instanceof Error ? (error.stack ?? error.message) : String(error))
}

function placeOf(error: unknown): string {
  const [, place] = /\n\s+at (?:async )?(\S+)/.exec(error instanceof Error ? (error.stack ?? '') : '') ?? []
  return place ?? 'an unknown place'
}
