import type { ResolvedConfig } from '@mylab-sync/config'
import { SyncError } from '@mylab-sync/core'
import { runDashboard } from '@mylab-sync/dashboard'
import { tell } from '../output.js'
import { type CommonOptions, openContext, withConfig } from '../session.js'

const HIGHEST_PORT = 65_535

export async function runDashboardCommand(
  options: CommonOptions & { readonly port: number | undefined; readonly host: string },
): Promise<void> {
  await withConfig(options, async ({ config, signal }) => {
    const port = options.port ?? config.dashboard.port
    if (!Number.isInteger(port) || port < 0 || port > HIGHEST_PORT)
      throw new SyncError('usage', `--port: not a port, expected 0 to ${HIGHEST_PORT}`)
    const { user, password } = config.dashboard
    await runDashboard(
      {
        host: options.host,
        port,
        user,
        password,
        mode: config.useQueue ? 'queue' : 'direct',
        title: titleOf(config),
        open: () => openContext(config),
        onListening: (url) => tell(`dashboard: ${url}${password === null ? '' : ` (user ${user})`}; Ctrl-C ends it`),
      },
      signal,
    )
    return 0
  })
}

function titleOf({ source, target }: ResolvedConfig): string {
  return `${source.database} at ${source.socket ?? `${source.host}:${source.port}`} → ${target.database} at ${target.host}:${target.port}`
}
