import { SyncError } from '@mylab-sync/core'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const port = z.coerce.number().int().min(1).max(65_535)
/** An idle process takes about 110 MB. */
const LEAST_MEMORY_MB = 128
const memoryLimitMb = z.coerce.number().int().min(LEAST_MEMORY_MB)
const patterns = z.array(z.string().min(1))
const columnOption = z.union([
  z.string(),
  z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])),
])
const tableOptions = z.strictObject({ columns: z.record(z.string(), columnOption).optional() })

/** The file's shape; every key of it can be given, none must. */
const FILE = z.strictObject({
  source: z
    .strictObject({
      url: z.string(),
      host: z.string(),
      port,
      database: z.string(),
      username: z.string(),
      password: z.string(),
      socket: z.string(),
    })
    .partial()
    .optional(),
  target: z
    .strictObject({
      url: z.string(),
      host: z.string(),
      port,
      database: z.string(),
      username: z.string(),
      password: z.string(),
      schema: z.string(),
      sslmode: z.enum(['disable', 'require']),
      stateSchema: z.string(),
    })
    .partial()
    .optional(),
  redis: z.strictObject({ url: z.string(), host: z.string(), port, password: z.string() }).partial().optional(),
  batchSize: z.coerce.number().int().min(1).optional(),
  intervalSeconds: z.coerce.number().positive().optional(),
  performance: z.strictObject({ useQueue: z.boolean(), queuePrefix: z.string(), memoryLimitMb }).partial().optional(),
  instance: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,32}$/)
    .optional(),
  auditTable: z.string().min(1).max(64).optional(),
  retry: z
    .strictObject({ maxAttempts: z.coerce.number().int().min(1), delayMs: z.coerce.number().int().min(1) })
    .partial()
    .optional(),
  names: z.enum(['keep', 'lower']).optional(),
  types: z.record(z.string(), columnOption).optional(),
  tables: z.record(z.string(), z.union([patterns, tableOptions])).optional(),
  monitoring: z
    .strictObject({ log: z.strictObject({ level: z.string(), format: z.enum(['pretty', 'json']) }).partial() })
    .partial()
    .optional(),
  dashboard: z.strictObject({ user: z.string(), password: z.string(), port }).partial().optional(),
})
type File = z.infer<typeof FILE>
type ColumnOption = z.infer<typeof columnOption>

/** Configuration as the program uses it: compiled once, nothing optional. */
export interface ResolvedConfig {
  readonly source: {
    readonly host: string
    readonly port: number
    readonly socket: string | null
    readonly user: string
    readonly password: string
    readonly database: string
  }
  readonly target: {
    readonly host: string
    readonly port: number
    readonly user: string
    readonly password: string
    readonly database: string
    readonly schema: string
    readonly stateSchema: string
    readonly ssl: boolean
  }
  readonly redisUrl: string | null
  readonly useQueue: boolean
  /** Of every key in Redis. */
  readonly queuePrefix: string
  readonly dashboard: {
    readonly user: string
    /** Null: none is set, which only a loopback address may do. */
    readonly password: string | null
    readonly port: number
  }
  readonly instance: string
  readonly auditTable: string
  readonly intervalMs: number
  /** Of one process, resident, in MiB. */
  readonly memoryLimitMb: number
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  readonly names: 'keep' | 'lower'
  readonly types: Readonly<Record<string, ColumnOption>>
  readonly columns: Readonly<Record<string, Readonly<Record<string, ColumnOption>>>>
}

export interface ConfigInput {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly directory: string
  /** From --config. */
  readonly file?: string
}

/** Flag > environment > `.env` > file > default. Throws SyncError configuration with one line per fault. */
export function loadConfig(input: ConfigInput): ResolvedConfig {
  const env = givenVariables(input)
  return resolve(readFile(input, env), withSecretFiles(env))
}

/** The environment over what `.env` says. */
function givenVariables(input: ConfigInput): Record<string, string | undefined> {
  const dotEnv = join(input.directory, '.env')
  return { ...(existsSync(dotEnv) ? parseDotEnv(readFileSync(dotEnv, 'utf8')) : {}), ...defined(input.env) }
}

/** As loadConfig sees them, secrets read from their files. */
export function environmentOf(input: ConfigInput): Env {
  return withSecretFiles(givenVariables(input))
}

function defined(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

function parseDotEnv(text: string): Record<string, string> {
  const values: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const [, name, raw = ''] = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (name === undefined) continue
    const [, quoted] = /^(?:"([^"]*)"|'([^']*)')$/.exec(raw) ?? []
    values[name] = quoted ?? raw.replace(/^'(.*)'$/, '$1').replace(/\s+#.*$/, '')
  }
  return values
}

