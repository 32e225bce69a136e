import type { Edge, KeyColumn, TableMapping } from '@mylab-sync/core'
import { quotePg as name } from '@mylab-sync/mapping'

export { quotePg as name, quoteText as text, targetName as shortName } from '@mylab-sync/mapping'

export function columnList(columns: readonly { readonly name: string }[]): string {
  return columns.map((column) => name(column.name)).join(', ')
}

/** Target columns of a key, in key order. */
export function keyColumns(keys: readonly KeyColumn[]): { name: string; castType: string }[] {
  return keys.map(({ column }) => ({ name: column.name, castType: column.castType }))
}

/** `unnest` of one text array per column, as a derived table `u(c0, c1, ..)`. */
export function unnested(count: number): string {
  const arrays = Array.from({ length: count }, (_, at) => `$${at + 1}::text[]`)
  const names = Array.from({ length: count }, (_, at) => `c${at}`)
  return `unnest(${arrays.join(', ')}) AS u(${names.join(', ')})`
}

export function tableName(schema: string, table: { readonly name: string }): string {
  return `${name(schema)}.${name(table.name)}`
}

/** FROM and WHERE that select the children `t`, without NULL in the edge's columns, that match no parent byte for byte. */
export function orphans(
  schema: string,
  edge: Edge,
  tables: { readonly child: TableMapping; readonly parent: TableMapping },
): string {
  const mine = keyColumns(edge.childKey.columns).map((column) => `t.${name(column.name)}`)
  const theirs = keyColumns(edge.parentKey.columns).map((column) => `o.${name(column.name)}`)
  const collate = (at: number): string => (edge.childKey.columns[at]?.rule === 'text' ? ' COLLATE "C"' : '')
  const match = mine.map((column, at) => `${theirs[at]}${collate(at)} = ${column}${collate(at)}`)
  const notNull = mine.map((column) => `${column} IS NOT NULL`)
  return `FROM ${tableName(schema, tables.child)} t WHERE ${notNull.join(' AND ')}
    AND NOT EXISTS (SELECT 1 FROM ${tableName(schema, tables.parent)} o WHERE ${match.join(' AND ')})`
}
