import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { requireSafeAddress, urlOf } from './address.js'
import { createApp } from './app.js'
import { StatusFeed } from './feed.js'
import type { DashboardOptions } from './options.js'
import { startServer } from './server.js'

/**
 * Serves until the signal, then ends open responses and closes both connections. Throws SyncError configuration before
 * it listens.
 */
export async function runDashboard(options: DashboardOptions, signal: AbortSignal): Promise<void> {
  requireSafeAddress(options.host, options.password)
  if (signal.aborted) return
  const feed = new StatusFeed(options)
  const server = await startServer((await createApp(options, feed)) as RequestListener, options)
  try {
    const { port } = server.address() as AddressInfo
    options.onListening?.(urlOf(options.tls ? 'https' : 'http', { host: options.host, port }))
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    const closed = once(server, 'close')
    server.close()
    await feed.close()
    server.closeAllConnections()
    await closed
  }
}
