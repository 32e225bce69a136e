import { parseServerUrl, placeText, SyncError } from '@mylab-sync/core'
import type { ConnectionOptions } from 'bullmq'
import { Redis } from 'ioredis'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type CredentialFiles, credentials, type TlsOptions } from './credentials.js'
import { reasonOf, refusal } from './errors.js'

/** Where Redis is, and how the line to it is encrypted. */
export interface RedisAddress {
  /** `redis://`, `rediss://`, or `redis+unix://` with the path of a socket and `?db=NUMBER`. */
  readonly redisUrl: string
  /** For `rediss://` only; without it node's own authorities count. */
  readonly redisTls?: CredentialFiles | null
}

export interface QueueSettings extends RedisAddress {
  /** One for all queues of an installation; another installation's never equals it. */
  readonly prefix: string
}

const REDIS_PORT = 6379
const CONNECT_MS = 5_000
const COMMAND_MS = 5_000
const KEEP_ALIVE_MS = 10_000
/** An answer that does not come for so long: the other end is gone and nobody said so. Longer than any blocking read. */
const SILENCE_MS = 15_000
const FIRST_WORD_MS = 1_000
const NOT_OFFERED = Object.assign(new Error('plain text'), { code: 'ERR_SSL_WRONG_VERSION_NUMBER' })
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
  readonly tls?: TlsOptions
}

/** The driver's own reading of a URL takes no IPv6 address and no socket. */
function addressOptions({ redisUrl, redisTls }: RedisAddress): AddressOptions {
  const { scheme, host, port, user, password, database, parameters } = parseServerUrl(redisUrl)
  const isSocket = scheme === 'redis+unix'
  const db = isSocket ? parameters.find(([name]) => name === 'db')?.[1] : database
  return {
    ...(isSocket ? { path: `/${database ?? ''}` } : { host: host ?? '127.0.0.1', port: port ?? REDIS_PORT }),
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(db === undefined ? {} : { db: Number(db) }),
    ...(scheme === 'rediss' ? { tls: credentials(redisTls ?? null) } : {}),
  }
}

/** For those who add jobs: an error within seconds, since the caller has something better to do than to wait. */
export function producerConnection(address: RedisAddress, closing: () => boolean): ConnectionOptions {
  return {
    ...addressOptions(address),
    keepAlive: KEEP_ALIVE_MS,
    socketTimeout: SILENCE_MS,
    connectTimeout: CONNECT_MS,
    commandTimeout: COMMAND_MS,
    maxRetriesPerRequest: 1,
    retryStrategy: reconnect(closing),
  }
}

/** For those who take jobs: they wait for Redis as long as it is away. */
export function workerConnection(address: RedisAddress, closing: () => boolean): ConnectionOptions {
  return {
    ...addressOptions(address),
    keepAlive: KEEP_ALIVE_MS,
    socketTimeout: SILENCE_MS,
    connectTimeout: CONNECT_MS,
    maxRetriesPerRequest: null,
    retryStrategy: reconnect(closing),
  }
}

/** The place only: the password of the URL is never shown. */
export function redisPlace({ redisUrl }: RedisAddress): string {
  const { host, port, path } = addressOptions({ redisUrl })
  return path ?? placeText(host ?? '', port ?? REDIS_PORT)
}

/** For who judges the line: the host or the path of a socket, and whether it is encrypted, and then verified. */
export function redisLine({ redisUrl }: RedisAddress): { readonly host: string; readonly encrypted: boolean } {
  const { host, path, tls } = addressOptions({ redisUrl })
  return { host: path ?? host ?? '', encrypted: tls !== undefined }
}

/**
 * One look at the server before anything is built on it: throws SyncError cannot-connect within seconds. Returns what is
 * wrong with its settings as sentences.
 */
export async function checkRedis(address: RedisAddress): Promise<string[]> {
  const options = addressOptions(address)
  const client = new Redis({
    ...options,
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
    const place = redisPlace(address)
    const told = refusal(error, place) ?? refusal(reason, place) ?? (await lookAgain(options, place))
    if (told !== null) throw told
    throw new SyncError('cannot-connect', `no connection to Redis at ${place}${reasonOf(reason) || reasonOf(error)}`, {
      remedy: 'check REDIS_URL, its password, and that Redis runs',
      cause: error,
    })
  } finally {
    client.disconnect()
  }
}

/**
 * Why an encrypted line fails where the driver cannot tell: a server that wants a client certificate says so after we have
 * sent, and hangs up over it; one without TLS waits for the end of what it takes for a command.
 */
async function lookAgain({ tls, host, port }: AddressOptions, place: string): Promise<SyncError | null> {
  if (tls === undefined || host === undefined || port === undefined) return null
  const { rejectUnauthorized, secureContext } = tls
  const heard = await firstWord(connectTls({ host, port, rejectUnauthorized, secureContext }))
  const told = heard instanceof Error ? refusal(heard, place) : null
  if (told !== null) return told
  const plain = connect({ host, port })
  // says nothing about us
  plain.write('PING\r\n')
  const answer = await firstWord(plain)
  return typeof answer === 'string' && /^[+-]/.test(answer) ? refusal(NOT_OFFERED, place) : null
}

/** What comes first within a second: data, or an error. Ends the connection. */
async function firstWord(socket: Socket): Promise<string | Error | null> {
  socket.setTimeout(FIRST_WORD_MS)
  try {
    return await new Promise((resolve) => {
      for (const event of ['timeout', 'close']) socket.once(event, () => resolve(null))
      socket.on('error', resolve)
      socket.once('data', (data: Buffer) => resolve(data.toString('latin1')))
    })
  } finally {
    socket.destroy()
  }
}
