import { once } from 'node:events'
import { connect, type NetConnectOpts, type Socket } from 'node:net'

/** With the ten probes that follow at one-second intervals, an idle connection whose peer vanished ends after 15 s. */
const KEEP_ALIVE_MS = 5_000

/**
 * Returns a connected socket, which the caller destroys. It may break before anyone listens; then it is already
 * destroyed. Throws Node's own error, or `ETIMEDOUT` if the signal comes first.
 */
export async function openSocket(to: NetConnectOpts, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ ...to, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, noDelay: true })
  // An error without a listener would end the process.
  socket.on('error', () => {})
  try {
    await once(socket, 'connect', { signal })
    return socket
  } catch (error) {
    socket.destroy()
    throw signal.aborted ? timedOut() : error
  }
}

/**
 * Returns the first bytes of an answer, as soon as `enough` accepts them, and puts them back for the next reader.
 * Throws if the peer hangs up first, or `ETIMEDOUT` if the signal comes first.
 */
export async function peek(socket: Socket, enough: (seen: Buffer) => boolean, signal: AbortSignal): Promise<Buffer> {
  let seen: Buffer = Buffer.alloc(0)
  while (!enough(seen)) {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) await more(socket, signal)
    else seen = Buffer.concat([seen, chunk])
  }
  socket.unshift(seen)
  return seen
}

function more(socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => (): void => {
      socket.off('readable', readable).off('end', ended).off('close', ended).off('error', failed)
      signal.removeEventListener('abort', late)
      act()
    }
    const failed = (error: Error): void => settle(() => reject(error))()
    const readable = settle(resolve)
    const ended = settle(() => reject(hungUp()))
    const late = settle(() => reject(timedOut()))
    socket.on('readable', readable).on('end', ended).on('close', ended).on('error', failed)
    signal.addEventListener('abort', late)
    if (signal.aborted) late()
    else if (socket.readableEnded || socket.destroyed) ended()
  })
}

export function timedOut(): Error {
  return Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })
}

function hungUp(): Error {
  return Object.assign(new Error('the peer closed the connection'), { code: 'ECONNRESET' })
}
