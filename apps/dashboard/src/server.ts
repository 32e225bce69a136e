import { SyncError } from '@mylab-sync/core'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import { addressOf } from './log-ins.js'
import type { DashboardOptions } from './options.js'

/** Slower clients are disconnected. With Node's default check interval that would take up to 30 s longer. */
const TIMES = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 2_000 } as const
const HANDSHAKE_MS = 10_000
/**
 * Closes connections whose response is not read. Generous, since an action on a large table may be silent for minutes.
 */
const SILENCE_MS = 600_000
const MAX_CONNECTIONS = 256
/** Generous, since behind a proxy all viewers share one address. */
const MAX_PER_ADDRESS = 64

/** Serves HTTPS if a certificate is configured, else HTTP. Throws SyncError configuration. */
export async function startServer(app: RequestListener, options: DashboardOptions): Promise<Server> {
  const server = options.tls ? tlsServer(app, options, options.tls) : createServer(TIMES, app)
  server.maxConnections = MAX_CONNECTIONS
  server.setTimeout(SILENCE_MS)
  // otherwise node sends 100 Continue before the password is checked
  server.on('checkContinue', app)
  boundConnections(server)
  await listen(server, options)
  return server
}

function boundConnections(server: Server): void {
  const open = new Map<string, number>()
  server.prependListener('connection', (socket: Socket) => {
    const address = addressOf(socket)
    const count = (open.get(address) ?? 0) + 1
    open.set(address, count)
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1
      if (left === 0) open.delete(address)
      else open.set(address, left)
    })
    if (count > MAX_PER_ADDRESS) socket.destroy()
  })
}

function tlsServer(
  app: RequestListener,
  { warn }: DashboardOptions,
  files: NonNullable<DashboardOptions['tls']>,
): TlsServer {
  const pair = new Pair(files)
  const server = createTlsServer({ ...TIMES, handshakeTimeout: HANDSHAKE_MS, ...pair.read() }, app)
  // runs before the TLS server's own listener, so that this very connection uses the new pair
  server.prependListener('connection', () => {
    if (!pair.changed()) return
    try {
      const { cert, key } = pair.read()
      // throws if they do not match; setSecureContext would accept a mismatched pair
      createSecureContext({ cert, key })
      server.setSecureContext({ cert, key })
    } catch {
      warn?.(
        { file: files.cert },
        'dashboard: the new certificate or key cannot be used; the previous pair stays in use',
      )
    }
  })
  return server
}

/** A certificate and key file, and whether either changed since the last read. */
class Pair {
  readonly #files: NonNullable<DashboardOptions['tls']>
  #seen = ''

  constructor(files: NonNullable<DashboardOptions['tls']>) {
    this.#files = files
  }

  read(): { readonly cert: Buffer; readonly key: Buffer } {
    this.#seen = this.#fingerprint()
    return { cert: readFileSync(this.#files.cert), key: readFileSync(this.#files.key) }
  }

  changed(): boolean {
    return this.#fingerprint() !== this.#seen
  }

  #fingerprint(): string {
    return [this.#files.cert, this.#files.key]
      .map((file) => {
        const { ino, mtimeMs, size } = statSync(file, { throwIfNoEntry: false }) ?? { ino: 0, mtimeMs: 0, size: 0 }
        return `${ino} ${mtimeMs} ${size}`
      })
      .join()
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
