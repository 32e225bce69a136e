import { createHash } from 'node:crypto'
import type { Place, TlsSettings } from '@mylab-sync/core'
import { placeOf, redisUrlAt, redisUrlOf, sourceAddress, type TargetUrl, targetAddress } from './address.js'
import { type ConfigInput, type Env, environmentOf } from './environment.js'
import { fault } from './fault.js'
import {
  auditTableName,
  type ColumnOption,
  type File,
  INSTANCE,
  MIN_MEMORY_MB,
  memoryLimitMb,
  port,
  readFile,
  SCHEMA_CHANGES,
  type SchemaChanges,
} from './file.js'
import { oneOf } from './one-of.js'
import { type TlsFiles, tlsFiles } from './tls-files.js'
import { sourceTls, targetTls } from './tls.js'
import { type VerifySettings, verifyOf } from './verify-settings.js'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** The resolved configuration: compiled once, nothing optional. */
export interface ResolvedConfig {
  readonly source: {
    readonly host: string
    readonly port: number
    readonly socket: string | null
    readonly user: string
    readonly password: string
    readonly database: string
    readonly tls: TlsSettings
  }
  readonly target: {
    readonly host: string
    readonly port: number
    readonly user: string
    readonly password: string
    readonly database: string
    readonly schema: string
    readonly stateSchema: string
    readonly tls: TlsSettings
  }
  readonly redisUrl: string | null
  /** Only if the address begins with `rediss://`. */
  readonly redisTls: TlsFiles | null
  readonly useQueue: boolean
  /** Prefix of every key in Redis. */
  readonly queuePrefix: string
  readonly dashboard: {
    readonly user: string
    /** Null: no password, allowed on a loopback address only. */
    readonly password: string | null
    readonly port: number
    /** Null: HTTP. */
    readonly tls: DashboardTls | null
  }
  readonly instance: string
  readonly auditTable: string
  readonly intervalMs: number
  /** Resident memory of one process, in MiB. */
  readonly memoryLimitMb: number
  /** Rows per statement when a COPY was rejected. */
  readonly batchRows: number
  readonly retry: {
    /** Attempts of a command that does not run forever. */
    readonly maxAttempts: number
    /** The first pause; each further one is twice as long. */
    readonly delayMs: number
  }
  readonly log: {
    readonly level: LogLevel
    /** Null: pretty on a terminal, JSON elsewhere. */
    readonly format: 'pretty' | 'json' | null
  }
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  readonly names: 'keep' | 'lower'
  /** What happens when a live table's column type changes. */
  readonly schemaChanges: SchemaChanges
  readonly verify: VerifySettings
  readonly types: Readonly<Record<string, ColumnOption>>
  readonly columns: Readonly<Record<string, Readonly<Record<string, ColumnOption>>>>
}

export interface DashboardTls {
  readonly cert: string
  readonly key: string
}

/** Flag > environment > `.env` > file > default. Throws SyncError configuration with one line per fault. */
export function loadConfig(input: ConfigInput): ResolvedConfig {
  const env = environmentOf(input)
  return resolve(readFile(input, env), env)
}

function portOf(value: string | number | undefined, name: string, fallback: number): number {
  if (value === undefined) return fallback
  const parsed = port.safeParse(value)
  if (!parsed.success) throw fault(`environment: ${name}: not a port, expected 1 to 65535`)
  return parsed.data
}

/** The first value that is defined. */
function first<T>(...values: readonly (T | undefined)[]): T | undefined {
  return values.find((value) => value !== undefined)
}