/** `NAME_FILE` stands for the content of a file. */
function withSecretFiles(env: Record<string, string | undefined>): Record<string, string | undefined> {
  const values = { ...env }
  for (const name of [
    'DB_PASSWORD',
    'PGSQL_PASSWORD',
    'REDIS_PASSWORD',
    'REDIS_URL',
    'SYNC_SOURCE_URL',
    'SYNC_TARGET_URL',
    'SYNC_DASHBOARD_PASSWORD',
  ]) {
    const path = env[`${name}_FILE`]
    if (path === undefined || values[name] !== undefined) continue
    if (!existsSync(path)) throw fault(`environment: ${name}_FILE: no such file, expected a readable file`)
    values[name] = readFileSync(path, 'utf8').trimEnd()
  }
  return values
}

export function fault(text: string): SyncError {
  return new SyncError('configuration', text)
}

function readFile(input: ConfigInput, env: Record<string, string | undefined>): File {
  const named = input.file ?? env['SYNC_CONFIG']
  const path = named ?? join(input.directory, 'mylab-sync.yaml')
  if (!existsSync(path)) {
    if (named === undefined) return {}
    throw fault(`${path}: no such file`)
  }
  let content: unknown
  try {
    content = parseYaml(readFileSync(path, 'utf8')) ?? {}
  } catch {
    throw fault(`${path}: not YAML or JSON`)
  }
  const parsed = FILE.safeParse(content)
  if (parsed.success) return parsed.data
  throw fault(
    parsed.error.issues.map((issue) => `${path}: ${issue.path.join('.') || '(top)'}: ${issue.message}`).join('\n'),
  )
}

interface Address {
  readonly host?: string
  readonly port?: number
  readonly user?: string
  readonly password?: string
  readonly database?: string
}

export const SOURCE_SCHEMES = ['mysql:', 'mariadb:'] as const
export const TARGET_SCHEMES = ['postgres:', 'postgresql:'] as const

