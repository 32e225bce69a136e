import type { KeyColumn, KeyMapping, KeyRange, RowKey, TableMapping } from '@mylab-sync/core'
import { digitsLiteral, digitsWidth, literalSql, tokens, tokenSql } from '../capture/token.js'
import * as sql from '../sql.js'

const column = (key: KeyColumn): string => sql.name(key.column.source.name)

type Operator = '>' | '>=' | '<' | '<='

/**
 * The servers use no index for a range over an ENUM's numbers, but do for a list of them; 0 is the error value. The same holds
 * for a SET, which they also compare as a signed number although its index orders it unsigned.
 */
function comparison(key: KeyColumn, operator: Operator, token: string): string {
  if (key.rule === 'digits') return digitsComparison(key, operator, token)
  const literal = literalSql(key, token)
  const { dataType, members } = key.column.source
  if (dataType === 'set') return `${tokenSql(key, '')} ${operator} ${token}`
  if (dataType !== 'enum' || members === null) return `${column(key)} ${operator} ${literal}`
  const bound = Number(token)
  const inside = (index: number): boolean =>
    (operator.startsWith('>') ? index > bound : index < bound) || (operator.endsWith('=') && index === bound)
  const indexes = Array.from({ length: members.length + 1 }, (_, index) => index).filter(inside)
  return indexes.length === 0 ? 'FALSE' : `${column(key)} IN (${indexes.join(', ')})`
}

/**
 * Orders rows by the stored number but distinguishes them by the shown one: different bits may show the same number, and a
 * server rounds a bound before it uses the index. The first condition, safely away from the bound, is the one for the index.
 */
function digitsComparison(key: KeyColumn, operator: Operator, token: string): string {
  const [name, bound, same] = [column(key), literalSql(key, token), `${tokenSql(key, '')} = ${sql.text(token)}`]
  const width = digitsWidth(key, token)
  switch (operator) {
    case '>':
      return `(${name} > ${bound} AND NOT ${same})`
    case '<':
      return `(${name} < ${bound} AND NOT ${same})`
    case '>=':
      return `(${name} >= ${digitsLiteral(token, -width)} AND (${name} >= ${bound} OR ${same}))`
    case '<=':
      return `(${name} <= ${digitsLiteral(token, width)} AND (${name} <= ${bound} OR ${same}))`
  }
}

/**
 * Keys beyond a bound. The outermost comparison, on the first column alone, is implied by the rest; a server can use it on the index.
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

/** lower < key <= upper, in the source's order. */
export function rangeSql(key: KeyMapping, range: KeyRange): string {
  const conditions: string[] = []
  if (range.lower !== null) conditions.push(beyond(key, range.lower, '>'))
  if (range.upper !== null) conditions.push(beyond(key, range.upper, '<='))
  return conditions.length === 0 ? 'TRUE' : conditions.join(' AND ')
}

/** A column of a look-up, and the column whose rules its tokens follow: itself, or the one it references. */
interface LookUp {
  readonly key: KeyColumn
  readonly rule: KeyColumn
  readonly at: number
}

/**
 * Rows whose `columns` equal one of these token lists, written by the rules of `rules`: the same columns, or the parent's.
 * MySQL finds nothing by a row constructor with the number of an ENUM or SET (9.7), and shown digits stand for several values.
 * Such columns are compared alone, with a list of the other columns per value. For 1,000 keys among 100,000 rows this takes as
 * long as one list if the values are few (5 ms), and four times as long if each key has its own (24 to 29 ms).
 */
export function inSql(
  columns: readonly KeyColumn[],
  rules: readonly KeyColumn[],
  lists: readonly (readonly string[])[],
): string {
  if (lists.length === 0) return 'FALSE'
  const lookUps = columns.map((key, at): LookUp => ({ key, rule: rules[at] ?? key, at }))
  const plain = lookUps.filter(({ rule }) => rule.column.source.members === null && rule.rule !== 'digits')
  const listed = plain.length > 0 ? plain : lookUps.filter(({ rule }) => rule.rule !== 'digits').slice(0, 1)
  const apart = lookUps.filter((lookUp) => !listed.includes(lookUp))
  if (apart.length === 0) return listSql(listed, lists)
  const groups = new Map<string, (readonly string[])[]>()
  for (const list of lists) {
    const condition = apart.map(({ key, rule, at }) => equalSql(key, rule, list[at] ?? '')).join(' AND ')
    const group = groups.get(condition)
    if (group) group.push(list)
    else groups.set(condition, [list])
  }
  const alternatives = [...groups].map(([condition, group]) =>
    listed.length === 0 ? condition : `${condition} AND ${listSql(listed, group)}`,
  )
  return `(${alternatives.map((alternative) => `(${alternative})`).join(' OR ')})`
}

function listSql(columns: readonly LookUp[], lists: readonly (readonly string[])[]): string {
  const rows = lists.map((list) => columns.map(({ rule, at }) => literalSql(rule, list[at] ?? '')).join(', '))
  const names = columns.map(({ key }) => column(key)).join(', ')
  if (columns.length === 1) return `${names} IN (${rows.join(', ')})`
  return `(${names}) IN (${rows.map((row) => `(${row})`).join(', ')})`
}

/** Compares shown digits as `digitsComparison` does. */
function equalSql(key: KeyColumn, rule: KeyColumn, token: string): string {
  if (rule.rule !== 'digits') return `${column(key)} = ${literalSql(rule, token)}`
  literalSql(rule, token)
  const width = digitsWidth(key, token)
  const [lower, upper] = [digitsLiteral(token, -width), digitsLiteral(token, width)]
  return `${column(key)} BETWEEN ${lower} AND ${upper} AND ${tokenSql(key, '')} = ${sql.text(token)}`
}

export function keysSql(key: KeyMapping, keys: readonly RowKey[]): string {
  return inSql(
    key.columns,
    key.columns,
    keys.map((rowKey) => tokens(key, rowKey)),
  )
}

/** As `keysSql` in another form: without lists and row constructors, each value cast to its column's type if CAST has a name for it. */
export function columnByColumnSql(key: KeyMapping, keys: readonly RowKey[]): string {
  const alternatives = keys.map((rowKey) => {
    const parts = tokens(key, rowKey)
    return key.columns.map((each, at) => `(${eachSql(each, parts[at] ?? '')})`).join(' AND ')
  })
  return alternatives.map((alternative) => `(${alternative})`).join(' OR ')
}

function eachSql(key: KeyColumn, token: string): string {
  if (key.rule === 'digits') return equalSql(key, key, token)
  const literal = literalSql(key, token)
  const type = castType(key)
  return `${column(key)} <=> ${type === null ? literal : `CAST(${literal} AS ${type})`}`
}

/** Null for integers: MariaDB finds no BIGINT UNSIGNED above 2^63 by a cast value (10.11). */
function castType({ column: { source } }: KeyColumn): string | null {
  switch (source.dataType) {
    case 'date':
      return 'DATE'
    case 'datetime':
    case 'timestamp':
      return `DATETIME(${sql.integer(source.fraction)})`
    case 'time':
      return `TIME(${sql.integer(source.fraction)})`
    case 'decimal':
      return `DECIMAL(${sql.integer(source.precision ?? 10)}, ${sql.integer(source.scale ?? 0)})`
    default:
      return null
  }
}

/** Forces the key's index, so that a stream in key order never sorts the table first. Empty if the server hides the index: naming it fails (1176). */
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