function resolve(file: File, env: Env): ResolvedConfig {
  const queue = queueOf(file, env)
  const intervalMs = intervalOf(file, env)
  const source = sourceOf(file.source ?? {}, env)
  const instance = instanceOf(file, env)
  const target = targetOf(file.target ?? {}, env, instance)
  const givenPrefix = prefixOf(first(env['SYNC_QUEUE_PREFIX'], file.performance?.queuePrefix))
  return {
    source,
    target,
    ...queue,
    queuePrefix: givenPrefix ?? derivedPrefix(source, target, instance),
    dashboard: dashboardOf(file, env),
    intervalMs,
    memoryLimitMb: memoryOf(file, env),
    batchRows: batchOf(file, env),
    retry: retryOf(file, env),
    log: logOf(file, env),
    ...tablesOf(file, env),
    instance,
    auditTable: auditTableOf(file, env, instance),
    names: file.names ?? 'keep',
    schemaChanges: schemaChangesOf(file, env),
    verify: verifyOf(file.verify, env),
    types: file.types ?? {},
  }
}

function instanceOf(file: File, env: Env): string {
  const given = env['SYNC_INSTANCE']
  if (given === undefined || INSTANCE.test(given)) return given ?? file.instance ?? 'default'
  throw fault(`environment: SYNC_INSTANCE: found ${given}, expected letters, digits, _ and -, at most 32`)
}

function auditTableOf(file: File, env: Env, instance: string): string {
  const given = env['SYNC_AUDIT_TABLE']
  if (given === undefined) return file.auditTable ?? ownName('sync_audit_log', instance)
  if (auditTableName.safeParse(given).success) return given
  throw fault(`environment: SYNC_AUDIT_TABLE: found ${given.length} characters, expected at most 64`)
}

/** A Redis address implies the queue, unless `useQueue` says otherwise. */
function queueOf(file: File, env: Env): Pick<ResolvedConfig, 'redisUrl' | 'redisTls' | 'useQueue'> {
  const { redisUrl, redisTls } = redisOf(file, env)
  const asked = first(booleanOf(env['SYNC_USE_QUEUE'], 'SYNC_USE_QUEUE'), file.performance?.useQueue)
  const useQueue = asked ?? redisUrl !== null
  if (useQueue && redisUrl === null)
    throw fault(
      'SYNC_USE_QUEUE is true, but no Redis address is given: set REDIS_URL or REDIS_HOST, or SYNC_USE_QUEUE=false',
    )
  return { redisUrl, redisTls, useQueue }
}

function intervalOf(file: File, env: Env): number {
  const seconds = Number(env['SYNC_INTERVAL'] ?? file.intervalSeconds ?? 5)
  if (!(seconds > 0)) throw fault('environment: SYNC_INTERVAL: not a number of seconds above 0')
  return seconds * 1000
}

function memoryOf(file: File, env: Env): number {
  const given = env['SYNC_MEMORY_LIMIT']
  if (given === undefined) return file.performance?.memoryLimitMb ?? 256
  const parsed = memoryLimitMb.safeParse(given)
  if (parsed.success) return parsed.data
  throw fault(`environment: SYNC_MEMORY_LIMIT: found ${given}, expected MB, ${MIN_MEMORY_MB} or more`)
}

/** Installations must not share our tables: each would mark or delete entries that the other has not read. */
function ownName(name: string, instance: string): string {
  return instance === 'default' ? name : `${name}_${instance}`
}

function batchOf({ batchSize }: File, env: Env): number {
  return wholeOf(env['SYNC_BATCH_SIZE'], 'SYNC_BATCH_SIZE') ?? batchSize ?? 100
}

/** SYNC_RETRY_MAX is the older package's name. */
function retryOf({ retry }: File, env: Env): ResolvedConfig['retry'] {
  const attempts = first(
    wholeOf(env['SYNC_RETRY_MAX_ATTEMPTS'], 'SYNC_RETRY_MAX_ATTEMPTS'),
    wholeOf(env['SYNC_RETRY_MAX'], 'SYNC_RETRY_MAX'),
  )
  const delayMs = wholeOf(env['SYNC_RETRY_DELAY'], 'SYNC_RETRY_DELAY')
  return { maxAttempts: attempts ?? retry?.maxAttempts ?? 3, delayMs: delayMs ?? retry?.delayMs ?? 100 }
}

