import { parseServerUrl, placeText, SyncError } from '@mylab-sync/core'
import type { ConnectionOptions } from 'bullmq'
import { Redis } from 'ioredis'
import { reasonOf, refusal } from './errors.js'

export interface QueueSettings {
  /** `redis://`, `rediss://`, or `redis+unix://` with the path of a socket and `?db=NUMBER`. */
  readonly redisUrl: string
  /** One for all queues of an installation; another installation's never equals it. */
  readonly prefix: string
}

const REDIS_PORT = 6379
const CONNECT_MS = 5_000
const COMMAND_MS = 5_000
const KEEP_ALIVE_MS = 10_000
/** An answer that does not come for so long: the other end is gone and nobody said so. Longer than any blocking read. */
const SILENCE_MS = 15_000
const FIRST_RECONNECT_MS = 50
const LONGEST_RECONNECT_MS = 1_000

/** Reconnects for ever, at most a second apart, until `closing`: then whatever waits for Redis fails and can end. */
function reconnect(closing: () => boolean): (times: number) => number | null {
  return (times) => (closing() ? null : Math.min(LONGEST_RECONNECT_MS, FIRST_RECONNECT_MS * 2 ** Math.min(times, 10)))
}

interface AddressOptions {
  readonly path?: string
  readonly host?: string
  readonly port?: number
  readonly username?: string
  readonly password?: string
  readonly db?: number
  readonly tls?: Record<string, never>
}

/** The driver's own reading of a URL takes no IPv6 address and no socket. */
function addressOptions(url: string): AddressOptions {
  const { scheme, host, port, user, password, database, parameters } = parseServerUrl(url)
  const isSocket = scheme === 'redis+unix'
  const db = isSocket ? parameters.find(([name]) => name === 'db')?.[1] : database
  return {
    ...(isSocket ? { path: `/${database ?? ''}` } : { host: host ?? '127.0.0.1', port: port ?? REDIS_PORT }),
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(db === undefined ? {} : { db: Number(db) }),
    ...(scheme === 'rediss' ? { tls: {} } : {}),
  }
}

/** For those who add jobs: an error within seconds, since the caller has something better to do than to wait. */
export function producerConnection(url: string, closing: () => boolean): ConnectionOptions {
  return {
    ...addressOptions(url),
    keepAlive: KEEP_ALIVE_MS,
    socketTimeout: SILENCE_MS,
    connectTimeout: CONNECT_MS,
    commandTimeout: COMMAND_MS,
    maxRetriesPerRequest: 1,
    retryStrategy: reconnect(closing),
  }
}

/** For those who take jobs: they wait for Redis as long as it is away. */
export function workerConnection(url: string, closing: () => boolean): ConnectionOptions {
  return {
    ...addressOptions(url),
    keepAlive: KEEP_ALIVE_MS,
    socketTimeout: SILENCE_MS,
    connectTimeout: CONNECT_MS,
    maxRetriesPerRequest: null,
    retryStrategy: reconnect(closing),
  }
}

/** The place only: the password of the URL is never shown. */
export function redisPlace(url: string): string {
  const { host, port, path } = addressOptions(url)
  return path ?? placeText(host ?? '', port ?? REDIS_PORT)
}

/**
 * One look at the server before anything is built on it: throws SyncError cannot-connect within seconds. Returns what is
 * wrong with its settings as sentences.
 */
export async function checkRedis(url: string): Promise<string[]> {
  const client = new Redis({
    ...addressOptions(url),
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    commandTimeout: COMMAND_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  // Why there is no connection, which `connect` itself says in other words.
  let reason: unknown = null
  client.on('error', (error) => (reason = error))
  try {
    await client.connect()
    const [, policy] = /^maxmemory_policy:(\S+)/m.exec(await client.info('memory')) ?? []
    if (policy === undefined || policy === 'noeviction') return []
    return [`Redis may throw jobs away when its memory is full: set maxmemory-policy noeviction (found ${policy})`]
  } catch (error) {
    const place = redisPlace(url)
    const told = refusal(error, place) ?? refusal(reason, place)
    if (told !== null) throw told
    throw new SyncError('cannot-connect', `no connection to Redis at ${place}${reasonOf(reason) || reasonOf(error)}`, {
      remedy: 'check REDIS_URL, its password, and that Redis runs',
      cause: error,
    })
  } finally {
    client.disconnect()
  }
}
