import type { ColumnMapping, Edge, KeyRange, RowKey, TableMapping } from '@mylab-sync/core'
import { sourceError } from '../connection/errors.js'
import { keySql } from '../capture/token.js'
import * as sql from '../sql.js'
import { columnByColumnSql, indexHint, inSql, keysSql, rangeSql } from './predicates.js'

/** From each end. */
const SAMPLED_KEYS = 5

/** The SELECT expression of a column's read rule. */
export function readSql(mapping: ColumnMapping): string {
  const column = sql.name(mapping.source.name)
  switch (mapping.read) {
    case 'plain':
      return column
    case 'number':
      return `${column} + 0`
    case 'double':
      return `${column} * 1e0`
    case 'bits':
      return `LPAD(BIN(${column} + 0), ${sql.integer(mapping.source.precision ?? 1)}, '0')`
    case 'enum':
      return `CONCAT(CAST(${column} AS UNSIGNED), ':', ${column})`
  }
}

/** Uses aliases, since the driver refuses results with columns named like `__proto__`. */
function selectList(table: TableMapping, columns: readonly ColumnMapping[], keyed = true): string {
  const key = keyed ? [`${keySql(table.key, '')} AS k`] : []
  return [...key, ...columns.map((column, at) => `${readSql(column)} AS v${at}`)].join(', ')
}

/**
 * The order of the key's index. Columns are qualified, since a bare name would mean an alias first. For a key over a prefix the
 * server sorts, and MySQL sorts a SET of 64 members as a signed number, unlike the comparisons of ranges.
 */
function orderBy(table: TableMapping): string {
  return ordered(table).join(', ')
}

function ordered(table: TableMapping): string[] {
  const isSorted = isOverPrefix(table)
  return keyOf(table).columns.map(({ column: { source } }) => {
    const column = `${sql.name(table.source.name)}.${sql.name(source.name)}`
    return isSorted && source.dataType === 'set' ? `CAST(${column} AS UNSIGNED)` : column
  })
}

function isOverPrefix(table: TableMapping): boolean {
  return keyOf(table).columns.some(({ column }) => /text$|blob$/.test(column.source.dataType))
}

function from(table: TableMapping): string {
  return `FROM ${sql.name(table.source.name)}${indexHint(table)}`
}

export function selectRange(table: TableMapping, range: KeyRange, keyed = true): string {
  const select = `SELECT ${selectList(table, table.columns, keyed)} ${from(table)}`
  return table.key === null ? select : `${select} WHERE ${rangeSql(table.key, range)} ORDER BY ${orderBy(table)}`
}

export function selectKeys(
  table: TableMapping,
  keys: readonly RowKey[],
  columns: readonly ColumnMapping[] = table.columns,
): string {
  return `SELECT ${selectList(table, columns)} ${from(table)} WHERE ${keysSql(keyOf(table), keys)}`
}

/**
 * One statement per end: in a UNION MariaDB truncates a number with shown digits to its column's width, without room for the
 * decimal point (10.11). A key over a prefix has no index in its own order, so the first rows read are used.
 */
export function selectSamples(table: TableMapping): string[] {
  const select = `SELECT ${keySql(table.key, '')} AS k ${from(table)}`
  if (isOverPrefix(table)) return [`${select} LIMIT ${SAMPLED_KEYS}`]
  const inOrder = (way: string): string =>
    ordered(table)
      .map((column) => `${column} ${way}`)
      .join(', ')
  return ['ASC', 'DESC'].map((way) => `${select} ORDER BY ${inOrder(way)} LIMIT ${SAMPLED_KEYS}`)
}

export function selectColumnByColumn(table: TableMapping, keys: readonly RowKey[]): string {
  return `SELECT ${keySql(table.key, '')} AS k ${from(table)} WHERE ${columnByColumnSql(keyOf(table), keys)}`
}

/** Without an index hint, so that the server uses the foreign key's index. */
export function selectChildKeys(child: TableMapping, edge: Edge, parents: readonly (readonly string[])[]): string {
  const condition = inSql(edge.childKey.columns, edge.parentKey.columns, parents)
  return `SELECT ${child.key === null ? 'DISTINCT ' : ''}${keySql(child.key, '')} AS k FROM ${sql.name(child.source.name)} WHERE ${condition}`
}

export function selectKeyAfter(table: TableMapping, after: RowKey | null, rows: number): string {
  const key = keyOf(table)
  const condition = rangeSql(key, { lower: after, upper: null })
  return `SELECT ${keySql(key, '')} AS k ${from(table)} WHERE ${condition} ORDER BY ${orderBy(table)} LIMIT 1 OFFSET ${sql.integer(Math.max(0, rows - 1))}`
}

export function keyOf(table: TableMapping): NonNullable<TableMapping['key']> {
  if (table.key === null) throw sourceError('internal', `table ${table.source.name} has no key to read by`)
  return table.key
}
