import { createHash } from 'node:crypto'
import {
  type ColumnMapping,
  type KeyColumn,
  type KeyMapping,
  type SourceColumn,
  SyncError,
  type TableMapping,
  type TokenRule,
  ValueRefused,
} from '@mylab-sync/core'
import { charsetOf } from './charsets.js'
import { isText } from './columns.js'
import { trimFraction } from './dates.js'
import { bitsOfDouble, doubleOfBits, shownText } from './doubles.js'
import { findNamed } from './names.js'
import { arrayItems, arrayLiteral, dashed } from './values.js'

type Codec = Pick<KeyColumn, 'toTarget' | 'fromTarget'>

const ignore = (): void => undefined

/** Codecs for any set of a table's columns: its sync key, or the referenced or referencing columns of an edge. */
export function keyMapping(mapping: TableMapping, columns: readonly string[]): KeyMapping {
  return keyOf(mapping.source.name, mapping.columns, columns)
}

/** As `keyMapping`, for a table whose mapping is not complete yet. */
export function keyOf(table: string, columns: readonly ColumnMapping[], names: readonly string[]): KeyMapping {
  const key = names.map((name) => {
    const column = findNamed(columns, name, ({ source }) => source.name)
    if (column === undefined) throw new Error(`table ${table} has no column ${name}`)
    return keyColumn(column)
  })
  // Tokens of ENUM and SET are member positions, and those of FLOAT(M,D) have D digits: both depend on the definition.
  const layout = key.map(({ column: { source, type }, rule }) => [
    source.name,
    rule,
    type,
    ...(rule === 'digits' ? [String(source.scale)] : (source.members ?? [])),
  ])
  return {
    columns: key,
    layout: createHash('sha256').update(JSON.stringify(layout)).digest().readUInt32BE(0) & 0x7fffffff,
    sameOrder: key.every(({ column, rule }) => isSameOrder(column, rule)),
  }
}

/** Why a column cannot be part of a key; null if it can. */
export function keyObstacle(column: ColumnMapping): string | null {
  const { source } = column
  if (source.json || source.dataType === 'vector' || tokenRule(source) === null)
    return `type ${source.columnType} cannot be part of a key`
  if (isText(source) && charsetOf(source.charset) === null)
    return `character set ${source.charset ?? 'unknown'} cannot be read in a key`
  return null
}

/** The token rule of a column's type; null if it has none. */
export function tokenRule(column: SourceColumn): TokenRule | null {
  if (isText(column)) return 'text'
  switch (column.dataType) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'bit':
    case 'year':
    case 'enum':
    case 'set':
      return 'integer'
    case 'decimal':
      return 'decimal'
    case 'float':
    case 'double':
      return column.scale === null ? 'bits' : 'digits'
    case 'date':
    case 'datetime':
    case 'time':
      return 'temporal'
    case 'timestamp':
      return 'timestamp'
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return 'binary'
    case 'uuid':
    case 'inet4':
    case 'inet6':
      return 'quoted'
    default:
      return null
  }
}

function keyColumn(column: ColumnMapping): KeyColumn {
  const rule = tokenRule(column.source)
  if (rule === null)
    throw new Error(`column ${column.source.name}: type ${column.source.columnType} cannot be part of a key`)
  return { column, rule, ...codec(column, rule) }
}

function isSameOrder(column: ColumnMapping, rule: TokenRule): boolean {
  const { dataType } = column.source
  if (rule === 'integer') return !['enum', 'set', 'bit'].includes(dataType) && column.type !== 'boolean'
  return rule === 'decimal' || rule === 'binary' || dataType === 'date' || dataType === 'datetime'
}

function codec(column: ColumnMapping, rule: TokenRule): Codec {
  switch (rule) {
    case 'integer':
      return integerCodec(column)
    case 'decimal':
      return { toTarget: (token) => token, fromTarget: (text) => text }
    case 'bits':
      return {
        toTarget: (token) => String(doubleOfBits(token)),
        fromTarget: (text) => bitsOfDouble(numberOf(column, text)),
      }
    case 'digits':
      return digitsCodec(column)
    case 'temporal':
      return column.source.dataType === 'time' ? timeCodec(column) : dateCodec(column)
    case 'timestamp':
      return dateCodec(column)
    case 'text':
      return textCodec(column)
    case 'binary':
      return binaryCodec(column)
    case 'quoted':
      return { toTarget: (token) => token.toLowerCase(), fromTarget: (text) => text.replace(/\/(32|128)$/, '') }
  }
}

/** Converts a value as its column's own conversion does; a token is never NULL. */
function converted(column: ColumnMapping, value: Buffer): string {
  const result = column.convert === null ? value : column.convert(value, ignore)
  if (result === null) throw new ValueRefused(column.source.name, 'null-in-key')
  return result.toString('utf8')
}

function integerCodec(column: ColumnMapping): Codec {
  const { source } = column
  if (source.dataType === 'enum') return enumCodec(column)
  if (source.dataType === 'set') return setCodec(column)
  if (column.type === 'boolean') {
    return {
      toTarget: (token) => converted(column, Buffer.from(token)),
      fromTarget: (text) => (text.startsWith('t') ? '1' : '0'),
    }
  }
  if (source.dataType === 'bit') {
    const width = source.precision ?? 1
    return {
      toTarget: (token) => BigInt(token).toString(2).padStart(width, '0'),
      fromTarget: (text) => BigInt(`0b${text}`).toString(),
    }
  }
  return { toTarget: (token) => converted(column, Buffer.from(token)), fromTarget: (text) => text }
}