function wholeOf(value: string | undefined, name: string): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (Number.isSafeInteger(number) && number >= 1) return number
  throw fault(`environment: ${name}: found ${value}, expected a whole number above 0`)
}

function logOf({ monitoring }: File, env: Env): ResolvedConfig['log'] {
  return {
    level: oneOf(env['SYNC_LOG_LEVEL'], 'SYNC_LOG_LEVEL', LOG_LEVELS) ?? monitoring?.log?.level ?? 'info',
    format:
      oneOf(env['SYNC_LOG_FORMAT'], 'SYNC_LOG_FORMAT', ['pretty', 'json'] as const) ?? monitoring?.log?.format ?? null,
  }
}

function schemaChangesOf({ schemaChanges }: File, env: Env): SchemaChanges {
  return oneOf(env['SYNC_SCHEMA_CHANGES'], 'SYNC_SCHEMA_CHANGES', SCHEMA_CHANGES) ?? schemaChanges ?? 'apply'
}

function prefixOf(value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  if (/^[A-Za-z0-9_.:{}-]{1,64}$/.test(value)) return value
  throw fault('environment: SYNC_QUEUE_PREFIX: found other characters than letters, digits and _ . : { } -')
}

/**
 * Differs between any two installations on one Redis, and is the same for all workers of one installation, provided
 * they spell the server addresses alike. The braces keep one installation's keys in one slot of a Redis Cluster.
 */
function derivedPrefix(source: ResolvedConfig['source'], target: ResolvedConfig['target'], instance: string): string {
  const ends = [
    source.socket ?? source.host,
    source.port,
    source.database,
    target.host,
    target.port,
    target.database,
    target.schema,
    target.stateSchema,
  ]
  const digest = createHash('sha256').update(JSON.stringify(ends)).digest('hex').slice(0, 12)
  return `{mylab-sync-${instance}-${digest}}`
}

/** A socket takes precedence over a host, and a single variable over the URL. */
export function sourceOf(file: NonNullable<File['source']>, env: Env): ResolvedConfig['source'] {
  const url = sourceAddress(env['SYNC_SOURCE_URL'] ?? file.url, nameOf(env, 'SYNC_SOURCE_URL', 'source.url'))
  const own = placeOf(env['DB_HOST'], 'environment: DB_HOST')
  const filed = placeOf(file.host, 'source.host')
  const given = env['DB_HOST'] === undefined ? first(url.socket, filed.socket) : own.socket
  return {
    host: first(own.host, url.host, filed.host) ?? '127.0.0.1',
    port: portOf(
      first(placedPort(env['DB_PORT'], own, 'DB_PORT'), url.port, placedPort(file.port, filed, 'source.port')),
      'DB_PORT',
      3306,
    ),
    socket:
      first(socketIn(env['DB_SOCKET'], 'environment: DB_SOCKET'), given, socketIn(file.socket, 'source.socket')) ??
      null,
    user: first(env['DB_USERNAME'], url.user, file.username) ?? 'root',
    password: first(env['DB_PASSWORD'], url.password, file.password) ?? '',
    database: first(env['DB_DATABASE'], url.database, file.database) ?? missing('DB_DATABASE', 'source.database'),
    tls: sourceTls(env, url.tls, file),
  }
}

/** Where the value comes from, so that the user knows what to change. */
function nameOf(env: Env, variable: string, key: string): string {
  return env[variable] === undefined ? key : `environment: ${variable}`
}

/** The path of a socket, in any notation. */
function socketIn(text: string | undefined, name: string): string | undefined {
  if (text === undefined) return undefined
  const { socket } = placeOf(text, name)
  if (socket !== undefined) return socket
  throw fault(`${name}: not the path of a socket`)
}

/** A port may be part of the host or separate; two different ones are an error. */
function placedPort(given: string | number | undefined, { port }: Place, name: string): string | number | undefined {
  if (port !== undefined && given !== undefined && Number(given) !== port)
    throw fault(`${name}: found ${given}, and another port behind the host`)
  return given ?? port
}

