import { join } from 'node:path'
import { parse as parseYaml } from 'yaml'
import * as z from 'zod'
import type { ConfigInput, Env } from './environment.js'
import { fault } from './fault.js'
import { fileFaults } from './file-faults.js'
import { readText } from './read-text.js'
import { REPAIRS, SHARE_EXPECTED, shareOf } from './verify-settings.js'

export const port = z.coerce.number().int().min(1).max(65_535)
export const SCHEMA_CHANGES = ['apply', 'wait'] as const
export type SchemaChanges = (typeof SCHEMA_CHANGES)[number]

/** An idle process takes about 80 MB. */
export const MIN_MEMORY_MB = 128
export const memoryLimitMb = z.coerce.number().int().min(MIN_MEMORY_MB)
/** Modes are validated together with those from other places, by the same names. */
const TLS_KEYS = { sslMode: z.string(), sslRootCert: z.string(), sslCert: z.string(), sslKey: z.string() }
/** Part of the names of triggers, schemas and keys. */
export const INSTANCE = /^[A-Za-z0-9_-]{1,32}$/
/** The length limit of table names at the source. */
export const auditTableName = z.string().min(1).max(64)
const patterns = z.array(z.string().min(1))
const columnOption = z.union([
  z.string(),
  z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])),
])
const tableOptions = z.strictObject({ columns: z.record(z.string(), columnOption).optional() })

/** What both servers have. */
const SERVER_KEYS = {
  url: z.string(),
  host: z.string(),
  port,
  database: z.string(),
  username: z.string(),
  password: z.string(),
}

/** The shape of the file; every key is optional. */
export const FILE = z.strictObject({
  source: z
    .strictObject({
      ...SERVER_KEYS,
      socket: z.string(),
      ...TLS_KEYS,
    })
    .partial()
    .optional(),
  target: z
    .strictObject({
      ...SERVER_KEYS,
      schema: z.string(),
      stateSchema: z.string(),
      ...TLS_KEYS,
      // The older name of sslMode.
      sslmode: z.string(),
    })
    .partial()
    .optional(),
  redis: z
    .strictObject({
      url: z.string(),
      host: z.string(),
      port,
      username: z.string(),
      password: z.string(),
      tls: z.strictObject({ ca: z.string(), cert: z.string(), key: z.string() }).partial(),
    })
    .partial()
    .optional(),
  batchSize: z.coerce.number().int().min(1).optional(),
  intervalSeconds: z.coerce.number().positive().optional(),
  performance: z.strictObject({ useQueue: z.boolean(), queuePrefix: z.string(), memoryLimitMb }).partial().optional(),
  instance: z.string().regex(INSTANCE).optional(),
  auditTable: auditTableName.optional(),
  retry: z
    .strictObject({ maxAttempts: z.coerce.number().int().min(1), delayMs: z.coerce.number().int().min(1) })
    .partial()
    .optional(),
  names: z.enum(['keep', 'lower']).optional(),
  schemaChanges: z.enum(SCHEMA_CHANGES).optional(),
  verify: z
    .strictObject({
      background: z.unknown().refine((given) => given === undefined || shareOf(given) !== undefined, SHARE_EXPECTED),
      repair: z.enum(REPAIRS),
    })
    .partial()
    .optional(),
  types: z.record(z.string(), columnOption).optional(),
  tables: z.record(z.string(), z.union([patterns, tableOptions])).optional(),
  monitoring: z
    .strictObject({
      log: z
        .strictObject({
          level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
          format: z.enum(['pretty', 'json']),
        })
        .partial(),
    })
    .partial()
    .optional(),
  dashboard: z
    .strictObject({
      user: z.string(),
      password: z.string(),
      port,
      tls: z.strictObject({ cert: z.string(), key: z.string() }).partial(),
    })
    .partial()
    .optional(),
})
export type File = z.infer<typeof FILE>
export type ColumnOption = z.infer<typeof columnOption>

/** Reads the file given by --config or SYNC_CONFIG, else mylab-sync.yaml if it exists. */
export function readFile(input: ConfigInput, env: Env): File {
  const named = input.file ?? env['SYNC_CONFIG']
  const path = named ?? join(input.directory, 'mylab-sync.yaml')
  const text = readText(path)
  if (text === null) {
    if (named === undefined) return {}
    throw fault(`${path}: no such file`)
  }
  let content: unknown
  try {
    content = parseYaml(text) ?? {}
  } catch {
    throw fault(`${path}: not YAML or JSON`)
  }
  const parsed = FILE.safeParse(content)
  if (parsed.success) return parsed.data
  const faults = fileFaults(parsed.error.issues, content, keysAt)
  throw fault(faults.map((line) => `${path}: ${line}`).join('\n'))
}

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>
}

/** The keys allowed at this path; below `tables`, those of one table. */
function keysAt(path: readonly string[]): string[] {
  if (path[0] === 'tables') return Object.keys(tableOptions.shape)
  let shape = z.toJSONSchema(FILE, { io: 'input', unrepresentable: 'any' }) as Shape | undefined
  for (const key of path) shape = shape?.properties?.[key]
  return Object.keys(shape?.properties ?? {})
}
