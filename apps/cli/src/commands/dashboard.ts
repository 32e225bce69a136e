import type { ResolvedConfig } from '@mylab-sync/config'
import { AddressRefused, parsePlace, placeText, SyncError } from '@mylab-sync/core'
import { type DashboardOptions, runDashboard } from '@mylab-sync/dashboard'
import { type EngineContext, retryFailed } from '@mylab-sync/engine'
import type { Log } from '@mylab-sync/runtime'
import { healthProblems, loadQueue, queueSettings } from '../queue.js'
import { type CommonOptions, openContext, orItsError, type Session, withConfig } from '../session.js'
import { retried } from './show-errors.js'

const MAX_PORT = 65_535

export async function runDashboardCommand(
  options: CommonOptions & { readonly port: number | undefined; readonly host: string },
): Promise<void> {
  await withConfig(options, async ({ config, signal, log }) => {
    const port = options.port ?? config.dashboard.port
    if (!Number.isInteger(port) || port < 0 || port > MAX_PORT)
      throw new SyncError('usage', `--port: not a port, expected 0 to ${MAX_PORT}`)
    await serve({ config, signal, log }, { host: hostOf(options.host), port })
    return 0
  })
}

/** Accepts IPv6 with or without brackets. Rejects a port: it has its own option. */
function hostOf(text: string): string {
  try {
    const { host, port } = parsePlace(text)
    if (host !== undefined && port === undefined) return host
  } catch (error) {
    if (!(error instanceof AddressRefused)) throw error
  }
  throw new SyncError('usage', `--host: found ${text}, expected a name or an address of this machine`)
}

/** Serves the page, and the queues if configured, until the signal. */
export async function serve(
  { config, signal, log }: Omit<Session, 'context'>,
  at: { readonly host: string; readonly port: number },
): Promise<void> {
  const options = dashboardOptions(config, at, log)
  if (!config.useQueue) return runDashboard(options, signal)
  const { Producer } = await loadQueue()
  const producer = Producer.unopened(queueSettings(config))
  const health = async (): Promise<readonly string[]> => healthProblems(await orItsError(producer.health()))
  try {
    const queues = { queues: producer.queues, health, queueCounts: () => producer.counts() }
    return await runDashboard({ ...options, ...queues }, signal)
  } finally {
    await producer.close()
  }
}

/** Dashboard options from the configuration; the caller adds the queues. */
function dashboardOptions(
  config: ResolvedConfig,
  { host, port }: { readonly host: string; readonly port: number },
  log: Log,
): DashboardOptions {
  const { user, password, tls } = config.dashboard
  return {
    host,
    port,
    user,
    password,
    tls,
    warn: (fields, message) => log.warn(fields, message),
    mode: config.useQueue ? 'queue' : 'direct',
    title: titleOf(config),
    open: () => openContext(config),
    actions: { retry },
    onListening: (url) => log.info(`dashboard: ${url}${password === null ? '' : ` (user ${user})`}; Ctrl-C stops it`),
  }
}

async function retry(context: EngineContext, table: string): Promise<string> {
  return retried(await retryFailed(context, [table]))
}

function titleOf({ source, target }: ResolvedConfig): string {
  return `${source.database} at ${source.socket ?? placeText(source.host, source.port)} → ${target.database} at ${placeText(target.host, target.port)}`
}