/** An empty password counts as none. */
function dashboardOf({ dashboard }: File, env: Env): ResolvedConfig['dashboard'] {
  return {
    user: first(env['SYNC_DASHBOARD_USER'], dashboard?.user) ?? 'admin',
    password: first(env['SYNC_DASHBOARD_PASSWORD'], dashboard?.password) || null,
    port: portOf(first<string | number>(env['SYNC_DASHBOARD_PORT'], dashboard?.port), 'SYNC_DASHBOARD_PORT', 9090),
    tls: dashboardTlsOf(dashboard?.tls, env),
  }
}

function dashboardTlsOf(file: NonNullable<File['dashboard']>['tls'], env: Env): DashboardTls | null {
  const files = tlsFiles({
    cert: {
      path: env['SYNC_DASHBOARD_TLS_CERT'] ?? file?.cert,
      name: nameOf(env, 'SYNC_DASHBOARD_TLS_CERT', 'dashboard.tls.cert'),
    },
    key: {
      path: env['SYNC_DASHBOARD_TLS_KEY'] ?? file?.key,
      name: nameOf(env, 'SYNC_DASHBOARD_TLS_KEY', 'dashboard.tls.key'),
    },
  })
  return files?.cert && files.key ? { cert: files.cert, key: files.key } : null
}

export function targetOf(file: NonNullable<File['target']>, env: Env, instance = 'default'): ResolvedConfig['target'] {
  const url = targetAddress(env['SYNC_TARGET_URL'] ?? file.url, nameOf(env, 'SYNC_TARGET_URL', 'target.url'))
  const own = socketFolder(placeOf(env['PGSQL_HOST'], 'environment: PGSQL_HOST'))
  const filed = socketFolder(placeOf(file.host, 'target.host'))
  const inUrl = socketFolder(url)
  return {
    host: first(own.host, inUrl.host, filed.host) ?? '127.0.0.1',
    port: portOf(
      first(placedPort(env['PGSQL_PORT'], own, 'PGSQL_PORT'), inUrl.port, placedPort(file.port, filed, 'target.port')),
      'PGSQL_PORT',
      5432,
    ),
    user: first(env['PGSQL_USERNAME'], url.user, file.username) ?? 'postgres',
    password: first(env['PGSQL_PASSWORD'], url.password, file.password) ?? '',
    database: first(env['PGSQL_DATABASE'], url.database, file.database) ?? missing('PGSQL_DATABASE', 'target.database'),
    ...targetNames(file, env, { instance, url }),
  }
}

/** PostgreSQL addresses a socket by its folder; the port is part of the file's name. */
function socketFolder({ host, port, socket }: Place): Place {
  if (socket === undefined) return { ...(host === undefined ? {} : { host }), ...(port === undefined ? {} : { port }) }
  const [, folder, own] = /^(.*)\/\.s\.PGSQL\.(\d+)$/.exec(socket) ?? []
  const number = own === undefined ? port : Number(own)
  return { host: folder ?? socket, ...(number === undefined ? {} : { port: number }) }
}

function targetNames(
  file: NonNullable<File['target']>,
  env: Env,
  { instance, url }: { readonly instance: string; readonly url: TargetUrl },
): Pick<ResolvedConfig['target'], 'schema' | 'stateSchema' | 'tls'> {
  const schema = first(env['PGSQL_SCHEMA'], url.schema, file.schema) ?? 'public'
  const stateSchema = first(env['SYNC_STATE_SCHEMA'], file.stateSchema) ?? ownName('mylab_sync', instance)
  // `uninstall` drops the state schema's tables, so the copies must never be in it.
  if (schema === stateSchema)
    throw fault(
      `target.stateSchema, SYNC_STATE_SCHEMA: found ${stateSchema}, which holds the tables themselves (target.schema), expected a schema of its own`,
    )
  return {
    schema,
    stateSchema,
    tls: targetTls(env, url.tls, file),
  }
}

function missing(variable: string, key: string): never {
  throw fault(`no database named: set ${variable}, or ${key} in the configuration file`)
}

