import type { Passage } from '@mylab-sync/core'
import type { CopyBuffer } from './copy-buffer.js'

const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const ZERO = 0x30
const ONE = 0x31
const MINUS = 0x2d
const COLON = 0x3a
/** All numbers with fewer digits, and a sign, are within a bigint. */
const SAFE_DIGITS = 19
const DAYS = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** A column's passage, prepared. */
export interface PassagePlan {
  readonly kind: Passage['kind']
  readonly suffix: Buffer
  readonly except: Buffer | null
}

export function planPassage(passage: Passage): PassagePlan {
  const { suffix, except } = passage.kind === 'date' ? passage : { suffix: '', except: null }
  return { kind: passage.kind, suffix: Buffer.from(suffix), except: except === null ? null : Buffer.from(except) }
}

/** Writes a value as its column's passage says. Returns false, with nothing written, for a value that has to be converted. */
export function pass(into: CopyBuffer, plan: PassagePlan, start: number, end: number): boolean {
  switch (plan.kind) {
    case 'same':
      into.same(start, end)
      return true
    case 'text':
      return into.text(start, end)
    case 'json':
      return into.json(start, end)
    case 'hex':
      into.hex(start, end)
      return true
    case 'date':
      return passDate(into, plan, start, end)
    case 'member':
      return passMember(into, start, end)
    case 'digits':
      if (end - start >= SAFE_DIGITS) return false
      into.same(start, end)
      return true
    case 'boolean':
      return passBoolean(into, start, end)
    case 'convert':
      return false
  }
}

function passBoolean(into: CopyBuffer, start: number, end: number): boolean {
  const { from } = into
  if (end - start !== 1 || (from[start] !== ZERO && from[start] !== ONE)) return false
  into.add(from[start] === ONE ? TRUE : FALSE)
  return true
}

function passMember(into: CopyBuffer, start: number, end: number): boolean {
  const { from } = into
  if (start === end || from[start] === ZERO) return false
  let at = start
  while (at < end && from[at] !== COLON) at++
  return at < end && into.text(at + 1, end)
}

function passDate(into: CopyBuffer, { suffix, except }: PassagePlan, start: number, end: number): boolean {
  const { from } = into
  if (end - start < 10 || from[start + 4] !== MINUS || from[start + 7] !== MINUS) return false
  const century = twoDigits(from, start)
  const year = century * 100 + twoDigits(from, start + 2)
  if (century < 0 || year <= 0 || !isRealDay(year, twoDigits(from, start + 5), twoDigits(from, start + 8))) return false
  if (except !== null && isPrefix(except, from, start)) return false
  into.same(start, end)
  into.add(suffix)
  return true
}

/** Far below 0 unless both bytes are digits. */
export function twoDigits(from: Uint8Array, at: number): number {
  const tens = (from[at] ?? 0) - ZERO
  const ones = (from[at + 1] ?? 0) - ZERO
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? -10_000 : tens * 10 + ones
}

export function isRealDay(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1 || day > (DAYS[month] ?? 0)) return false
  return month !== 2 || day < 29 || (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
}

function isPrefix(prefix: Uint8Array, from: Uint8Array, start: number): boolean {
  for (let at = 0; at < prefix.length; at++) if (from[start + at] !== prefix[at]) return false
  return true
}
