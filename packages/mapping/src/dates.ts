import { type Convert, type Note, ValueRefused } from '@mylab-sync/core'
import type { ValueContext } from './value-rules.js'

/** The types of TYPES section 2's date rules. */
export type DateKind = 'date' | 'datetime' | 'timestamp'

const ZERO = 0x30
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const UTC = Buffer.from('+00')

/** What a zero date becomes: target text, `null`, or `quarantine`. */
export function zeroDateOutcome(kind: DateKind, context: ValueContext, option: string | undefined): string {
  const policy = option ?? (context.nullable ? 'null' : undefined)
  if (policy === undefined) {
    if (kind === 'timestamp') return '1970-01-01 00:00:00+00'
    return kind === 'date' ? '0001-01-01' : '0001-01-01 00:00:00'
  }
  if (policy === 'null') return context.inKey ? 'quarantine' : 'null'
  if (policy === 'quarantine' || policy.endsWith('infinity')) return policy
  if (kind === 'date') return policy.slice(0, 10)
  const time = policy.includes(' ') ? policy : `${policy} 00:00:00`
  return trimFraction(time) + (kind === 'timestamp' ? '+00' : '')
}

/** True when a value rule may put NULL into a column. */
export function dateMayBecomeNull(kind: DateKind, context: ValueContext): boolean {
  const { 'zero-date': zero, 'partial-date': partial } = context.rules
  return [zero, partial === 'clamp' ? zero : (partial ?? zero)].some(
    (option) => zeroDateOutcome(kind, context, option) === 'null',
  )
}

/** Drops the zeros that PostgreSQL does not print: `12:00:00.500` -> `12:00:00.5`. */
export function trimFraction(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}

/** The conversion of DATE, DATETIME and TIMESTAMP (read in UTC). */
export function dateConvert(kind: DateKind, context: ValueContext): Convert {
  const zone = kind === 'timestamp' ? '+00' : ''
  const zero = zeroDateOutcome(kind, context, context.rules['zero-date'])
  const partialOption = context.rules['partial-date']
  const clamp = partialOption === 'clamp'
  const partial = clamp ? zero : zeroDateOutcome(kind, context, partialOption ?? context.rules['zero-date'])
  const sentinel = context.strict && zero !== 'null' && zero !== 'quarantine' ? zero : null
  const unusual = (value: Buffer, note: Note): Buffer | null => {
    const text = value.toString('latin1')
    const date = { year: text.slice(0, 4), month: text.slice(5, 7), day: text.slice(8, 10) }
    const isPartial = date.month === '00' || date.day === '00'
    if (isPartial) {
      const isZero = date.year === '0000' && date.month === '00' && date.day === '00'
      const rule = isZero ? 'zero-date' : 'partial-date'
      if (!isZero && context.strict) throw new ValueRefused(context.column, rule)
      if (isZero || !clamp) return replaced(isZero ? zero : partial, rule, note)
      note(rule)
      if (date.month === '00') date.month = '01'
      if (date.day === '00') date.day = '01'
    }
    if (!isRealDay(date.year, date.month, date.day)) throw new ValueRefused(context.column, 'out-of-range')
    const yearZero = date.year === '0000'
    return Buffer.from(
      `${yearZero ? '0001' : date.year}-${date.month}-${date.day}${text.slice(10)}${zone}${yearZero ? ' BC' : ''}`,
    )
  }
  const replaced = (outcome: string, rule: 'zero-date' | 'partial-date', note: Note): Buffer | null => {
    if (outcome === 'quarantine') throw new ValueRefused(context.column, rule)
    note(rule)
    return outcome === 'null' ? null : Buffer.from(outcome)
  }
  return (value, note) => {
    if (isUnusual(value)) return unusual(value, note)
    if (sentinel !== null && trimFraction(value.toString('latin1')) + zone === sentinel)
      throw new ValueRefused(context.column, 'zero-date')
    return zone === '' ? value : Buffer.concat([value, UTC])
  }
}

/** Cheap test by bytes: year 0000, month or day 00, or a day after the 28th. */
function isUnusual(value: Buffer): boolean {
  if (value[5] === ZERO && value[6] === ZERO) return true
  const tens = (value[8] ?? ZERO) - ZERO
  const ones = (value[9] ?? ZERO) - ZERO
  if (tens === 0 && ones === 0) return true
  if (tens > 2 || (tens === 2 && ones === 9)) return true
  return value[0] === ZERO && value[1] === ZERO && value[2] === ZERO && value[3] === ZERO
}

function isRealDay(year: string, month: string, day: string): boolean {
  const [y, m, d] = [Number(year), Number(month), Number(day)]
  if (d > (DAYS[m - 1] ?? 0)) return false
  return m !== 2 || d < 29 || (y % 4 === 0 && y % 100 !== 0) || y % 400 === 0
}
