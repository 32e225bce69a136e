import type { SyncError } from '@mylab-sync/core'
import { redisUrlOf, sourceAddress, targetAddress } from './address.js'
import { redisOf, type ResolvedConfig, sourceOf, targetOf } from './config.js'
import { type ConfigInput, type Env, environmentOf } from './environment.js'
import { fault } from './fault.js'
import type { GivenTls } from './tls.js'

/** The addresses of both servers and Redis that a new configuration needs. An empty database name: not known yet. */
export interface Answers {
  readonly source: ResolvedConfig['source']
  readonly target: ResolvedConfig['target']
  readonly redisUrl: string | null
  readonly redisTls: ResolvedConfig['redisTls']
}

/** As given on the command line. */
export interface ServerUrls {
  readonly source?: string
  readonly target?: string
  readonly redis?: string
}

/** Values from the URLs; for a side without one, from the environment and `.env`, then the defaults. */
export function suggestedAnswers(input: ConfigInput, urls: ServerUrls): Answers {
  const env = environmentOf(input)
  return {
    source: urls.source === undefined ? sourceOf({ database: '' }, env) : answeredSource(urls.source, env),
    target: urls.target === undefined ? targetOf({ database: '' }, env) : answeredTarget(urls.target, env),
    ...(urls.redis === undefined ? redisOf({}, env) : answeredRedis(urls.redis, env)),
  }
}

/** A URL cannot name TLS files, so they come from the environment. */
function answeredRedis(url: string, env: Env): Pick<Answers, 'redisUrl' | 'redisTls'> {
  redisUrlOf(url, '--redis-url')
  return redisOf({}, { ...env, REDIS_URL: url })
}

function answeredSource(url: string, env: Env): Answers['source'] {
  const { database, tls } = sourceAddress(url, '--source-url')
  if (database === undefined) throw noDatabase('--source-url')
  return sourceOf({ url }, ofEncryption(env, tls))
}

function answeredTarget(url: string, env: Env): Answers['target'] {
  const { database, tls } = targetAddress(url, '--target-url')
  if (database === undefined) throw noDatabase('--target-url')
  return targetOf({ url }, ofEncryption(env, tls))
}

/**
 * If the URL has no TLS parameters, those of the environment apply: a password must not travel over a weaker connection
 * than the environment demands.
 */
function ofEncryption(env: Env, given: GivenTls | undefined): Env {
  if (Object.values(given ?? {}).some((value) => value !== undefined)) return {}
  return Object.fromEntries(Object.entries(env).filter(([name]) => /^(DB|PGSQL|MYSQL_ATTR)_SSL/.test(name)))
}

function noDatabase(option: string): SyncError {
  return fault(`${option}: names no database after the host, expected one`)
}

/** Parses a host or socket as typed, and a separate port. Throws SyncError configuration. */
export function typedSource(host: string, port: string): Pick<Answers['source'], 'host' | 'port' | 'socket'> {
  const { host: found, port: at, socket } = sourceOf({ database: '' }, { DB_HOST: host, DB_PORT: port })
  return { host: found, port: at, socket }
}

export function typedTarget(host: string, port: string): Pick<Answers['target'], 'host' | 'port'> {
  const { host: found, port: at } = targetOf({ database: '' }, { PGSQL_HOST: host, PGSQL_PORT: port })
  return { host: found, port: at }
}