export function addressOf(url: string | undefined, name: string, schemes: readonly string[]): Address {
  if (url === undefined) return {}
  if (!URL.canParse(url) || !schemes.includes(new URL(url).protocol))
    throw fault(`${name}: not a URL that begins with ${schemes.map((s) => `${s}//`).join(' or ')}`)
  const { hostname, port: number, username, password, pathname } = new URL(url)
  return {
    host: hostname,
    ...(number === '' ? {} : { port: Number(number) }),
    ...(username === '' ? {} : { user: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(pathname.length > 1 ? { database: decodeURIComponent(pathname.slice(1)) } : {}),
  }
}

function portOf(value: string | number | undefined, name: string, fallback: number): number {
  if (value === undefined || value === '') return fallback
  const parsed = port.safeParse(value)
  if (!parsed.success) throw fault(`environment: ${name}: not a port, expected 1 to 65535`)
  return parsed.data
}

export type Env = Readonly<Record<string, string | undefined>>

/** The first value that is given at all. */
function first<T>(...values: readonly (T | undefined)[]): T | undefined {
  return values.find((value) => value !== undefined)
}

function resolve(file: File, env: Env): ResolvedConfig {
  const queue = queueOf(file, env)
  const intervalMs = intervalOf(file, env)
  const source = sourceOf(file.source ?? {}, env)
  const instance = env['SYNC_INSTANCE'] ?? file.instance ?? 'default'
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
    ...tablesOf(file, env),
    instance,
    auditTable: env['SYNC_AUDIT_TABLE'] ?? file.auditTable ?? ownName('sync_audit_log', instance),
    names: file.names ?? 'keep',
    types: file.types ?? {},
  }
}

/** Who gives a Redis address wants the queue, unless told otherwise. */
function queueOf(file: File, env: Env): Pick<ResolvedConfig, 'redisUrl' | 'useQueue'> {
  const redisUrl = redisAddress(file, env)
  const asked = first(booleanOf(env['SYNC_USE_QUEUE'], 'SYNC_USE_QUEUE'), file.performance?.useQueue)
  const useQueue = asked ?? redisUrl !== null
  if (useQueue && redisUrl === null)
    throw fault(
      'SYNC_USE_QUEUE is true, but no Redis address is given: set REDIS_URL or REDIS_HOST, or SYNC_USE_QUEUE=false',
    )
  return { redisUrl, useQueue }
}

function intervalOf(file: File, env: Env): number {
  const seconds = Number(env['SYNC_INTERVAL'] ?? file.intervalSeconds ?? 5)
  if (!(seconds > 0)) throw fault('environment: SYNC_INTERVAL: not a number of seconds above 0')
  return seconds * 1000
}

function memoryOf(file: File, env: Env): number {
  const given = env['SYNC_MEMORY_LIMIT']
  if (given === undefined || given === '') return file.performance?.memoryLimitMb ?? 256
  const parsed = memoryLimitMb.safeParse(given)
  if (parsed.success) return parsed.data
  throw fault(`environment: SYNC_MEMORY_LIMIT: found ${given}, expected MB, ${LEAST_MEMORY_MB} or more`)
}

/** Installations beside each other share no table of ours: each would mark or forget what the other has not read. */
function ownName(name: string, instance: string): string {
  return instance === 'default' ? name : `${name}_${instance}`
}

function prefixOf(value: string | undefined): string | undefined {
  if (value === undefined || value === '') return undefined
  if (/^[A-Za-z0-9_.:{}-]{1,64}$/.test(value)) return value
  throw fault('environment: SYNC_QUEUE_PREFIX: found other characters than letters, digits and _ . : { } -')
}

/**
 * Two installations on one Redis never meet, and the workers of one installation always do, if all name the servers
 * alike. The braces keep the keys of one installation in one slot of a Redis Cluster.
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

export function sourceOf(file: NonNullable<File['source']>, env: Env): ResolvedConfig['source'] {
  const url = addressOf(env['SYNC_SOURCE_URL'] ?? file.url, 'environment: SYNC_SOURCE_URL', SOURCE_SCHEMES)
  return {
    host: first(env['DB_HOST'], url.host, file.host) ?? '127.0.0.1',
    port: portOf(first<string | number>(env['DB_PORT'], url.port, file.port), 'DB_PORT', 3306),
    socket: first(env['DB_SOCKET'], file.socket) ?? null,
    user: first(env['DB_USERNAME'], url.user, file.username) ?? 'root',
    password: first(env['DB_PASSWORD'], url.password, file.password) ?? '',
    database: first(env['DB_DATABASE'], url.database, file.database) ?? missing('DB_DATABASE', 'source.database'),
  }
}

/** An empty password is none. */
function dashboardOf({ dashboard }: File, env: Env): ResolvedConfig['dashboard'] {
  return {
    user: first(env['SYNC_DASHBOARD_USER'], dashboard?.user) ?? 'admin',
    password: first(env['SYNC_DASHBOARD_PASSWORD'], dashboard?.password) || null,
    port: portOf(first<string | number>(env['SYNC_DASHBOARD_PORT'], dashboard?.port), 'SYNC_DASHBOARD_PORT', 9090),
  }
}

export function targetOf(file: NonNullable<File['target']>, env: Env, instance = 'default'): ResolvedConfig['target'] {
  const url = addressOf(env['SYNC_TARGET_URL'] ?? file.url, 'environment: SYNC_TARGET_URL', TARGET_SCHEMES)
  return {
    host: first(env['PGSQL_HOST'], url.host, file.host) ?? '127.0.0.1',
    port: portOf(first<string | number>(env['PGSQL_PORT'], url.port, file.port), 'PGSQL_PORT', 5432),
    user: first(env['PGSQL_USERNAME'], url.user, file.username) ?? 'postgres',
    password: first(env['PGSQL_PASSWORD'], url.password, file.password) ?? '',
    database: first(env['PGSQL_DATABASE'], url.database, file.database) ?? missing('PGSQL_DATABASE', 'target.database'),
    ...targetNames(file, env, instance),
  }
}

function targetNames(
  file: NonNullable<File['target']>,
  env: Env,
  instance: string,
): Pick<ResolvedConfig['target'], 'schema' | 'stateSchema' | 'ssl'> {
  return {
    schema: first(env['PGSQL_SCHEMA'], file.schema) ?? 'public',
    stateSchema: first(env['SYNC_STATE_SCHEMA'], file.stateSchema) ?? ownName('mylab_sync', instance),
    ssl: sslOf(first(env['PGSQL_SSLMODE'], file.sslmode)),
  }
}

/** An unknown mode must not end in a plaintext connection. */
function sslOf(mode: string | undefined): boolean {
  if (mode === undefined || mode === '' || mode === 'disable') return false
  if (mode === 'require') return true
  throw fault(`environment: PGSQL_SSLMODE: found ${mode}, expected disable or require`)
}

function missing(variable: string, key: string): never {
  throw fault(`no database named: set ${variable}, or ${key} in the configuration file`)
}

function booleanOf(value: string | undefined, name: string): boolean | undefined {
  if (value === undefined || value === '') return undefined
  if (['true', '1', 'yes', 'on'].includes(value.toLowerCase())) return true
  if (['false', '0', 'no', 'off'].includes(value.toLowerCase())) return false
  throw fault(`environment: ${name}: found ${value}, expected true or false`)
}

export function redisAddress(file: File, env: Record<string, string | undefined>): string | null {
  const url = env['REDIS_URL'] ?? file.redis?.url
  if (url) return url
  const host = env['REDIS_HOST'] ?? file.redis?.host
  if (!host) return null
  const password = env['REDIS_PASSWORD'] ?? file.redis?.password
  return `redis://${password ? `:${encodeURIComponent(password)}@` : ''}${host}:${portOf(env['REDIS_PORT'] ?? file.redis?.port, 'REDIS_PORT', 6379)}`
}

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
  const columns: Record<string, Record<string, ColumnOption>> = {}
  for (const [table, options] of Object.entries(file.tables ?? {}))
    if (!Array.isArray(options) && options.columns) columns[table] = options.columns
  return {
    include: split(env['SYNC_TABLES_INCLUDE']) ?? listed('include') ?? ['*'],
    exclude: split(env['SYNC_TABLES_EXCLUDE']) ?? listed('exclude') ?? [],
    columns,
  }
}
