import { SyncError } from '@mylab-sync/core'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { requireSafeAddress, urlOf } from './address.js'
import { createApp } from './app.js'
import { StatusFeed } from './feed.js'
import type { DashboardOptions } from './options.js'

const HEADERS_MS = 10_000
const REQUEST_MS = 30_000

/** Serves until the signal, then ends open answers and both connections. Throws SyncError configuration before it listens. */
export async function runDashboard(options: DashboardOptions, signal: AbortSignal): Promise<void> {
  requireSafeAddress(options.host, options.password)
  if (signal.aborted) return
  const feed = new StatusFeed(options)
  const server = createServer(
    { headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS },
    (await createApp(options, feed)) as Parameters<typeof createServer>[1],
  )
  await listen(server, options)
  try {
    options.onListening?.(urlOf(options.host, (server.address() as AddressInfo).port))
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    const closed = once(server, 'close')
    server.close()
    await feed.close()
    server.closeAllConnections()
    await closed
  }
}

async function listen(server: Server, { host, port }: DashboardOptions): Promise<void> {
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'error'
    const remedy = 'name a free one with --port, or an address of this machine with --host'
    throw new SyncError('configuration', `dashboard: cannot listen on ${host}:${port} (${code})`, { remedy, cause })
  }
}