function enumCodec(column: ColumnMapping): Codec {
  const members = column.source.members ?? []
  return {
    toTarget: (token) => {
      const label = token === '0' ? '' : members[Number(token) - 1]
      if (label === undefined) throw unknownMember(column)
      return converted(column, Buffer.from(`${token}:${label}`))
    },
    fromTarget: (text) => {
      if (text !== '' && !members.includes(text)) throw unknownMember(column)
      return String(members.indexOf(text) + 1)
    },
  }
}

/** The source's definition has changed meanwhile: treating the member as unknown would confuse one row with another. */
function unknownMember({ source }: ColumnMapping): SyncError {
  return new SyncError(
    'generation-changed',
    `a key of column ${source.name} holds a member that its type does not have`,
  )
}

function setCodec(column: ColumnMapping): Codec {
  const members = column.source.members ?? []
  const isArray = column.type === 'text[]'
  return {
    toTarget: (token) => {
      const bits = BigInt(token)
      if (bits >> BigInt(members.length) !== 0n) throw unknownMember(column)
      const items = members.filter((_, at) => ((bits >> BigInt(at)) & 1n) === 1n)
      return isArray ? arrayLiteral(items) : items.join(',')
    },
    fromTarget: (text) => {
      const items = new Set(isArray ? arrayItems(text) : text === '' ? [] : text.split(','))
      for (const item of items) if (!members.includes(item)) throw unknownMember(column)
      return members.reduce((bits, member, at) => (items.has(member) ? bits | (1n << BigInt(at)) : bits), 0n).toString()
    },
  }
}

/** PostgreSQL prints the shortest text that identifies a real, which parses as another double. */
function numberOf({ source }: ColumnMapping, text: string): number {
  return source.dataType === 'float' ? Math.fround(Number(text)) : Number(text)
}

function digitsCodec(column: ColumnMapping): Codec {
  const { scale, zerofill, precision } = column.source
  const width = zerofill ? (precision ?? 0) : 0
  return {
    toTarget: (token) => token,
    fromTarget: (text) => shownText(numberOf(column, text), scale ?? 0).padStart(width, '0'),
  }
}

function dateCodec(column: ColumnMapping): Codec {
  const { dataType, fraction } = column.source
  const zero = zeroToken(column.source)
  let sentinel: string | null = null
  try {
    sentinel = column.convert?.(Buffer.from(zero), ignore)?.toString('utf8') ?? null
  } catch (error) {
    if (!(error instanceof ValueRefused)) throw error
  }
  return {
    toTarget: (token) => {
      const text = converted(column, Buffer.from(token))
      return text.replace(/\.\d+/, trimFraction)
    },
    fromTarget: (text) => {
      if (text === sentinel) return zero
      const era = text.endsWith(' BC')
      const plain = text.replace(/ BC$/, '').replace(/\+00$/, '')
      const dated = era ? `0000${plain.slice(4)}` : plain
      return dataType === 'date' ? dated : padFraction(dated, fraction)
    },
  }
}

function zeroToken(column: SourceColumn): string {
  return column.dataType === 'date' ? '0000-00-00' : padFraction('0000-00-00 00:00:00', column.fraction)
}

function padFraction(text: string, digits: number): string {
  const [seconds = '', fraction = ''] = text.split('.')
  return digits === 0 ? seconds : `${seconds}.${fraction.padEnd(digits, '0').slice(0, digits)}`
}

function timeCodec(column: ColumnMapping): Codec {
  const { fraction } = column.source
  return {
    toTarget: (token) => {
      const text = trimFraction(converted(column, Buffer.from(token)))
      return /[1-9]/.test(text) ? text : text.replace('-', '')
    },
    fromTarget: (text) => padFraction(text, fraction),
  }
}

function textCodec(column: ColumnMapping): Codec {
  const { source } = column
  const charset = charsetOf(source.charset)
  if (charset === null) {
    const refuse = (): string => {
      throw new ValueRefused(source.name, 'unknown-charset')
    }
    return { toTarget: refuse, fromTarget: refuse }
  }
  return {
    toTarget: (token) => {
      const bytes = Buffer.from(token, 'hex')
      const text = charset.decode(bytes)
      if (text.includes('\ufffd') && !charset.encode(text).equals(bytes))
        throw new ValueRefused(source.name, 'invalid-text')
      return converted(column, Buffer.from(text))
    },
    fromTarget: (text) => charset.encode(text).toString('hex').toUpperCase(),
  }
}

function binaryCodec(column: ColumnMapping): Codec {
  const isUuid = column.type === 'uuid'
  return {
    toTarget: (token) => (isUuid ? dashed(token.toLowerCase()) : `\\x${token.toLowerCase()}`),
    fromTarget: (text) => (isUuid ? text.replaceAll('-', '') : text.slice(2)).toUpperCase(),
  }
}
