import type { TableMapping, TableObjects } from '@mylab-sync/core'
import type { Database, Row, Session } from '../connection/database.js'
import * as sql from '../sql.js'
import { definitionRefusal } from '../errors.js'
import { keyName, otherKeyName, tableStatements } from './statements.js'

type Sequence = NonNullable<TableObjects['sequence']>

const DDL_LOCK = ["SET LOCAL lock_timeout = '2s'"]

/** Types that hold every value of another without loss. */
const WIDER: Readonly<Record<string, readonly string[]>> = {
  smallint: ['integer', 'bigint'],
  integer: ['bigint'],
  real: ['double precision'],
  jsonb: ['json', 'text'],
  json: ['text'],
}

export async function tableExists(database: Database, table: TableMapping): Promise<boolean> {
  return database.transaction(async (session) => {
    const { rows } = await session.raw<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
      sql.tableName(database.settings.schema, table),
    ])
    return rows[0]?.there ?? false
  })
}

export async function hasRows(database: Database, table: TableMapping): Promise<boolean> {
  return database.transaction(async (session) => {
    const { rows } = await session.raw<{ some: boolean }>(
      `SELECT EXISTS (SELECT 1 FROM ${sql.tableName(database.settings.schema, table)}) AS some`,
    )
    return rows[0]?.some ?? false
  })
}

interface HeldColumn {
  readonly name: string
  readonly type: string
  readonly required: boolean
  readonly filled: boolean
  readonly generated: boolean
}

async function heldColumns(database: Database, table: TableMapping): Promise<HeldColumn[]> {
  return database.transaction(async (session) => {
    const { rows } = await session.raw<HeldColumn & Row>(
      `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS required, a.attnotnull AS filled, a.attidentity = 'a' AS generated
       FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped`,
      [sql.tableName(database.settings.schema, table)],
    )
    return rows
  })
}

/** What an existing table lacks to hold the mapping's values. */
export async function differences(database: Database, table: TableMapping): Promise<string[]> {
  const rows = await heldColumns(database, table)
  const found = new Map(rows.map((row) => [row.name, row]))
  const lacking = table.columns.flatMap((column) => {
    const held = found.get(column.name)
    if (held === undefined) return [`column ${column.name} is missing`]
    if (!holds(held.type, column.type)) return [`column ${column.name} is ${held.type}, not ${column.type}`]
    if (held.generated) return [`column ${column.name} is GENERATED ALWAYS and takes no value of the source`]
    return held.filled && !column.notNull ? [`column ${column.name} is NOT NULL and takes no NULL of the source`] : []
  })
  return [
    ...lacking,
    ...strangers(rows, table).map((name) => `column ${name} is NOT NULL and not in the source`),
    ...(await waitingKeys(database, table)).map((name) => `constraint ${name} over the key is DEFERRABLE`),
  ]
}

/** ON CONFLICT chooses every UNIQUE over the key's columns, in any order, and takes none that can wait. */
async function waitingKeys(database: Database, table: TableMapping): Promise<string[]> {
  const key = (table.key?.columns ?? []).map(({ column }) => column.name)
  return database.transaction(async (session) => {
    const { rows } = await session.raw<{ name: string }>(
      `SELECT conname AS name FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('p', 'u') AND condeferrable
       AND cardinality(conkey) = cardinality($2::text[])
       AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = conrelid AND a.attnum = ANY (conkey) AND a.attname <> ALL ($2))`,
      [sql.tableName(database.settings.schema, table), key],
    )
    return rows.map(({ name }) => name)
  })
}

function strangers(rows: readonly HeldColumn[], table: TableMapping): string[] {
  const ours = new Set(table.columns.map((column) => column.name))
  return rows.filter((row) => row.required && !ours.has(row.name)).map((row) => row.name)
}

/**
 * Adds columns, widens types, lets NULL in and drops the key of an older definition where the source's has moved on, and
 * lets rows of a table that is published be changed; nothing that is held is lost. Returns the statements that could lose something or are refused, for a human to run.
 */
export async function adaptTable(database: Database, table: TableMapping, objects: TableObjects): Promise<string[]> {
  const target = sql.tableName(database.settings.schema, table)
  const rows = await heldColumns(database, table)
  const { safe, unsafe } = columnChanges(rows, table, objects)
  unsafe.push(...(await waitingKeys(database, table)).map((name) => `DROP CONSTRAINT ${sql.name(name)}`))
  safe.unshift(
    ...(await oldKeys(database, table)).map((name) => `DROP CONSTRAINT ${sql.name(name)}`),
    ...strangers(rows, table).map((name) => `ALTER COLUMN ${sql.name(name)} DROP NOT NULL`),
  )
  const left = unsafe.map((change) => `ALTER TABLE ${target} ${change}`)
  if (await lacksIdentity(database, table)) safe.push('REPLICA IDENTITY FULL')
  if (safe.length === 0) return left
  const statement = `ALTER TABLE ${target} ${safe.join(', ')}`
  try {
    await database.transaction((session) => session.build(statement), DDL_LOCK)
    return left
  } catch (error) {
    const refusal = definitionRefusal(error)
    if (refusal === null) throw error
    return [...left, `${statement} /* ${refusal} */`]
  }
}

/** PostgreSQL refuses UPDATE and DELETE where a publication has the table and nothing names its rows. */
async function lacksIdentity(database: Database, table: TableMapping): Promise<boolean> {
  return database.transaction(async (session) => {
    const { rows } = await session.raw(
      `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_publication_tables p ON p.schemaname = n.nspname AND p.tablename = c.relname
       WHERE c.oid = $1::regclass AND (c.relreplident = 'n'
         OR c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary))`,
      [sql.tableName(database.settings.schema, table)],
    )
    return rows.length > 0
  })
}

