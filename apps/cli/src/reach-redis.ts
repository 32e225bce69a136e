import { SyncError } from '@mylab-sync/core'
import { connect } from 'node:net'

const CONNECT_MS = 5_000

/** Where Redis answers; throws SyncError cannot-connect. That it is a Redis that will do, only who speaks with it can tell. */
export async function reachRedis(url: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const number = port === '' ? 6379 : Number(port)
  const place = `${hostname}:${number}`
  await new Promise<void>((done, fail) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: number, timeout: CONNECT_MS })
    const refused = (cause?: unknown): void => {
      socket.destroy()
      const remedy = 'check the address, and that the server runs'
      fail(new SyncError('cannot-connect', `Redis ${place}: cannot connect`, { remedy, cause }))
    }
    socket.once('error', refused).once('timeout', refused)
    socket.once('connect', () => {
      socket.destroy()
      done()
    })
  })
  return place
}
