import { loadConfig, type ResolvedConfig } from '@mylab-sync/config'
import { placeText, type Source, SyncError, type Target } from '@mylab-sync/core'
import {
  copiesAtOnce,
  type EngineContext,
  type EngineOptions,
  requireMigrated,
  requireTables,
} from '@mylab-sync/engine'
import { beat, createLog, listenForShutdown, type Log } from '@mylab-sync/runtime'
import { createSource } from '@mylab-sync/source-mysql'
import { createTarget } from '@mylab-sync/target-postgres'
import { exitCodeOf, explain } from './failure.js'
import { tell } from './output.js'

export interface CommonOptions {
  readonly config?: string | undefined
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  readonly color: boolean
}

export interface Session {
  readonly context: EngineContext
  readonly config: ResolvedConfig
  readonly signal: AbortSignal
  /** For long-running commands. */
  readonly log: Log
}

/**
 * Connects both sides, runs one command, and always closes them again. The exit code is the number that `work` returns,
 * or the signal's.
 */
export async function withSession(
  options: CommonOptions & {
    readonly batch?: number
    /** Checks the configuration before any connection is made. */
    readonly check?: (config: ResolvedConfig) => Promise<void>
  },
  work: (session: Session) => Promise<number>,
): Promise<void> {
  await withConfig(options, async ({ config, signal, log }) => {
    await options.check?.(config)
    const { context, close } = await openContext(config, options.batch ?? null, log)
    try {
      return await work({ context, config, signal, log })
    } finally {
      await close()
    }
  })
}

/** Like withSession, but requires that both sides are set up and that `options.tables` match known tables. */
export async function withInstallation(
  options: Parameters<typeof withSession>[0] & { readonly tables?: readonly string[] },
  work: (session: Session) => Promise<number>,
): Promise<void> {
  await withSession(options, async (session) => {
    await requireMigrated(session.context)
    await requireTables(session.context, options.tables ?? [], 'installation')
    return work(session)
  })
}

/** Like withSession, for commands that connect later or repeatedly. */
export async function withConfig(
  options: CommonOptions,
  work: (settings: Omit<Session, 'context'>) => Promise<number>,
): Promise<void> {
  await untilStopped((signal) => {
    const config = loadConfig({
      env: process.env,
      directory: process.cwd(),
      ...(options.config === undefined ? {} : { file: options.config }),
    })
    if (options.verbose) tellConnections(config)
    const { level, format } = config.log
    const log = createLog({ level: options.verbose ? 'debug' : level, format, color: options.color })
    return work({ config, signal, log })
  })
}

/** Prints no secret. */
function tellConnections({ source, target, useQueue, queuePrefix, include, exclude, instance }: ResolvedConfig): void {
  tell(`source: ${source.database} at ${source.socket ?? placeText(source.host, source.port)} as ${source.user}`)
  tell(
    `target: ${target.database} at ${placeText(target.host, target.port)} as ${target.user}, schema ${target.schema}, state in ${target.stateSchema}`,
  )
  tell(`queue: ${useQueue ? `Redis, keys ${queuePrefix}` : 'none, one process does everything'}; instance: ${instance}`)
  tell(`tables: ${include.join(', ')}${exclude.length === 0 ? '' : ` without ${exclude.join(', ')}`}`)
}

/**
 * Runs one command and sets the exit code: the number that `work` returns, the signal's, or the error's, which it
 * prints.
 */
export async function untilStopped(work: (signal: AbortSignal) => Promise<number>): Promise<void> {
  const shutdown = listenForShutdown()
  let endBeat = (): void => {}
  try {
    endBeat = startBeat(process.env['SYNC_HEARTBEAT_FILE'])
    const code = await work(shutdown.signal)
    process.exitCode = shutdown.code() ?? code
  } catch (error) {
    process.exitCode = shutdown.code() ?? exitCodeOf(error)
    if (shutdown.code() === null) explain(error)
  } finally {
    endBeat()
    shutdown.dispose()
  }
}

function startBeat(path: string | undefined): () => void {
  if (!path) return () => {}
  try {
    return beat(path)
  } catch (cause) {
    throw new SyncError('configuration', `environment: SYNC_HEARTBEAT_FILE: ${path} cannot be written`, { cause })
  }
}

export function openSource({
  source,
  auditTable,
  instance,
}: Pick<ResolvedConfig, 'source' | 'auditTable' | 'instance'>): Promise<Source> {
  const { socket, ...address } = source
  return createSource({ ...address, ...(socket === null ? {} : { socket }), auditTable, instance })
}

export function openTarget({ target, instance }: Pick<ResolvedConfig, 'target' | 'instance'>): Promise<Target> {
  return createTarget({ ...target, instance })
}

export function engineOptions(config: ResolvedConfig, batchRows: number | null = null): EngineOptions {
  const mapping = { names: config.names, types: config.types, columns: config.columns }
  const { include, exclude, schemaChanges, verify, memoryLimitMb: memoryMb } = config
  return {
    include,
    exclude,
    mapping,
    batchRows,
    copyConcurrency: copiesAtOnce(memoryMb),
    memoryMb,
    schemaChanges,
    verify,
  }
}

const peakMb = (): number => Math.round(process.resourceUsage().maxRSS / 1024)

/** Prints the peak memory of this process against its limit. */
export function tellMemory({ memoryLimitMb }: ResolvedConfig): void {
  const verdict = peakMb() > memoryLimitMb ? 'above the limit of' : 'of'
  tell(`Memory: at most ${peakMb()} MB ${verdict} ${memoryLimitMb} MB (SYNC_MEMORY_LIMIT).`)
}

/** Like tellMemory, for long-running commands. */
export function logMemory({ config: { memoryLimitMb: limitMb }, log }: Pick<Session, 'config' | 'log'>): void {
  const residentMb = peakMb()
  if (residentMb > limitMb) log.warn({ residentMb, limitMb }, 'Memory above SYNC_MEMORY_LIMIT')
  else log.info({ residentMb, limitMb }, 'Memory at most')
}

function limitsFrom({ batchRows, retry }: ResolvedConfig): NonNullable<EngineContext['limits']> {
  return { statementRows: batchRows, attempts: retry.maxAttempts, retryDelayMs: retry.delayMs }
}

/** Opens both sides; the returned `close` closes both. */
export async function openContext(
  config: ResolvedConfig,
  batchRows: number | null = null,
  log?: Log,
): Promise<{ context: EngineContext; close: () => Promise<void> }> {
  const source = await openSource(config)
  try {
    const target = await openTarget(config)
    return {
      context: {
        source,
        target,
        options: engineOptions(config, batchRows),
        limits: limitsFrom(config),
        ...(log && { tell: (line: string) => log.warn(line) }),
      },
      close: async () => {
        await target.close().finally(() => source.close())
      },
    }
  } catch (error) {
    await source.close()
    throw error
  }
}

/** Returns a SyncError as a value; rethrows any other error. */
export async function orItsError<T>(opening: Promise<T>): Promise<T | SyncError> {
  try {
    return await opening
  } catch (error) {
    if (error instanceof SyncError) return error
    throw error
  }
}
