import { type ColumnMapping, type SourceColumn, ValueRefused } from '@mylab-sync/core'
import { isText } from './columns.js'
import { isGarbled, shownLiteral } from './mysql-literals.js'
import { quoteText } from './names.js'

/** The SQL of a default, or why it has none. */
type DefaultSql = { readonly sql: string } | { readonly reason: string }

/** The SQL of a column's DEFAULT, or why it has none; null if the source has no default. */
export function defaultSql(column: ColumnMapping): DefaultSql | null {
  const preset = column.source.defaultValue
  switch (preset.kind) {
    case 'none':
      return null
    case 'literal':
      return literal(column, literalBytes(column, preset.text))
    case 'bytes':
      return literal(column, padded(column.source, Buffer.from(preset.hex, 'hex')))
    case 'current-timestamp':
      return { sql: currentTimestamp(column) }
    case 'expression':
      return expression(column, preset.text)
  }
}

function currentTimestamp({ source }: ColumnMapping): string {
  return `CURRENT_TIMESTAMP(${source.fraction})`
}

function literal(column: ColumnMapping, bytes: Buffer | null): DefaultSql | null {
  if (bytes === null) return { reason: 'the source does not show it as a value of its column' }
  try {
    const value = column.convert === null ? bytes : column.convert(bytes, () => undefined)
    return value === null ? null : { sql: valueSql(column, value.toString('utf8')) }
  } catch (error) {
    if (!(error instanceof ValueRefused)) throw error
    return { reason: `its value is refused (${error.rule})` }
  }
}

/** The literal as the column's read rule would return it; null if it is not a value of the column. */
function literalBytes(column: ColumnMapping, text: string): Buffer | null {
  const { dataType } = column.source
  if (dataType === 'enum') return enumBytes(column.source, text)
  if (dataType === 'bit') return bitBytes(column, text)
  if (isText(column.source) && isGarbled(text)) return null
  const isRaw = dataType !== 'uuid' && (column.type === 'bytea' || column.type === 'uuid')
  return isRaw ? rawBytes(column.source, text) : Buffer.from(text)
}

function enumBytes({ members }: SourceColumn, text: string): Buffer | null {
  const at = (members ?? []).indexOf(text)
  return at === -1 || isGarbled(text) ? null : Buffer.from(`${at + 1}:${text}`)
}

function bitBytes({ type, source }: ColumnMapping, text: string): Buffer | null {
  const digits = /^b'([01]*)'$/i.exec(text)?.[1] ?? (/^\d+$/.test(text) ? BigInt(text).toString(2) : null)
  if (digits === null) return null
  return Buffer.from(type === 'boolean' ? digits : digits.padStart(source.precision ?? 1, '0'))
}

function rawBytes(source: SourceColumn, text: string): Buffer | null {
  // The catalog shows bytes that are not text in part only.
  if (isGarbled(text) || !/^[\x20-\x7e]*$/.test(text)) return null
  return padded(source, Buffer.from(text))
}

function padded({ dataType, length }: SourceColumn, bytes: Buffer): Buffer {
  const least = dataType === 'binary' ? (length ?? 0) : 0
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, least - bytes.length))])
}

function valueSql(column: ColumnMapping, value: string): string {
  if (column.type === 'boolean') return value
  if (/^-?\d+(\.\d+)?$/.test(value) && /^(smallint|integer|bigint|numeric)/.test(column.type))
    return value.replace(/^(-?)0+(?=\d)/, '$1')
  return quoteText(value)
}

/** Expressions with the same meaning on both servers, and the target types for which that holds. */
const TRANSLATIONS: readonly (readonly [
  expression: RegExp,
  type: RegExp,
  sql: string | ((column: ColumnMapping) => string),
])[] = [
  [/^(current_date|curdate)(\(\))?$/, /^date$/, 'CURRENT_DATE'],
  [/^(current_timestamp|now|localtime|localtimestamp)(\(\d?\))?$/, /^timestamp/, currentTimestamp],
  [/^uuid\(\)$/, /^uuid$/, 'gen_random_uuid()'],
  [/^uuid\(\)$/, /^(text|character varying)/, 'gen_random_uuid()::text'],
  [/^json_object\(\)$/, /^jsonb?$/, "'{}'"],
  [/^json_array\(\)$/, /^jsonb?$/, "'[]'"],
]

function expression(column: ColumnMapping, text: string): DefaultSql | null {
  const bare = stripParentheses(text.trim())
  const lower = bare.toLowerCase()
  if (lower === 'null') return null
  const constant = constantText(bare)
  if (constant !== undefined) return literal(column, literalBytes(column, constant))
  for (const [pattern, type, sql] of TRANSLATIONS) {
    if (pattern.test(lower) && type.test(column.type)) return { sql: typeof sql === 'string' ? sql : sql(column) }
  }
  return { reason: 'its expression cannot be translated' }
}

/** The value of a number, bit string or quoted string, written as a literal default is. */
function constantText(bare: string): string | undefined {
  if (/^(b'[01]*'|-?\d+(\.\d+)?)$/i.test(bare)) return bare
  const plain = /^(?:_\w+)?'((?:[^'\\]|'')*)'$/.exec(bare)?.[1]
  if (plain !== undefined) return plain.replaceAll("''", "'")
  const [, charset, shown] = /^(_\w+)?\\'([^'\\]*)\\'$/.exec(bare) ?? []
  return shown === undefined ? undefined : (shownLiteral(charset, shown) ?? undefined)
}

function stripParentheses(text: string): string {
  const inner = /^\(([^()]*(?:\(\))?[^()]*)\)$/.exec(text)?.[1]
  return inner === undefined ? text : stripParentheses(inner.trim())
}
