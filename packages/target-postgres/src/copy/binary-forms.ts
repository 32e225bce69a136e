import type { ColumnMapping, Passage } from '@mylab-sync/core'
import type { BinaryBuffer } from './binary-buffer.js'
import { isRealDay, twoDigits } from './passages.js'

const ZERO = 0x30
const ONE = 0x31
const MINUS = 0x2d
const COLON = 0x3a
const POINT = 0x2e
const BLANK = 0x20
/** Written before the text of a jsonb. */
const JSONB_VERSION = 1
/** From 1970-01-01, JavaScript's day 0, to 2000-01-01, PostgreSQL's. */
const EPOCH_DAYS = 10_957
const DAY_MS = 86_400_000
const DAY_SECONDS = 86_400
const MICROSECONDS = 1_000_000

/** What COPY's binary format holds for a type. Types of one form have the same bytes. */
export type BinaryForm =
  | 'int2'
  | 'int4'
  | 'int8'
  | 'numeric'
  | 'float8'
  | 'boolean'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'text'
  | 'bytea'
  | 'json'
  | 'jsonb'

const FORMS: readonly (readonly [type: RegExp, form: BinaryForm])[] = [
  [/^smallint$/, 'int2'],
  [/^integer$/, 'int4'],
  [/^bigint$/, 'int8'],
  [/^numeric(\(|$)/, 'numeric'],
  [/^double precision$/, 'float8'],
  [/^boolean$/, 'boolean'],
  [/^date$/, 'date'],
  [/^timestamp(\(\d\))? without time zone$/, 'timestamp'],
  [/^timestamp(\(\d\))? with time zone$/, 'timestamptz'],
  [/^(text|character varying(\(\d+\))?)$/, 'text'],
  [/^bytea$/, 'bytea'],
  [/^json$/, 'json'],
  [/^jsonb$/, 'jsonb'],
]

/** The form of a type as format_type() prints it; null for any other type, a domain among them. */
export function formOf(type: string): BinaryForm | null {
  return FORMS.find(([of]) => of.test(type))?.[1] ?? null
}

const PASSAGES: Readonly<Record<BinaryForm, readonly Passage['kind'][]>> = {
  int2: ['same', 'digits'],
  int4: ['same', 'digits'],
  int8: ['same', 'digits'],
  numeric: ['same'],
  float8: ['same'],
  boolean: ['boolean'],
  date: ['date'],
  timestamp: ['date'],
  timestamptz: ['date'],
  text: ['text', 'member'],
  bytea: ['hex'],
  json: ['json'],
  jsonb: ['json'],
}

/** A column's form, and what of its values passes. */
export interface BinaryPlan {
  readonly form: BinaryForm
  readonly passage: Passage['kind']
  /** A day, as text, whose values do not pass. */
  readonly except: Buffer | null
}

/** Null for a column that only COPY's text format can carry. */
export function planBinary({ type, passage }: Pick<ColumnMapping, 'type' | 'passage'>): BinaryPlan | null {
  const form = formOf(type)
  if (form === null || !PASSAGES[form].includes(passage.kind)) return null
  if (passage.kind !== 'date') return { form, passage: passage.kind, except: null }
  // Only UTC, as which the source's session reads a TIMESTAMP.
  if (passage.suffix !== (form === 'timestamptz' ? '+00' : '')) return null
  return { form, passage: passage.kind, except: passage.except === null ? null : Buffer.from(passage.except) }
}

/** Writes a value in its column's form. Returns false for a value that has to be converted. */
export function passBinary(into: BinaryBuffer, plan: BinaryPlan, start: number, end: number): boolean {
  switch (plan.form) {
    case 'int2':
      return into.integer(start, end, 2)
    case 'int4':
      return into.integer(start, end, 4)
    case 'int8':
      return into.integer(start, end, 8)
    case 'numeric':
      return into.decimal(start, end)
    case 'float8':
      return passFloat(into, start, end)
    case 'boolean':
      return passBoolean(into, start, end)
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return passDate(into, plan, start, end)
    case 'text':
      return plan.passage === 'member' ? passMember(into, start, end) : into.text(start, end)
    case 'bytea':
      into.bytes(start, end)
      return true
    case 'json':
    case 'jsonb':
      return passJson(into, plan.form, start, end)
  }
}

function passFloat(into: BinaryBuffer, start: number, end: number): boolean {
  const text = into.from.toString('latin1', start, end)
  const value = Number(text)
  if (!/^-?[0-9]/.test(text) || !Number.isFinite(value)) return false
  into.float64(value)
  return true
}

function passBoolean(into: BinaryBuffer, start: number, end: number): boolean {
  const byte = into.from[start]
  if (end - start !== 1 || (byte !== ZERO && byte !== ONE)) return false
  into.boolean(byte === ONE)
  return true
}

function passMember(into: BinaryBuffer, start: number, end: number): boolean {
  const { from } = into
  if (start === end || from[start] === ZERO) return false
  let at = start
  while (at < end && from[at] !== COLON) at++
  return at < end && into.text(at + 1, end)
}

/** A backslash may begin an escape that PostgreSQL does not know; the conversion judges it. */
function passJson(into: BinaryBuffer, form: 'json' | 'jsonb', start: number, end: number): boolean {
  const { from } = into
  for (let at = start; at < end; at++) if (from[at] === 0x5c) return false
  return into.text(start, end, form === 'json' ? null : JSONB_VERSION)
}

function passDate(into: BinaryBuffer, { form, except }: BinaryPlan, start: number, end: number): boolean {
  const { from } = into
  if (end - start < 10 || from[start + 4] !== MINUS || from[start + 7] !== MINUS) return false
  const century = twoDigits(from, start)
  const year = century * 100 + twoDigits(from, start + 2)
  const [month, day] = [twoDigits(from, start + 5), twoDigits(from, start + 8)]
  if (century < 0 || year <= 0 || !isRealDay(year, month, day)) return false
  if (except !== null && from.compare(except, 0, except.length, start, start + except.length) === 0) return false
  const days = daysSinceEpoch(year, month, day)
  if (form === 'date') {
    if (end - start !== 10) return false
    into.int32(days)
    return true
  }
  const time = microsecondsOf(from, start + 10, end)
  if (time < 0) return false
  into.microseconds(days * DAY_SECONDS, time)
  return true
}

/** Days from 2000-01-01. `Date.UTC` takes years below 100 for those of the twentieth century. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const era = year < 400 ? 400 : 0
  return Date.UTC(year + era, month - 1, day) / DAY_MS - EPOCH_DAYS - (era === 0 ? 0 : DAYS_OF_ERA)
}

/** Of 400 years. */
const DAYS_OF_ERA = 146_097

/** ` HH:MM:SS`, with up to six digits after a point; below 0 for anything else. */
function microsecondsOf(from: Buffer, start: number, end: number): number {
  if (end - start < 9 || end - start > 16 || end - start === 10) return -1
  if (from[start] !== BLANK || from[start + 3] !== COLON || from[start + 6] !== COLON) return -1
  const [hours, minutes, seconds] = [twoDigits(from, start + 1), twoDigits(from, start + 4), twoDigits(from, start + 7)]
  if (!isWithin(hours, 23) || !isWithin(minutes, 59) || !isWithin(seconds, 59)) return -1
  const fraction = end === start + 9 ? 0 : fractionOf(from, start + 9, end)
  return fraction < 0 ? -1 : ((hours * 60 + minutes) * 60 + seconds) * MICROSECONDS + fraction
}

/** `.` and up to six digits, as microseconds; -1 for anything else. */
function fractionOf(from: Buffer, start: number, end: number): number {
  if (from[start] !== POINT) return -1
  let fraction = 0
  for (let at = start + 1; at < start + 7; at++) {
    const digit = at < end ? (from[at] ?? 0) - ZERO : 0
    if (digit < 0 || digit > 9) return -1
    fraction = fraction * 10 + digit
  }
  return fraction
}

function isWithin(value: number, most: number): boolean {
  return value >= 0 && value <= most
}
