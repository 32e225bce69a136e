import type { KeyColumn, KeyMapping, RowKey, TokenRule } from '@mylab-sync/core'
import { sourceError } from '../connection/errors.js'
import * as sql from '../sql.js'

/** `NEW.`, `OLD.` or the empty text before each column. */
export type Prefix = 'NEW.' | 'OLD.' | ''

/** SQL of one column's token. Every kind is ASCII without a comma in the connection's character set, so joining never mixes collations. */
export function tokenSql(key: KeyColumn, prefix: Prefix): string {
  const { source } = key.column
  const column = prefix + sql.name(source.name)
  switch (key.rule) {
    case 'integer':
      // A SET in arithmetic is a DOUBLE, which loses members beyond the 53rd.
      return source.dataType === 'set' || source.dataType === 'enum' ? `CAST(${column} AS UNSIGNED)` : `(${column} + 0)`
    case 'decimal':
      return source.zerofill ? `(${column} + 0)` : `CAST(${column} AS CHAR)`
    case 'bits':
      // The bytes of a point's x are those of the double; -0 + 0 is 0.
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

/** Bits that no statement stores any more, but ALTER TABLE keeps, may be shown as -0.00. */
function digitsSql(column: string, digits: number): string {
  const zero = digits === 0 ? '0' : `0.${'0'.repeat(digits)}`
  const shown = `CAST(${column} AS CHAR)`
  return `IF(${shown} = '-${zero}', '${zero}', ${shown})`
}

/**
 * UNIX_TIMESTAMP of the bare column reads the stored instant, whatever the session's time zone; CONVERT_TZ would see local text, in which
 * the two hours at the end of summer time are one. The zero timestamp gives 0 (MySQL) or NULL (MariaDB).
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

/** The literal that equals the column's value, comparable through its index. Tokens come from tables that others may write: each is checked. */
export function literalSql(key: KeyColumn, token: string): string {
  const { source } = key.column
  if (!SHAPES[key.rule].test(token)) {
    throw sourceError('internal', `a key of column ${source.name} is not of the form ${key.rule}`)
  }
  switch (key.rule) {
    case 'integer':
      // The servers take a SET of 64 members for a signed number where they compare it.
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

/** A number with shown digits, or one that is so many of its last digit away. */
export function digitsLiteral(token: string, away = 0n): string {
  const [, fraction = ''] = token.split('.')
  return `${unitsOf(token) + away}e-${fraction.length}`
}

/**
 * How many units of the last digit lie safely between a shown number and whatever is shown otherwise: one, or as many as its
 * type skips. MySQL takes a bound at the type's nominal end for that end itself, beyond which a FLOAT's bits may lie.
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
    throw sourceError('internal', 'a row key has another number of columns than its table')
  return parts
}
