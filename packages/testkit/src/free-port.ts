import { connect, createServer } from 'node:net'

// Below Linux's range for outgoing connections (32768 and up): no client's socket may take the port of a killed server
// before the test restarts it.
const LOWEST = 15_000
const HIGHEST = 31_999
const ATTEMPTS = 200

/**
 * Returns a TCP port of 127.0.0.1 on which nothing listens now.
 * Another process may take it before the caller binds it, so callers must retry with another one.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1))
    if (await canListen(port)) return port
  }
  throw new Error(`no free port found between ${LOWEST} and ${HIGHEST} in ${ATTEMPTS} attempts`)
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** Whether anything accepts connections on this port. A frozen server with a full backlog counts as listening, after a second. */
export function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout: 1000 })
    const answer = (listening: boolean): void => {
      socket.destroy()
      resolve(listening)
    }
    socket.once('connect', () => answer(true))
    socket.once('timeout', () => answer(true))
    socket.once('error', () => answer(false))
  })
}
