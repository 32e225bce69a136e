import { TLS_NOT_OFFERED, type TlsSettings } from '@mylab-sync/core'
import {
  handshakeCode,
  openSocket,
  peek,
  readTlsMaterial,
  timedOut,
  tlsOptions,
  TlsRefused,
  verifies,
} from '@mylab-sync/runtime'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type ConnectionOptions, connect as encrypt } from 'node:tls'

/** https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
const YES = 'S'
const NO = 'N'

export interface Negotiated {
  readonly socket: Socket
  readonly encrypted: boolean
}

/** The path of a socket in the file system. Such a line never leaves this machine and is not encrypted. */
export type Place = { readonly host: string; readonly port: number } | { readonly path: string }

/** Failure of the handshake itself, before the certificate is checked. */
class HandshakeFailed extends TlsRefused {}

/**
 * Returns a connected socket that is ready for the login; the caller destroys it. `prefer` continues in plaintext if the
 * server offers no encryption or the handshake fails, as libpq does. Throws Node's error or TlsRefused.
 */
export async function negotiate(to: Place, tls: TlsSettings, signal: AbortSignal): Promise<Negotiated> {
  if ('path' in to || tls.mode === 'disable') return { socket: await openSocket(to, signal), encrypted: false }
  try {
    return await encrypted(to, tls, signal)
  } catch (error) {
    if (tls.mode !== 'prefer' || !(error instanceof HandshakeFailed)) throw error
    return { socket: await openSocket(to, signal), encrypted: false }
  }
}

async function encrypted(
  to: Extract<Place, { host: string }>,
  tls: TlsSettings,
  signal: AbortSignal,
): Promise<Negotiated> {
  const options = tlsOptions(tls, to.host, await readTlsMaterial(tls))
  const plain = await openSocket(to, signal)
  try {
    plain.write(SSL_REQUEST)
    const offered = await isOffered(plain, signal)
    if (!offered && tls.mode !== 'prefer') throw new TlsRefused(TLS_NOT_OFFERED)
    return offered
      ? { socket: await handshake({ ...options, socket: plain }, tls, signal), encrypted: true }
      : { socket: plain, encrypted: false }
  } catch (error) {
    plain.destroy()
    throw error
  }
}

/** Bytes received in plaintext beyond the one-byte answer might be injected: CVE-2021-23222. */
async function isOffered(socket: Socket, signal: AbortSignal): Promise<boolean> {
  await peek(socket, (seen) => seen.length > 0, signal)
  const answer = String(socket.read())
  if (answer !== YES && answer !== NO) throw new Error('the server there does not answer like PostgreSQL')
  return answer === YES
}

async function handshake(options: ConnectionOptions, tls: TlsSettings, signal: AbortSignal): Promise<Socket> {
  const socket = encrypt(options)
  try {
    await once(socket, 'secureConnect', { signal })
    return socket
  } catch (error) {
    socket.destroy()
    if (signal.aborted) throw timedOut()
    throw new (verifies(tls.mode) ? TlsRefused : HandshakeFailed)(handshakeCode(error), error)
  }
}
