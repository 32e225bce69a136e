import { isUtf8 } from 'node:buffer'
import { isIPv4, isIPv6 } from 'node:net'
import type { KeyColumn, KeyMapping, RowKey, SourceCatalog, SourceColumn } from '@mylab-sync/core'
import { isText } from './columns.js'
import { bitsOfDouble, doubleOfBits } from './doubles.js'

/**
 * Whether a trigger of this layout can have written a row key: as many tokens as columns, each naming a possible value of its
 * column's type. Any client that may write to the change log may write any text, and looking up an impossible value is an error on
 * either server.
 */
export function isKeyOf(key: KeyMapping, text: RowKey, vendor: Vendor): boolean {
  const tokens = text.split(',')
  const isToken = (column: KeyColumn, at: number): boolean => isTokenOf(column, tokens[at] ?? '', vendor)
  return tokens.length === key.columns.length && key.columns.every(isToken)
}

type Vendor = SourceCatalog['vendor']

const INTEGER = /^(0|-?[1-9]\d{0,19})$/
const BITS_OF_DOUBLE = /^[0-9A-F]{16}$/
const NUMBER = /^-?\d{1,310}(\.\d{1,30})?$/
const DECIMAL = /^-?(\d{1,65})(?:\.(\d{1,38}))?$/
const DATE = String.raw`(\d{4})-(0\d|1[0-2])-([0-2]\d|3[01])`
const CLOCK = String.raw`([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?`
const TEMPORAL: Readonly<Record<string, RegExp>> = {
  date: new RegExp(`^${DATE}$`),
  datetime: new RegExp(`^${DATE} ${CLOCK}$`),
  timestamp: new RegExp(`^${DATE} ${CLOCK}$`),
  time: /^-?([0-7]?\d{2}|8[0-2]\d|83[0-8]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?$/,
}
const HEX = /^([0-9A-F]{2})*$/i
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function isTokenOf({ column: { source }, rule }: KeyColumn, token: string, vendor: Vendor): boolean {
  switch (rule) {
    case 'integer':
      return INTEGER.test(token) && isInRange(source, BigInt(token))
    case 'decimal':
      return isDecimal(source, token)
    case 'bits':
      return BITS_OF_DOUBLE.test(token) && isDouble(doubleOfBits(token), token, source.dataType === 'float')
    case 'digits':
      return NUMBER.test(token) && (token.split('.')[1] ?? '').length === source.scale && Number.isFinite(Number(token))
    case 'temporal':
    case 'timestamp':
      return TEMPORAL[source.dataType]?.test(token) ?? false
    case 'text':
    case 'binary':
      return HEX.test(token) && isStored(source, Buffer.from(token, 'hex'), vendor)
    case 'quoted':
      if (source.dataType === 'uuid') return UUID.test(token)
      return source.dataType === 'inet4' ? isIPv4(token) : isIPv6(token)
  }
}

const BITS: Readonly<Record<string, number>> = { tinyint: 8, smallint: 16, mediumint: 24, int: 32, bigint: 64 }

function isInRange(source: SourceColumn, value: bigint): boolean {
  if (source.dataType === 'year') return value === 0n || (value > 1900n && value < 2156n)
  const most = maxTokenOf(source)
  if (most !== null) return value >= 0n && value <= most
  const bits = BITS[source.dataType] ?? 64
  return source.unsigned ? BigInt.asUintN(bits, value) === value : BigInt.asIntN(bits, value) === value
}

/** The greatest token; null if the type's own range applies. */
function maxTokenOf({ dataType, members, precision }: SourceColumn): bigint | null {
  if (dataType === 'enum') return BigInt(members?.length ?? 0)
  if (dataType === 'set') return (1n << BigInt(members?.length ?? 0)) - 1n
  return dataType === 'bit' ? (1n << BigInt(precision ?? 1)) - 1n : null
}

function isDecimal(source: SourceColumn, token: string): boolean {
  const [, whole = '', fraction = ''] = DECIMAL.exec(token) ?? []
  const scale = source.scale ?? 0
  const digits = whole.replace(/^0+/, '').length
  return whole !== '' && digits <= (source.precision ?? 65) - scale && fraction.length <= scale
}

/** A trigger writes each number in exactly one way. */
function isDouble(value: number, token: string, isFloat: boolean): boolean {
  return Number.isFinite(value) && bitsOfDouble(value) === token && (!isFloat || Math.fround(value) === value)
}

const MAX_BYTES_PER_CHARACTER = 4

/** Whether the column can hold these bytes. If the server checks its character set when parsing a literal, the same rule applies. */
function isStored(source: SourceColumn, bytes: Buffer, vendor: Vendor): boolean {
  const most = isText(source) ? MAX_BYTES_PER_CHARACTER : 1
  if (source.length !== null && bytes.length > source.length * most) return false
  return !isText(source) || isOfCharset(source.charset ?? '', bytes, vendor)
}

function isOfCharset(charset: string, bytes: Buffer, vendor: Vendor): boolean {
  switch (charset) {
    case 'utf8mb4':
      return isUtf8Of(vendor, bytes)
    case 'utf8':
    case 'utf8mb3':
      return isUtf8Of(vendor, bytes) && bytes.every((byte) => byte < 0xf0)
    case 'ascii':
      return bytes.every((byte) => byte < 0x80)
    case 'ucs2':
      return bytes.length % 2 === 0
    case 'utf16':
    case 'utf16le':
      return bytes.length % 2 === 0 && isUtf16(bytes, charset === 'utf16')
    case 'utf32':
      return bytes.length % 4 === 0 && isUtf32(bytes)
    default:
      return true
  }
}

/** MariaDB stores half a surrogate pair and accepts it in a literal, so it is checked as a character of as many bytes. */
function isUtf8Of(vendor: Vendor, bytes: Buffer): boolean {
  if (vendor === 'mysql') return isUtf8(bytes)
  const text = Buffer.from(bytes)
  for (let at = text.indexOf(0xed); at !== -1; at = text.indexOf(0xed, at + 1)) {
    if (((text[at + 1] ?? 0) & 0xe0) === 0xa0) text.set([0xee, 0x80], at)
  }
  return isUtf8(text)
}

function isUtf16(bytes: Buffer, isBigEndian: boolean): boolean {
  const text = Buffer.from(bytes)
  if (isBigEndian) text.swap16()
  return !/\p{Surrogate}/u.test(text.toString('utf16le'))
}

function isUtf32(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += 4) if (bytes.readUInt32BE(at) > 0x10ffff) return false
  return true
}
