import { type ColumnMapping, ValueRefused } from '@mylab-sync/core'
import { quoteText } from './names.js'

/** The SQL of a column's DEFAULT, or why it has none; null: the source has none. */
export function defaultSql(column: ColumnMapping): { readonly sql: string } | { readonly reason: string } | null {
  const preset = column.source.defaultValue
  switch (preset.kind) {
    case 'none':
      return null
    case 'literal':
      return literal(column, preset.text)
    case 'current-timestamp':
      return {
        sql: column.source.fraction > 0 ? `CURRENT_TIMESTAMP(${column.source.fraction})` : 'CURRENT_TIMESTAMP(0)',
      }
    case 'expression':
      return expression(column, preset.text)
  }
}

function literal(column: ColumnMapping, text: string): { readonly sql: string } | { readonly reason: string } | null {
  const bytes = literalBytes(column, text)
  if (bytes === null) return { reason: 'it is not a value of its column' }
  try {
    const value = column.convert === null ? bytes : column.convert(bytes, () => undefined)
    return value === null ? null : { sql: valueSql(column, value.toString('utf8')) }
  } catch (error) {
    if (!(error instanceof ValueRefused)) throw error
    return { reason: `its value is refused (${error.rule})` }
  }
}

/** The literal as the column's read rule would hand it out. */
function literalBytes(column: ColumnMapping, text: string): Buffer | null {
  const { dataType, members, length } = column.source
  if (dataType === 'enum') {
    const at = (members ?? []).indexOf(text)
    return at === -1 ? null : Buffer.from(`${at + 1}:${text}`)
  }
  if (dataType === 'bit') {
    const digits = /^b'([01]*)'$/i.exec(text)?.[1] ?? (/^\d+$/.test(text) ? BigInt(text).toString(2) : null)
    return digits === null
      ? null
      : Buffer.from(column.type === 'boolean' ? digits : digits.padStart(column.source.precision ?? 1, '0'))
  }
  if (column.type !== 'bytea' && column.type !== 'uuid') return Buffer.from(text)
  if (dataType === 'uuid') return Buffer.from(text)
  const bytes = /^0x([0-9a-f]{2})*$/i.test(text) ? Buffer.from(text.slice(2), 'hex') : Buffer.from(text)
  if (dataType !== 'binary' || length === null || bytes.length >= length) return bytes
  return Buffer.concat([bytes, Buffer.alloc(length - bytes.length)])
}

function valueSql(column: ColumnMapping, value: string): string {
  if (column.type === 'boolean') return value
  if (/^-?\d+(\.\d+)?$/.test(value) && /^(smallint|integer|bigint|numeric)/.test(column.type))
    return value.replace(/^(-?)0+(?=\d)/, '$1')
  return quoteText(value)
}

/** Expressions whose meaning is the same on both servers. */
function expression(
  column: ColumnMapping,
  text: string,
): { readonly sql: string } | { readonly reason: string } | null {
  const bare = stripParentheses(text.trim())
  const lower = bare.toLowerCase()
  if (lower === 'null') return null
  if (/^(b'[01]*'|-?\d+(\.\d+)?)$/i.test(bare)) return literal(column, bare)
  const quoted = /^(?:_\w+)?\\?'((?:[^'\\]|'')*)\\?'$/.exec(bare)?.[1]
  if (quoted !== undefined) return literal(column, quoted.replaceAll("''", "'"))
  if (/^(current_date|curdate)(\(\))?$/.test(lower) && column.type === 'date') return { sql: 'CURRENT_DATE' }
  if (
    /^(current_timestamp|now|localtime|localtimestamp)(\(\d?\))?$/.test(lower) &&
    column.type.startsWith('timestamp')
  ) {
    return { sql: `CURRENT_TIMESTAMP(${column.source.fraction})` }
  }
  if (lower === 'uuid()' && column.type === 'uuid') return { sql: 'gen_random_uuid()' }
  if (lower === 'uuid()' && /^(text|character varying)/.test(column.type)) return { sql: 'gen_random_uuid()::text' }
  if (/^json_(object|array)\(\)$/.test(lower) && /^jsonb?$/.test(column.type))
    return { sql: lower.startsWith('json_o') ? "'{}'" : "'[]'" }
  return { reason: 'its expression is not among those that can be translated' }
}

function stripParentheses(text: string): string {
  const inner = /^\(([^()]*(?:\(\))?[^()]*)\)$/.exec(text)?.[1]
  return inner === undefined ? text : stripParentheses(inner.trim())
}
