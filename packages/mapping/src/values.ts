import { type Convert, HexDigits, isJson, type Note, ValueRefused } from '@mylab-sync/core'
import type { ValueContext } from './value-rules.js'
import { wellFormed } from './well-formed.js'

const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const EMPTY = Buffer.alloc(0)
const MAX_BIGINT = '9223372036854775807'

/** UTF-8 text; invalid bytes are replaced by U+FFFD or refused. */
function utf8Convert(context: ValueContext): (value: Buffer, note: Note) => Buffer {
  const refuse = context.strict || context.rules['invalid-text'] === 'quarantine'
  return (value, note) => {
    const text = wellFormed(value)
    if (text === value) return value
    if (refuse) throw new ValueRefused(context.column, 'invalid-text')
    note('invalid-text')
    return text
  }
}

/** Text: U+0000 is removed, replaced or refused. */
export function textConvert(context: ValueContext): Convert {
  const utf8 = utf8Convert(context)
  const option = context.rules['nul-byte']
  const replacement = typeof option === 'object' ? option.replace : ''
  const refuse = context.strict || option === 'quarantine'
  return (value, note) => {
    const text = utf8(value, note)
    if (text.indexOf(0) === -1) return text
    if (refuse) throw new ValueRefused(context.column, 'nul-byte')
    note('nul-byte')
    return Buffer.from(text.toString('utf8').replaceAll('\0', replacement))
  }
}

/** 0 and 1, of a TINYINT(1) or BIT(1). */
export function booleanConvert(context: ValueContext): Convert {
  const refuse = context.strict || context.rules['not-boolean'] === 'quarantine'
  return (value, note) => {
    const text = value.toString('latin1')
    if (text === '0') return FALSE
    if (text === '1') return TRUE
    const number = Number(text)
    if (number === 0) return FALSE
    if (number === 1) return TRUE
    if (refuse) throw new ValueRefused(context.column, 'not-boolean')
    note('not-boolean')
    return TRUE
  }
}

/** BIGINT UNSIGNED in a signed bigint. */
export function bigintConvert(context: ValueContext): Convert {
  return (value) => {
    if (value.length < MAX_BIGINT.length) return value
    if (BigInt(value.toString('latin1')) > BigInt(MAX_BIGINT)) throw new ValueRefused(context.column, 'out-of-range')
    return value
  }
}

/** ENUM, read as `number:label`; number 0 is the error value, distinct only if no member is ''. */
export function enumConvert(context: ValueContext, members: readonly string[]): Convert {
  const text = textConvert(context)
  const toNull = context.rules['enum-error'] === 'null'
  return (value, note) => {
    if (value[0] !== 0x30) return text(value.subarray(value.indexOf(0x3a) + 1), note)
    if (context.strict && (toNull || members.includes(''))) throw new ValueRefused(context.column, 'enum-error')
    note('enum-error')
    return toNull ? null : EMPTY
  }
}

/** A SET's comma list as an array literal, formatted as PostgreSQL prints it. */
export function setConvert(context: ValueContext): Convert {
  const text = textConvert(context)
  return (value, note) => {
    const clean = text(value, note)
    return clean === null
      ? null
      : Buffer.from(arrayLiteral(clean.length === 0 ? [] : clean.toString('utf8').split(',')))
  }
}

/** A text[] literal as PostgreSQL prints it. */
export function arrayLiteral(items: readonly string[]): string {
  return `{${items.map((item) => (/^$|[{}",\\\s]|^null$/i.test(item) ? `"${item.replace(/["\\]/g, '\\$&')}"` : item)).join(',')}}`
}

/** The items of a one-dimensional array as PostgreSQL prints it. */
export function arrayItems(text: string): string[] {
  const pattern = /"((?:[^"\\]|\\.)*)"|([^,{}]+)/gs
  return [...text.slice(1, -1).matchAll(pattern)].map(([, quoted, bare]) =>
    quoted === undefined ? (bare ?? '') : quoted.replace(/\\(.)/gs, '$1'),
  )
}

/** Larger values are encoded piece by piece while they are written. */
const LARGE_BYTES = 64 << 10

