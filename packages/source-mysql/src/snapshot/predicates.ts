import type { KeyColumn, KeyMapping, KeyRange, RowKey, TableMapping } from '@mylab-sync/core'
import { literalSql, tokens } from '../capture/token.js'
import * as sql from '../sql.js'

const column = (key: KeyColumn): string => sql.name(key.column.source.name)

type Operator = '>' | '>=' | '<' | '<='

/** An ENUM's order by number is no range to the servers, a list of its numbers is; 0 is the error value. */
function comparison(key: KeyColumn, operator: Operator, token: string): string {
  const literal = literalSql(key, token)
  const { dataType, members } = key.column.source
  if (dataType !== 'enum' || members === null || key.rule !== 'integer') return `${column(key)} ${operator} ${literal}`
  const bound = Number(token)
  const inside = (index: number): boolean =>
    (operator.startsWith('>') ? index > bound : index < bound) || (operator.endsWith('=') && index === bound)
  const indexes = Array.from({ length: members.length + 1 }, (_, index) => index).filter(inside)
  return indexes.length === 0 ? 'FALSE' : `${column(key)} IN (${indexes.join(', ')})`
}

/**
 * Keys beyond a bound. The outermost comparison is on the first column alone and implied by the rest: that is what a server can look up.
 */
function beyond(key: KeyMapping, bound: RowKey, operator: '>' | '<='): string {
  const strict = operator === '<=' ? '<' : '>'
  const parts = tokens(key, bound)
  const step = (at: number): string => {
    const part = key.columns[at]
    if (part === undefined) return 'FALSE'
    const compare = (sign: Operator): string => comparison(part, sign, parts[at] ?? '')
    if (at === key.columns.length - 1) return compare(operator)
    return `(${compare(strict === '>' ? '>=' : '<=')} AND (${compare(strict)} OR ${step(at + 1)}))`
  }
  return step(0)
}

/** lower < key <= upper, in the source's own order. */
export function rangeSql(key: KeyMapping, range: KeyRange): string {
  const conditions: string[] = []
  if (range.lower !== null) conditions.push(beyond(key, range.lower, '>'))
  if (range.upper !== null) conditions.push(beyond(key, range.upper, '<='))
  return conditions.length === 0 ? 'TRUE' : conditions.join(' AND ')
}

/** `columns` equal one of these lists of tokens, which are written by the rules of `rules`: the same columns, or the parent's. */
export function inSql(
  columns: readonly KeyColumn[],
  rules: readonly KeyColumn[],
  lists: readonly (readonly string[])[],
): string {
  if (lists.length === 0) return 'FALSE'
  const rows = lists.map((list) => rules.map((rule, at) => literalSql(rule, list[at] ?? '')))
  const [only] = columns
  if (only !== undefined && columns.length === 1)
    return `${column(only)} IN (${rows.map((row) => row.join()).join(', ')})`
  return `(${columns.map(column).join(', ')}) IN (${rows.map((row) => `(${row.join(', ')})`).join(', ')})`
}

export function keysSql(key: KeyMapping, keys: readonly RowKey[]): string {
  return inSql(
    key.columns,
    key.columns,
    keys.map((rowKey) => tokens(key, rowKey)),
  )
}

/** The index of the key, so that a stream in key order never sorts the table first. None where the server hides it: naming one fails (1176). */
export function indexHint(table: TableMapping): string {
  const columns = table.key?.columns.map((key) => key.column.source.name)
  if (columns === undefined) return ''
  const same = (names: readonly (string | null)[]): boolean =>
    names.length === columns.length && names.every((each, at) => each === columns[at])
  if (table.source.primaryKey !== null && same(table.source.primaryKey)) return ' FORCE INDEX (PRIMARY)'
  const index = table.source.indexes.find(
    (each) =>
      each.unique &&
      each.visible &&
      each.kind === 'btree' &&
      each.parts.every((part) => part.prefix === null) &&
      same(each.parts.map((part) => part.column)),
  )
  return index === undefined ? '' : ` FORCE INDEX (${sql.name(index.name)})`
}
