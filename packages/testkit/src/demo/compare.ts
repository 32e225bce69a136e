import { createHash } from 'node:crypto'
import type mysql from 'mysql2/promise'
import type pg from 'pg'

export interface Comparison {
  readonly table: string
  readonly source: number
  readonly target: number
  readonly different: number
}

interface Column {
  readonly name: string
  readonly type: string
  readonly definition: string
  readonly json: boolean
}

/**
 * Compares all rows of both databases as multisets of canonical texts. Shares no code with the product: it reads both sides
 * with its own SQL and normalises values by its own rules, which suffice for the sample database.
 */
export async function compareEverything(source: mysql.Connection, target: pg.Client): Promise<Comparison[]> {
  await source.query("SET SESSION time_zone = '+00:00', sql_mode = ''")
  await source.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ')
  await source.query('START TRANSACTION WITH CONSISTENT SNAPSHOT')
  await target.query(
    "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'",
  )
  const results: Comparison[] = []
  for (const table of await tableNames(source)) {
    const columns = await columnsOf(source, table)
    results.push(await compareTable({ source, target }, table, columns))
  }
  await source.query('COMMIT')
  await target.query('COMMIT')
  return results
}

async function texts(connection: mysql.Connection, sql: string, values: unknown[] = []): Promise<string[][]> {
  const [rows] = await connection.query({
    sql,
    values,
    rowsAsArray: true,
    // MySQL reports its JSON as binary
    typeCast: (field, next) =>
      field.type === 'GEOMETRY' ? next() : field.string(field.type === 'JSON' ? 'utf8' : undefined),
  })
  return rows as unknown as string[][]
}

async function tableNames(source: mysql.Connection): Promise<string[]> {
  const rows = await texts(
    source,
    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME NOT IN ('sync_audit_log', 'sync_instance', 'sync_instance_mark') ORDER BY 1",
  )
  return rows.map(([name]) => name ?? '')
}

async function columnsOf(source: mysql.Connection, table: string): Promise<Column[]> {
  // MySQL has a JSON type, MariaDB a CHECK on text. MySQL's CHECKs do not name their table.
  const [version] = await texts(source, 'SELECT VERSION()')
  const checks = /mariadb/i.test(version?.[0] ?? '')
    ? await texts(
        source,
        "SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE() AND TABLE_NAME = ? AND CHECK_CLAUSE LIKE 'json_valid(%'",
        [table],
      )
    : []
  const rows = await texts(
    source,
    'SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION',
    [table],
  )
  return rows.map(([name = '', type = '', definition = '']) => ({
    name,
    type,
    definition,
    json: type === 'json' || checks.some(([clause]) => clause?.includes(`\`${name}\``)),
  }))
}

async function compareTable(
  at: { source: mysql.Connection; target: pg.Client },
  table: string,
  columns: readonly Column[],
): Promise<Comparison> {
  const my = (name: string): string => `\`${name.replaceAll('`', '``')}\``
  const post = (name: string): string => `"${name.replaceAll('"', '""')}"`
  const read = columns.map((c) => {
    if (/blob|binary/.test(c.type)) return `LOWER(HEX(${my(c.name)}))`
    if (c.type === 'bit') return `BIN(${my(c.name)} + 0)`
    if (c.type === 'float') return `${my(c.name)} * 1e0`
    return my(c.name)
  })
  const show = columns.map((c) =>
    /blob|binary/.test(c.type) ? `encode(${post(c.name)}, 'hex')` : `${post(c.name)}::text`,
  )
  const mine = new Map<string, number>()

  const count = (rows: readonly (readonly (string | null)[])[], side: 'source' | 'target', step: number): void => {
    for (const row of rows) {
      const text = row.map((value, index) => canonical(value, columns[index], side)).join('\u0001')
      const digest = createHash('sha1').update(text).digest('base64')
      const left = (mine.get(digest) ?? 0) + step
      if (left === 0) mine.delete(digest)
      else mine.set(digest, left)
    }
  }
  const sourceRows = await texts(at.source, `SELECT ${read.join(', ')} FROM ${my(table)}`)
  count(sourceRows, 'source', 1)
  const { rows: targetRows } = await at.target.query<(string | null)[]>({
    text: `SELECT ${show.join(', ')} FROM ${post(table)}`,
    rowMode: 'array',
  })
  count(targetRows, 'target', -1)
  const different = [...mine.values()].reduce((sum, n) => sum + Math.abs(n), 0)
  return { table, source: sourceRows.length, target: targetRows.length, different }
}

function canonical(value: string | null, column: Column | undefined, side: 'source' | 'target'): string {
  if (value === null || !column) return '\u0002'
  if (column.json) return JSON.stringify(sorted(JSON.parse(value)))
  switch (column.type) {
    case 'float':
      return String(Math.fround(Number(value)))
    case 'year':
    case 'double':
      return String(Number(value))
    case 'bit':
      return value.replace(/^0+(?=.)/, '')
    case 'set':
      return side === 'source' ? `{${value}}` : value
    case 'time':
      return value.replace(/\.?0+$/, (tail) => (tail.includes('.') ? '' : tail))
    case 'date':
    case 'datetime':
    case 'timestamp':
      return side === 'source' ? dateText(value, column) : value.replace(/\+00$/, '')
    default:
      return side === 'source' ? value.replaceAll('\0', '') : value
  }
}

/** Maps unreal dates to NULL or sentinels as in TYPES section 2, for nullable and NOT NULL columns. */
function dateText(value: string, column: Column): string {
  const unreal = value.slice(5, 7) === '00' || value.slice(8, 10) === '00'
  if (unreal) return column.name === 'lahir' ? '0001-01-01' : '\u0002'
  return value.includes('.') ? value.replace(/\.?0+$/, '') : value
}

function sorted(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('\0', '')
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([name, inner]) => [name, sorted(inner)]))
}
