import type { TableMapping, TableObjects } from '@mylab-sync/core'
import type { Database } from '../connection/database.js'
import * as sql from '../sql.js'

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

/** TRUNCATE, or DELETE where a foreign key of another table forbids that. */
export async function emptyTable(database: Database, table: TableMapping): Promise<void> {
  const target = sql.tableName(database.settings.schema, table)
  await database.transaction(async (session) => {
    const { rows } = await session.raw<{ referenced: boolean }>(
      "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE contype = 'f' AND confrelid = $1::regclass AND conrelid <> confrelid) AS referenced",
      [target],
    )
    if (rows[0]?.referenced) await session.build(`DELETE FROM ${target}`)
    else await session.raw(`TRUNCATE ${target}`)
  })
}

/** What an existing table lacks to hold the mapping's values. */
export async function differences(database: Database, table: TableMapping): Promise<string[]> {
  const rows = await database.transaction(async (session) => {
    const result = await session.raw<{
      name: string
      type: string
      required: boolean
      filled: boolean
      generated: boolean
    }>(
      `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS required, a.attnotnull AS filled, a.attidentity = 'a' AS generated
       FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped`,
      [sql.tableName(database.settings.schema, table)],
    )
    return result.rows
  })
  const found = new Map(rows.map((row) => [row.name, row]))
  const lacking = table.columns.flatMap((column) => {
    const held = found.get(column.name)
    if (held === undefined) return [`column ${column.name} is missing`]
    if (!holds(held.type, column.type)) return [`column ${column.name} is ${held.type}, not ${column.type}`]
    if (held.generated) return [`column ${column.name} is GENERATED ALWAYS and takes no value of the source`]
    return held.filled && !column.notNull ? [`column ${column.name} is NOT NULL and takes no NULL of the source`] : []
  })
  const ours = new Set(table.columns.map((column) => column.name))
  const foreign = rows
    .filter((row) => row.required && !ours.has(row.name))
    .map((row) => `column ${row.name} is NOT NULL and not in the source`)
  return [...lacking, ...foreign]
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
  const target = sql.tableName(database.settings.schema, table)
  const columns = table.columns.map((column) => {
    const identity = objects.identity === column.name ? ' GENERATED BY DEFAULT AS IDENTITY' : ''
    const fallback = identity === '' ? objects.defaults.get(column.name) : undefined
    return `${sql.name(column.name)} ${column.type}${column.collateC ? ' COLLATE "C"' : ''}${fallback === undefined ? '' : ` DEFAULT ${fallback}`}${column.notNull ? ' NOT NULL' : ''}${identity}`
  })
  const comments = table.columns
    .filter((column) => column.source.comment !== '')
    .map((column) => `COMMENT ON COLUMN ${target}.${sql.name(column.name)} IS ${sql.text(column.source.comment)}`)
  if (table.source.comment !== '') comments.push(`COMMENT ON TABLE ${target} IS ${sql.text(table.source.comment)}`)
  const checks = objects.checks.map(
    (check) => `ALTER TABLE ${target} ADD CONSTRAINT ${sql.name(check.name)} CHECK (${check.expression}) NOT VALID`,
  )
  if (await tableExists(database, table)) return
  await database.transaction(async (session) => {
    await session.raw(`CREATE TABLE ${target} (${columns.join(', ')})`)
    for (const statement of [...comments, ...checks]) await session.raw(statement)
  })
}
