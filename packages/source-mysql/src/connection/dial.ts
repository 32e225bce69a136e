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
 * A connection that is logged in, over a line as the settings want it. `prefer` goes on in plaintext where the server
 * offers no encryption or the handshake fails, as libpq does. Throws the driver's error, or TlsRefused.
 */
export async function dial(settings: SourceSettings, connectMs: number): Promise<Dialled> {
  const deadline = new Deadline(connectMs)
  const { mode } = settings.tls
  // What never leaves this machine is not encrypted.
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

  /** Never 0, by which the driver would wait for ever. */
  get leftMs(): number {
    return Math.max(1, Math.ceil(this.#until - performance.now()))
  }
}

/** The handshake itself, before anybody has looked at a certificate's owner. */
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
  return { ...place, stream, user, password, database, charset: 'utf8mb4', connectTimeout: deadline.leftMs }
}

function loggedIn(connection: Connection): Promise<Connection> {
  return new Promise((resolve, reject) => {
    connection.on('error', reject)
    connection.connect((error) => (error === null ? resolve(connection) : reject(error)))
  })
}

/**
 * The driver replaces Node's code of a refused certificate by its own, and for an address compares the certificate with
 * `localhost`: both are seen to here, before it sends anything over the line. It finds the authority by itself.
 */
async function loggedInSecurely(
  settings: SourceSettings,
  /** An object of its own for each connection: by it the driver keeps sessions, which would be taken up unverified. */
  ssl: SslOptions,
  socket: Socket,
  deadline: Deadline,
): Promise<Connection> {
  const { tls, host } = settings
  const connection = createConnection({ ...options(settings, socket, deadline), ssl })
  let refused: TlsRefused | undefined
  // The driver's own listener is the first: by now it has put the encrypted stream in the place of this one.
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
/** Low half of the capabilities: https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html */
const CLIENT_SSL = 1 << 11
/** Thread id, first part of the scramble and a filler, which stand between the version and the capabilities. */
const BEFORE_CAPABILITIES = 4 + 8 + 1

/** The server's first packet is whole, or is no greeting at all. */
function isGreeting(seen: Buffer): boolean {
  if (seen.length <= HEADER_BYTES) return false
  return seen[HEADER_BYTES] !== PROTOCOL || seen.length >= HEADER_BYTES + seen.readUIntLE(0, 3)
}

/** `refusal`: the server has refused us before anything could be encrypted, and the driver says why and sends nothing. */
function answerOf(packet: Buffer): 'tls' | 'plain' | 'refusal' {
  if (packet[HEADER_BYTES] === REFUSAL) return 'refusal'
  // The driver would take it for a greeting, and log in over a line that was to be encrypted.
  if (packet[HEADER_BYTES] !== PROTOCOL) throw new Error('no greeting of a MySQL server')
  const capabilities = packet.indexOf(0, HEADER_BYTES + 1) + 1 + BEFORE_CAPABILITIES
  if (capabilities + 2 > packet.length) return 'plain'
  return (packet.readUInt16LE(capabilities) & CLIENT_SSL) === 0 ? 'plain' : 'tls'
}