/** Raw bytes as bytea. */
export function byteaConvert(value: Buffer): Buffer | HexDigits {
  if (value.length > LARGE_BYTES) return new HexDigits(value)
  return Buffer.from(`\\x${value.toString('hex')}`, 'latin1')
}

/** 16 raw bytes as a uuid. */
export function uuidConvert(context: ValueContext): Convert {
  return (value) => {
    if (value.length !== 16) throw new ValueRefused(context.column, 'out-of-range')
    return Buffer.from(dashed(value.toString('hex')), 'latin1')
  }
}

/** Inserts a UUID's dashes into 32 hex digits. */
export function dashed(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** TIME as a time of day. */
export function timeConvert(context: ValueContext): Convert {
  return (value) => {
    const text = value.toString('latin1')
    const positive = /[1-9]/.test(text) ? text : text.replace('-', '')
    const hours = positive.slice(0, positive.indexOf(':'))
    const late = hours === '24' && /[1-9]/.test(positive.slice(2))
    if (positive.startsWith('-') || hours.length > 2 || hours > '24' || late)
      throw new ValueRefused(context.column, 'out-of-range')
    return positive === text ? value : Buffer.from(positive, 'latin1')
  }
}

const SRID_FLAG = 0x20000000

/** MySQL's geometry (SRID and WKB) as EWKB in a bytea: little-endian, with the SRID on the outermost geometry only, and only if it is not 0. */
export function geometryConvert(context: ValueContext): Convert {
  return (value) => {
    if (value.length < 9 || value[4] !== 1) throw new ValueRefused(context.column, 'out-of-range')
    const srid = value.subarray(0, 4)
    if (srid.readUInt32LE(0) === 0) return byteaConvert(value.subarray(4))
    const head = Buffer.alloc(9)
    head[0] = 1
    head.writeUInt32LE((value.readUInt32LE(5) | SRID_FLAG) >>> 0, 1)
    srid.copy(head, 5)
    return byteaConvert(Buffer.concat([head, value.subarray(9)]))
  }
}

/** MariaDB's and MySQL's VECTOR (float32, little-endian) as real[]. */
export function vectorConvert(value: Buffer): Buffer {
  const items: string[] = []
  for (let at = 0; at + 4 <= value.length; at += 4) {
    const item = value.readFloatLE(at)
    items.push(Object.is(item, -0) ? '-0' : String(item))
  }
  return Buffer.from(`{${items.join(',')}}`, 'latin1')
}

/** JSON as jsonb or json; `trusted`: the source's own JSON type, which is always valid. */
export function jsonConvert(context: ValueContext, target: 'jsonb' | 'json', trusted: boolean): Convert | null {
  if (trusted && target === 'json') return null
  const utf8 = utf8Convert(context)
  return (raw, note) => {
    const value = utf8(raw, note)
    const escaped = target === 'jsonb' && value.indexOf('\\u') !== -1
    if (trusted && !escaped) return value
    const text = value.toString('utf8')
    if (!trusted && !isJson(text)) return invalidJson(text, context, note)
    if (!escaped) return value
    // Must come before NULs are removed: two halves with a NUL between would become one character.
    if (hasLoneSurrogate(text)) return invalidJson(text, context, note)
    const clean = text.replace(/\\(?:u0000|.)/gs, (match) => (match === '\\u0000' ? '' : match))
    if (clean.length === text.length) return value
    if (context.strict) throw new ValueRefused(context.column, 'nul-escape')
    note('nul-escape')
    return Buffer.from(clean)
  }
}

function invalidJson(text: string, context: ValueContext, note: Note): Buffer | null {
  const policy = context.rules['invalid-json']
  if (context.strict || policy === 'quarantine') throw new ValueRefused(context.column, 'invalid-json')
  note('invalid-json')
  return policy === 'null' ? null : Buffer.from(JSON.stringify(text.replaceAll('\0', '')))
}

/** Whether an escape is half a surrogate pair, which jsonb rejects. */
function hasLoneSurrogate(text: string): boolean {
  if (!/\\u[dD][89a-fA-F]/.test(text)) return false
  const escapes = text.matchAll(/\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(?:u[0-9a-fA-F]{4}|.)/gs)
  for (const [escape] of escapes) if (escape.length === 6 && /^\\ud[89a-f]/i.test(escape)) return true
  return false
}
