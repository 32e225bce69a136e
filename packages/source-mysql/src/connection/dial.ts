import { type LineState, TLS_NOT_OFFERED } from '@mylab-sync/core'
import {
  handshakeCode,
  identityError,
  openSocket,
  peek,
  readTlsMaterial,
  timedOut,
  TlsRefused,
  verifies,
} from '@mylab-sync/runtime'
import { type Connection, type ConnectionOptions, createConnection, type SslOptions } from 'mysql2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { SourceSettings } from '../settings.js'

export interface Dialled {
  readonly connection: Connection
  readonly line: LineState
}

/**
 * Connects and logs in with the TLS mode of the settings. As in libpq, `prefer` falls back to plaintext if the server offers no
 * encryption or the handshake fails. Throws the driver's error, or TlsRefused.
 */
export async function dial(settings: SourceSettings, connectMs: number): Promise<Dialled> {
  const deadline = new Deadline(connectMs)
  const { mode } = settings.tls
  // Local sockets need no encryption.
  if (mode === 'disable' || settings.socket !== undefined) return attempt(settings, deadline, 'plain')
  try {
    return await attempt(settings, deadline, 'tls')
  } catch (error) {
    if (mode !== 'prefer' || !(error instanceof HandshakeFailed)) throw error
    return await attempt(settings, deadline, 'plain')
  }
}

class Deadline {
  readonly signal: AbortSignal
  readonly #until: number

  constructor(ms: number) {
    this.signal = AbortSignal.timeout(ms)
    this.#until = performance.now() + ms
  }

  /** Never 0, with which the driver would wait forever. */
  get leftMs(): number {
    return Math.max(1, Math.ceil(this.#until - performance.now()))
  }
}

/** The handshake itself failed, before the certificate's owner was verified. */
class HandshakeFailed extends TlsRefused {}

async function attempt(settings: SourceSettings, deadline: Deadline, how: 'plain' | 'tls'): Promise<Dialled> {
  const { host, port, socket: path, tls } = settings
  const material = how === 'tls' ? await readTlsMaterial(tls) : {}
  const socket = await openSocket(path === undefined ? { host, port } : { path }, deadline.signal)
  const address = path === undefined ? (socket.remoteAddress ?? host) : null
  try {
    const answer = how === 'tls' ? answerOf(await peek(socket, isGreeting, deadline.signal)) : 'plain'
    if (answer === 'plain' && how === 'tls' && tls.mode !== 'prefer') throw new TlsRefused(TLS_NOT_OFFERED)
    const encrypted = answer === 'tls'
    const connection = encrypted
      ? await loggedInSecurely(settings, { ...material, rejectUnauthorized: verifies(tls.mode) }, socket, deadline)
      : await loggedIn(createConnection(options(settings, socket, deadline)))
    return { connection, line: { encrypted, address } }
  } catch (error) {
    socket.destroy()
    throw error
  }
}

function options(settings: SourceSettings, stream: Socket, deadline: Deadline): ConnectionOptions {
  const { host, port, socket, user, password, database } = settings
  const place = socket === undefined ? { host, port } : { socketPath: socket }
  const login = { user, password, database, charset: 'utf8mb4', connectTimeout: deadline.leftMs }
  return { ...place, ...login, stream, multipleStatements: true }
}

function loggedIn(connection: Connection): Promise<Connection> {
  return new Promise((resolve, reject) => {
    connection.on('error', reject)
    connection.connect((error) => (error === null ? resolve(connection) : reject(error)))
  })
}

/**
 * The driver replaces Node's code for a refused certificate by its own, and compares an IP address's certificate with
 * `localhost`. So the certificate is verified here, before the driver sends anything. The driver loads the authority.
 */
async function loggedInSecurely(
  settings: SourceSettings,
  /** One object per connection: the driver caches TLS sessions by it, and would resume them unverified. */
  ssl: SslOptions,
  socket: Socket,
  deadline: Deadline,
): Promise<Connection> {
  const { tls, host } = settings
  const connection = createConnection({ ...options(settings, socket, deadline), ssl })
  let refused: TlsRefused | undefined
  // The driver's listener runs first, so it has replaced this stream by the encrypted one.
  socket.once('data', () => {
    const stream: unknown = Reflect.get(connection, 'stream')
    if (!(stream instanceof TLSSocket)) {
      refused = new HandshakeFailed(TLS_NOT_OFFERED)
      connection.destroy()
      return
    }
    const failed = (error: unknown): void => {
      refused ??= new (verifies(tls.mode) ? TlsRefused : HandshakeFailed)(handshakeCode(error), error)
    }
    stream.prependListener('error', failed)
    stream.prependOnceListener('secureConnect', () => {
      const wrong = identityError(tls, host, stream.getPeerCertificate())
      if (wrong === undefined) return void stream.off('error', failed)
      failed(wrong)
      stream.destroy(wrong)
    })
  })
  try {
    return await loggedIn(connection)
  } catch (error) {
    throw deadline.signal.aborted ? timedOut() : (refused ?? error)
  }
}

const HEADER_BYTES = 4
const PROTOCOL = 10
const REFUSAL = 0xff
/** In the low half of the capabilities: https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html */
const CLIENT_SSL = 1 << 11
/** Thread id, first part of the scramble and a filler, between the version and the capabilities. */
const BEFORE_CAPABILITIES = 4 + 8 + 1

/** Whether the server's first packet is complete, or cannot be a greeting. */
function isGreeting(seen: Buffer): boolean {
  if (seen.length <= HEADER_BYTES) return false
  return seen[HEADER_BYTES] !== PROTOCOL || seen.length >= HEADER_BYTES + seen.readUIntLE(0, 3)
}

/** `refusal`: the server refused the connection before encryption; the driver reports why and sends nothing. */
function answerOf(packet: Buffer): 'tls' | 'plain' | 'refusal' {
  if (packet[HEADER_BYTES] === REFUSAL) return 'refusal'
  // The driver would accept it as a greeting and log in unencrypted.
  if (packet[HEADER_BYTES] !== PROTOCOL) throw new Error('no greeting from a MySQL server')
  const capabilities = packet.indexOf(0, HEADER_BYTES + 1) + 1 + BEFORE_CAPABILITIES
  if (capabilities + 2 > packet.length) return 'plain'
  if ((packet.readUInt16LE(capabilities) & CLIENT_SSL) === 0) return 'plain'
  // The driver would mistake data sent with the greeting for the server's encrypted answers, even for a successful login.
  if (packet.length > HEADER_BYTES + packet.readUIntLE(0, 3))
    throw new Error('data after the greeting and before the encryption')
  return 'tls'
}
