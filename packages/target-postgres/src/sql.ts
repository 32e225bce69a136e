import type { KeyColumn, TableMapping } from '@mylab-sync/core'
import { createHash } from 'node:crypto'

/** A quoted identifier. */
export function name(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}

/** A quoted string constant. */
export function text(value: string): string {
  return `${value.includes('\\') ? ' E' : ''}'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

export function columnList(columns: readonly { readonly name: string }[]): string {
  return columns.map((column) => name(column.name)).join(', ')
}

/** Names of ours over 63 bytes end in a hash of the whole, as TYPES section 1 has it. */
export function shortName(wanted: string): string {
  if (Buffer.byteLength(wanted) <= 63) return wanted
  let head = ''
  for (const character of wanted) {
    if (Buffer.byteLength(head + character) > 55) break
    head += character
  }
  return head + createHash('sha256').update(wanted).digest('hex').slice(0, 8)
}

/** Target columns of a key, in its order. */
export function keyColumns(keys: readonly KeyColumn[]): { name: string; castType: string }[] {
  return keys.map(({ column }) => ({ name: column.name, castType: column.castType }))
}

/** `unnest` of one text array a column, as a derived table `u(c0, c1, ..)`. */
export function unnested(count: number): string {
  const arrays = Array.from({ length: count }, (_, at) => `$${at + 1}::text[]`)
  const names = Array.from({ length: count }, (_, at) => `c${at}`)
  return `unnest(${arrays.join(', ')}) AS u(${names.join(', ')})`
}

export function tableName(schema: string, table: Pick<TableMapping, 'name'>): string {
  return `${name(schema)}.${name(table.name)}`
}