/** What the columns lack, as actions of ALTER TABLE; `unsafe` could lose something. */
function columnChanges(
  rows: readonly HeldColumn[],
  table: TableMapping,
  objects: TableObjects,
): { safe: string[]; unsafe: string[] } {
  const found = new Map(rows.map((row) => [row.name, row]))
  const safe: string[] = []
  const unsafe: string[] = []
  for (const column of table.columns) {
    const held = found.get(column.name)
    const name = sql.name(column.name)
    const fallback = objects.defaults.get(column.name)
    if (held === undefined) {
      // NOT NULL would need a value for the rows that are there; they get the source's in the copy that follows
      safe.push(
        `ADD COLUMN ${name} ${column.type}${column.collateC ? ' COLLATE "C"' : ''}${fallback === undefined ? '' : ` DEFAULT ${fallback}`}`,
      )
      continue
    }
    if (!holds(held.type, column.type)) {
      const change = `ALTER COLUMN ${name} TYPE ${column.type} USING ${name}::${column.type}`
      if (holds(column.type, held.type)) safe.push(change)
      else unsafe.push(change)
    }
    if (held.generated) unsafe.push(`ALTER COLUMN ${name} SET GENERATED BY DEFAULT`)
    if (held.filled && !column.notNull) safe.push(`ALTER COLUMN ${name} DROP NOT NULL`)
  }
  return { safe, unsafe }
}

/** Our key where the source has another one now. A key that fills itself and is not of the source is its owner's. */
async function oldKeys(database: Database, table: TableMapping): Promise<string[]> {
  const key = table.key?.columns.map(({ column }) => column.name) ?? []
  return database.transaction(async (session) => {
    const { rows } = await session.raw<{ name: string; columns: string[]; foreign: boolean }>(
      `SELECT k.conname AS name, array_agg(a.attname::text ORDER BY c.o) AS columns,
         bool_or((a.atthasdef OR a.attidentity <> '') AND a.attname::text <> ALL ($3)) AS foreign
       FROM pg_constraint k, unnest(k.conkey) WITH ORDINALITY c(n, o), pg_attribute a
       WHERE k.conrelid = $1::regclass AND k.conname = ANY ($2) AND k.contype IN ('p', 'u') AND a.attrelid = k.conrelid AND a.attnum = c.n GROUP BY 1`,
      [
        sql.tableName(database.settings.schema, table),
        [keyName(table), otherKeyName(table)],
        table.columns.map((column) => column.name),
      ],
    )
    return rows.filter((row) => !row.foreign && row.columns.join() !== key.join()).map((row) => row.name)
  })
}

/** True when a column of type `found` holds every value of type `wanted`; both as format_type() prints them. */
export function holds(found: string, wanted: string): boolean {
  if (found === wanted) return true
  const has = parsed(found)
  const needs = parsed(wanted)
  if (has.base !== needs.base) return holdsOther(has, needs, wanted)
  if (!GROWING.has(has.base)) return false
  if (has.sizes.length === 0) return true
  if (needs.sizes.length === 0) return false
  const [size = 0, scale = 0] = has.sizes
  const [least = 0, leastScale = 0] = needs.sizes
  return scale >= leastScale && size - scale >= least - leastScale
}

function holdsOther(has: ParsedType, needs: ParsedType, wanted: string): boolean {
  if (needs.base === 'character varying') return has.base === 'text'
  const digits = INTEGER_DIGITS[wanted]
  if (has.base === 'numeric' && digits !== undefined) {
    const [size, scale = 0] = has.sizes
    return size === undefined || size - scale >= digits
  }
  return WIDER[wanted]?.includes(has.base) ?? false
}

interface ParsedType {
  readonly base: string
  readonly sizes: readonly number[]
}

/** Types that hold more with a greater number in brackets, and most without one. */
const GROWING = new Set([
  'character varying',
  'numeric',
  'timestamp without time zone',
  'timestamp with time zone',
  'time without time zone',
  'interval',
])
const INTEGER_DIGITS: Readonly<Record<string, number>> = { smallint: 5, integer: 10, bigint: 19 }

/** `timestamp(3) with time zone` -> `timestamp with time zone`, [3]. */
function parsed(type: string): ParsedType {
  const match = /^([^(]*)\(([\d,]+)\)(.*)$/.exec(type)
  const [, head = '', sizes = '', tail = ''] = match ?? []
  return match ? { base: head + tail, sizes: sizes.split(',').map(Number) } : { base: type, sizes: [] }
}

/** Columns, defaults, comments and checks; indexes come after the data. A table that stands is left as it is. */
export async function createTable(database: Database, table: TableMapping, objects: TableObjects): Promise<void> {
  if (await tableExists(database, table)) return
  const { schema } = database.settings
  await database.transaction(async (session) => {
    const sequence = objects.sequence && (await freeSequence(session, schema, objects.sequence))
    for (const statement of tableStatements(schema, table, { ...objects, sequence })) await session.raw(statement)
  })
}

/** As PostgreSQL does for an identity: where something else of the schema has the name, another one. */
async function freeSequence(session: Session, schema: string, sequence: Sequence): Promise<Sequence> {
  for (let name = sequence.name, at = 1; ; name = sql.shortName(`${sequence.name}${at++}`)) {
    const { rows } = await session.raw<{ taken: boolean }>('SELECT to_regclass($1) IS NOT NULL AS taken', [
      sql.tableName(schema, { name }),
    ])
    if (!rows[0]?.taken) return { ...sequence, name }
  }
}
