import type { KeyColumn, KeyMapping, RowKey, TokenRule } from '@mylab-sync/core'
import { sourceError } from '../connection/errors.js'
import * as sql from '../sql.js'

/** The prefix of each column. */
export type Prefix = 'NEW.' | 'OLD.' | ''

/** SQL of one column's token. Every kind is ASCII in the connection's character set and without a comma, so joining never mixes collations. */
export function tokenSql(key: KeyColumn, prefix: Prefix): string {
  const { source } = key.column
  const column = prefix + sql.name(source.name)
  switch (key.rule) {
    case 'integer':
      // Arithmetic turns a SET into a DOUBLE, which loses members after the 53rd.
      return source.dataType === 'set' || source.dataType === 'enum' ? `CAST(${column} AS UNSIGNED)` : `(${column} + 0)`
    case 'decimal':
      return source.zerofill ? `(${column} + 0)` : `CAST(${column} AS CHAR)`
    case 'bits':
      // The bytes of a point's x are those of the double; adding 0 turns -0 into 0.
      return `SUBSTR(HEX(POINT(${column} + 0e0, 0)), 19, 16)`
    case 'digits':
      return digitsSql(column, source.scale ?? 0)
    case 'temporal':
    case 'quoted':
      return `CAST(${column} AS CHAR)`
    case 'timestamp':
      return timestampSql(column, source.fraction)
    case 'text':
    case 'binary':
      return `HEX(${column})`
  }
}

/** Bits that no statement can store now but that ALTER TABLE keeps may be shown as -0.00. */
function digitsSql(column: string, digits: number): string {
  const zero = digits === 0 ? '0' : `0.${'0'.repeat(digits)}`
  const shown = `CAST(${column} AS CHAR)`
  return `IF(${shown} = '-${zero}', '${zero}', ${shown})`
}

/**
 * UNIX_TIMESTAMP of the bare column reads the stored instant, whatever the session's time zone; CONVERT_TZ would read local
 * text, in which the two hours at the end of daylight saving time coincide. The zero timestamp gives 0 (MySQL) or NULL (MariaDB).
 */
function timestampSql(column: string, fraction: number): string {
  const digits = fraction > 0 ? `(${fraction})` : ''
  const zero = `0000-00-00 00:00:00${fraction > 0 ? `.${'0'.repeat(fraction)}` : ''}`
  const instant = `CAST('1970-01-01 00:00:00' AS DATETIME${digits}) + INTERVAL UNIX_TIMESTAMP(${column}) SECOND`
  return `IF(COALESCE(UNIX_TIMESTAMP(${column}), 0) = 0, ${sql.text(zero)}, CAST(CAST(${instant} AS DATETIME${digits}) AS CHAR))`
}

/** SQL of a row key. */
export function keySql(key: KeyMapping | null, prefix: Prefix): string {
  if (key === null) return "''"
  return `CONCAT_WS(',', ${key.columns.map((column) => tokenSql(column, prefix)).join(', ')})`
}

const SHAPES: Readonly<Record<TokenRule, RegExp>> = {
  integer: /^-?\d+$/,
  decimal: /^-?\d+(\.\d+)?$/,
  bits: /^[0-9A-F]{16}$/i,
  digits: /^-?\d+(\.\d+)?$/,
  temporal: /^-?[\d: .-]+$/,
  timestamp: /^[\d: .-]+$/,
  text: /^([0-9A-F]{2})*$/i,
  binary: /^([0-9A-F]{2})*$/i,
  quoted: /^[0-9A-F:.-]+$/i,
}

/** The literal that equals the column's value and can use its index. Other accounts may write the tables that tokens come from, so each is validated. */
export function literalSql(key: KeyColumn, token: string): string {
  const { source } = key.column
  if (!SHAPES[key.rule].test(token)) {
    throw sourceError('internal', `a key of column ${source.name} does not have the form ${key.rule}`)
  }
  switch (key.rule) {
    case 'integer':
      // The servers compare a SET of 64 members as a signed number.
      return source.dataType === 'set' ? String(BigInt.asIntN(64, BigInt(token))) : token
    case 'decimal':
      return token
    case 'bits':
      return Buffer.from(token, 'hex').readDoubleLE().toExponential()
    case 'digits':
      return digitsLiteral(token)
    case 'temporal':
    case 'timestamp':
    case 'quoted':
      return sql.text(token)
    case 'text':
      return `_${charset(source.charset)} X'${token}'`
    case 'binary':
      return `X'${token}'`
  }
}

/** A number in its shown digits, or one that differs by `away` units of the last digit. */
export function digitsLiteral(token: string, away = 0n): string {
  const [, fraction = ''] = token.split('.')
  return `${unitsOf(token) + away}e-${fraction.length}`
}

/**
 * By how many units of the last digit a shown number certainly differs from one shown otherwise: one, or as many as its type
 * skips. MySQL clamps a bound to the type's nominal limit, but a FLOAT's bits may lie beyond that.
 */
export function digitsWidth(key: KeyColumn, token: string): bigint {
  const units = unitsOf(token)
  const bits = key.column.source.dataType === 'float' ? 22n : 51n
  return 1n + ((units < 0n ? -units : units) >> bits)
}

function unitsOf(token: string): bigint {
  return BigInt(token.replace('.', ''))
}

function charset(value: string | null): string {
  if (value === null || !/^\w+$/.test(value)) throw sourceError('internal', 'a text key column without a character set')
  return value
}

/** The tokens of a row key, as many as the key has columns. */
export function tokens(key: KeyMapping, rowKey: RowKey): string[] {
  const parts = rowKey.split(',')
  if (parts.length !== key.columns.length)
    throw sourceError('internal', 'a row key does not have as many columns as the key of its table')
  return parts
}