function booleanOf(value: string | undefined, name: string): boolean | undefined {
  if (value === undefined) return undefined
  if (['true', '1', 'yes', 'on'].includes(value.toLowerCase())) return true
  if (['false', '0', 'no', 'off'].includes(value.toLowerCase())) return false
  throw fault(`environment: ${name}: found ${value}, expected true or false`)
}

/** The address and its TLS files: a configured authority or certificate implies encryption. */
export function redisOf({ redis }: File, env: Env): Pick<ResolvedConfig, 'redisUrl' | 'redisTls'> {
  const redisTls = redisFiles(redis?.tls ?? {}, env)
  const redisUrl = redisAddress(redis ?? {}, env, redisTls !== null)
  if (redisUrl !== null && redisTls !== null && !redisUrl.startsWith('rediss://'))
    throw fault(
      `${nameOf(env, 'REDIS_URL', 'redis.url')}: unencrypted, but REDIS_TLS_* or redis.tls files are given, expected rediss://`,
    )
  return { redisUrl, redisTls }
}

function redisFiles(file: NonNullable<NonNullable<File['redis']>['tls']>, env: Env): TlsFiles | null {
  return tlsFiles({
    ca: { path: env['REDIS_TLS_CA'] ?? file.ca, name: nameOf(env, 'REDIS_TLS_CA', 'redis.tls.ca') },
    cert: { path: env['REDIS_TLS_CERT'] ?? file.cert, name: nameOf(env, 'REDIS_TLS_CERT', 'redis.tls.cert') },
    key: { path: env['REDIS_TLS_KEY'] ?? file.key, name: nameOf(env, 'REDIS_TLS_KEY', 'redis.tls.key') },
  })
}

function redisAddress(file: NonNullable<File['redis']>, env: Env, encrypted: boolean): string | null {
  const password = redisPassword(env['REDIS_PASSWORD'] ?? file.password)
  const user = first(env['REDIS_USERNAME'], file.username)
  const account = { ...(user === undefined ? {} : { user }), ...(password === undefined ? {} : { password }) }
  const url = env['REDIS_URL'] ?? file.url
  if (url) return redisUrlOf(url, nameOf(env, 'REDIS_URL', 'redis.url'), account)
  const host = env['REDIS_HOST'] ?? file.host
  if (!host) return null
  const place = placeOf(host, nameOf(env, 'REDIS_HOST', 'redis.host'))
  const given = placedPort(env['REDIS_PORT'] ?? file.port, place, 'REDIS_PORT')
  return redisUrlAt({ ...place, port: portOf(given, 'REDIS_PORT', 6379) }, { ...account, encrypted })
}

/** Laravel's .env spells "none" as `null`. */
function redisPassword(given: string | undefined): string | undefined {
  return given === '' || given === 'null' ? undefined : given
}

/** SYNC_INCLUDE_TABLES and SYNC_EXCLUDE_TABLES are the older package's names. */
function tablesOf(
  file: File,
  env: Record<string, string | undefined>,
): Pick<ResolvedConfig, 'include' | 'exclude' | 'columns'> {
  const listed = (name: 'include' | 'exclude'): readonly string[] | undefined => {
    const value = file.tables?.[name]
    return Array.isArray(value) ? value : undefined
  }
  const split = (value: string | undefined): string[] | undefined =>
    value
      ?.split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
  // fromEntries, since a table may be named `__proto__`.
  const columns = Object.fromEntries(
    Object.entries(file.tables ?? {}).flatMap(([table, options]) =>
      !Array.isArray(options) && options.columns ? [[table, options.columns] as const] : [],
    ),
  )
  return {
    include: split(env['SYNC_TABLES_INCLUDE'] ?? env['SYNC_INCLUDE_TABLES']) ?? listed('include') ?? ['*'],
    exclude: split(env['SYNC_TABLES_EXCLUDE'] ?? env['SYNC_EXCLUDE_TABLES']) ?? listed('exclude') ?? [],
    columns,
  }
}
