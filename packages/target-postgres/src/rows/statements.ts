import {
  type ColumnMapping,
  type KeyColumn,
  type RowKey,
  type TableMapping,
  type TargetRow,
  ValueRefused,
} from '@mylab-sync/core'
import * as sql from '../sql.js'

/** One text array per column. */
export function columnArrays(rows: readonly TargetRow[], columns: readonly number[]): (string | null)[][] {
  return columns.map((at) => rows.map((row) => row.values[at]?.toString('utf8') ?? null))
}

export function bytesOf(rows: readonly TargetRow[]): number {
  let bytes = 0
  for (const { values } of rows) for (const value of values) bytes += value?.length ?? 0
  return bytes
}

/** INSERT by unnest. Values are cast by types without length, so the column's own length check refuses values that are too long. */
export function insertSelect(into: string, table: TableMapping, tail: string): string {
  const values = table.columns.map((column, at) => `u.c${at}::${column.castType}`).join(', ')
  return `INSERT INTO ${into} AS t (${sql.columnList(table.columns)}) SELECT ${values} FROM ${sql.unnested(table.columns.length)}${tail}`
}

/** ON CONFLICT clause that writes only rows that differ, so an unchanged row costs no dead tuple. */
export function upsertTail(table: TableMapping): string {
  const keys = new Set((table.key?.columns ?? []).map(({ column }) => column.name))
  const target = [...keys].map(sql.name).join(', ')
  const others = table.columns.filter((column) => !keys.has(column.name))
  if (others.length === 0) return ` ON CONFLICT (${target}) DO NOTHING`
  const set = others.map((column) => `${sql.name(column.name)} = EXCLUDED.${sql.name(column.name)}`).join(', ')
  return ` ON CONFLICT (${target}) DO UPDATE SET ${set} WHERE (${compared(others, 't')}) IS DISTINCT FROM (${compared(others, 'EXCLUDED')})`
}

/** Types with different values that compare equal: 10.0 and 10 in jsonb, -0 and 0, a day and 24 hours. json has no equality. */
const BY_TEXT = /^(json|jsonb|real|double precision|interval|real\[\])/
const TEXT = /^(text|character varying)/

/** These columns in a form that compares equal only for identical values: a collation may equate different texts. */
export function compared(columns: TableMapping['columns'], prefix: string): string {
  return columns.map((column) => exactly(column, `${prefix}.${sql.name(column.name)}`)).join(', ')
}

/** A value of this column in a form that compares equal only for identical values. */
export function exactly({ type }: Pick<ColumnMapping, 'type'>, value: string): string {
  return `${value}${BY_TEXT.test(type) ? '::text' : TEXT.test(type) ? ' COLLATE "C"' : ''}`
}

/** Joins rows `t` and `s` with the same key. */
export function keyMatch(table: TableMapping): string {
  return sql
    .keyColumns(table.key?.columns ?? [])
    .map(({ name }) => `t.${sql.name(name)} = s.${sql.name(name)}`)
    .join(' AND ')
}

/** The target's texts of row keys, one array per column. Skips keys that the target cannot hold; null if none is left. */
export function keyArrays(columns: readonly KeyColumn[], keys: readonly RowKey[]): string[][] | null {
  const arrays: string[][] = columns.map(() => [])
  let count = 0
  for (const key of keys) {
    const texts = textsOf(columns, key)
    if (texts === null) continue
    count++
    for (const [at, value] of texts.entries()) arrays[at]?.push(value)
  }
  return count === 0 ? null : arrays
}

function textsOf(columns: readonly KeyColumn[], key: RowKey): string[] | null {
  const tokens = key.split(',')
  try {
    const texts = textsOfKey(columns, key)
    return columns.every(
      (column, at) =>
        isNamedAlone(column, tokens[at], texts[at] ?? '') && isInRange(column.column.castType, texts[at] ?? ''),
    )
      ? texts
      : null
  } catch (error) {
    if (error instanceof ValueRefused) return null
    throw error
  }
}

/** Of two tokens that convert to one text only one addresses the target's row; the other row was refused. */
function isNamedAlone(column: KeyColumn, token: string | undefined, text: string): boolean {
  const isSpelt = column.rule === 'text' || column.column.source.members !== null
  return !isSpelt || column.fromTarget(text) === token
}

const RANGES: Readonly<Record<string, readonly [least: bigint, most: bigint]>> = {
  smallint: [-(2n ** 15n), 2n ** 15n - 1n],
  integer: [-(2n ** 31n), 2n ** 31n - 1n],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
}

/** False for an integer that the type cannot hold, whose cast would fail the whole statement. */
export function isInRange(type: string, text: string): boolean {
  const [least, most] = RANGES[type] ?? []
  if (least === undefined || most === undefined || text.length < 5 || !/^-?\d+$/.test(text)) return true
  const value = BigInt(text)
  return value >= least && value <= most
}

/** The target's texts of a row key. Throws ValueRefused if the target has none. */
export function textsOfKey(columns: readonly KeyColumn[], key: RowKey): string[] {
  const tokens = key.split(',')
  return columns.map((column, at) => column.toTarget(tokens[at] ?? ''))
}

export function keyOfTexts(columns: readonly KeyColumn[], texts: readonly string[]): RowKey {
  return columns.map((column, at) => column.fromTarget(texts[at] ?? '')).join(',')
}

/** INSERT from a stage; `names` becomes a condition of the statement. */
export function insertStaged(
  table: TableMapping,
  { into, stage, tail }: { readonly into: string; readonly stage: string; readonly tail: string },
  names: string,
): string {
  const columns = sql.columnList(table.columns)
  return `INSERT INTO ${into} AS t (${columns}) SELECT ${columns} FROM ${stage} WHERE ${names}${tail}`
}

/** Joins rows `t` with keys given as arrays. */
export function keyOf(columns: readonly KeyColumn[]): string {
  return sql
    .keyColumns(columns)
    .map((column, at) => `t.${sql.name(column.name)} = u.c${at}::${column.castType}`)
    .join(' AND ')
}

/** A whole row as text: equal only for identical rows. */
export function rowImage(table: TableMapping): string {
  return `ROW(${table.columns.map(({ name }) => `${sql.name(name)}::text`).join(', ')})::text`
}
