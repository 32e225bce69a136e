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

/** Of a socket in the file system its path; such a line never leaves this machine and is not encrypted. */
export type Place = { readonly host: string; readonly port: number } | { readonly path: string }

/** The handshake itself, before anybody has looked at a certificate. */
class HandshakeFailed extends TlsRefused {}

/**
 * A connected socket over which the login may go, which the caller destroys. `prefer` goes on in plaintext where the
 * server offers no encryption or the handshake fails, as libpq does. Throws Node's error, or TlsRefused.
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

/** What came before the encryption with the one byte of the answer might be somebody else's words: CVE-2021-23222. */
async function isOffered(socket: Socket, signal: AbortSignal): Promise<boolean> {
  await peek(socket, (seen) => seen.length > 0, signal)
  const answer = String(socket.read())
  if (answer !== YES && answer !== NO) throw new Error('what listens there answers otherwise than PostgreSQL')
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
