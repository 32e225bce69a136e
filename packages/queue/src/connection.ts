import { parseServerUrl, placeText, SyncError } from '@mylab-sync/core'
import type { ConnectionOptions } from 'bullmq'
import { Redis } from 'ioredis'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type CredentialFiles, credentials, type TlsOptions } from './credentials.js'
import { reasonOf, refusal } from './errors.js'

/** Where Redis is, and how the connection is encrypted. */
export interface RedisAddress {
  /** `redis://`, `rediss://`, or `redis+unix://` with the path of a socket and `?db=NUMBER`. */
  readonly redisUrl: string
  /** For `rediss://` only; if absent, Node's own authorities apply. */
  readonly redisTls?: CredentialFiles | null
}

export interface QueueSettings extends RedisAddress {
  /** Shared by all queues of one installation and unique to it. */
  readonly prefix: string
}

const REDIS_PORT = 6379
const CONNECT_MS = 5_000
const COMMAND_MS = 5_000
const KEEP_ALIVE_MS = 10_000
/** A connection without an answer for this long is dead, even if no error arrived. Longer than any blocking read. */
const SILENCE_MS = 15_000
const FIRST_WORD_MS = 1_000
const NOT_OFFERED = Object.assign(new Error('plain text'), { code: 'ERR_SSL_WRONG_VERSION_NUMBER' })
const FIRST_RECONNECT_MS = 50
const LONGEST_RECONNECT_MS = 1_000

/**
 * Reconnects forever, at most one second apart, until `closing`; then pending calls fail, so that the process can end.
 */
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

/** ioredis itself cannot parse a URL with an IPv6 address or a socket. */
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

/** For adding jobs: fails within seconds, since the caller has better things to do than wait. */
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

/** For taking jobs: waits as long as Redis is down. */
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

/** Host and port, or the socket; never the URL's password. */
export function redisPlace({ redisUrl }: RedisAddress): string {
  const { host, port, path } = addressOptions({ redisUrl })
  return path ?? placeText(host ?? '', port ?? REDIS_PORT)
}

/** The host or socket path, and whether the connection is encrypted; an encrypted one is always verified. */
export function redisLine({ redisUrl }: RedisAddress): { readonly host: string; readonly encrypted: boolean } {
  const { host, path, tls } = addressOptions({ redisUrl })
  return { host: path ?? host ?? '', encrypted: tls !== undefined }
}

/**
 * Probes the server once at startup. Throws SyncError cannot-connect within seconds. Returns warnings about its
 * settings as sentences.
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
  // This event carries the cause; the error that `connect` throws does not.
  let reason: unknown = null
  client.on('error', (error) => (reason = error))
  try {
    await client.connect()
    const [, policy] = /^maxmemory_policy:(\S+)/m.exec(await client.info('memory')) ?? []
    if (policy === undefined || policy === 'noeviction') return []
    return [`Redis may evict jobs when its memory is full: set maxmemory-policy noeviction (found ${policy})`]
  } catch (error) {
    const place = redisPlace(address)
    const found = refusal(error, place) ?? refusal(reason, place) ?? (await diagnoseTls(options, place))
    if (found !== null) throw found
    throw new SyncError('cannot-connect', `no connection to Redis at ${place}${reasonOf(reason) || reasonOf(error)}`, {
      remedy: 'check REDIS_URL, its password, and that Redis runs',
      cause: error,
    })
  } finally {
    client.disconnect()
  }
}

/**
 * Finds out why TLS failed if the driver cannot tell. A server that requires a client certificate says so only after
 * our first write, then hangs up; one without TLS keeps waiting for the end of what it reads as a command.
 */
async function diagnoseTls({ tls, host, port }: AddressOptions, place: string): Promise<SyncError | null> {
  if (tls === undefined || host === undefined || port === undefined) return null
  const { rejectUnauthorized, secureContext } = tls
  const heard = await firstWord(connectTls({ host, port, rejectUnauthorized, secureContext }))
  const found = heard instanceof Error ? refusal(heard, place) : null
  if (found !== null) return found
  const plain = connect({ host, port })
  // reveals nothing about us
  plain.write('PING\r\n')
  const answer = await firstWord(plain)
  return typeof answer === 'string' && /^[+-]/.test(answer) ? refusal(NOT_OFFERED, place) : null
}

/** The first thing to arrive within a second: data, or an error; else null. Ends the connection. */
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
