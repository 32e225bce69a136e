import { type Convert, type Note, type Passage, ValueRefused } from '@mylab-sync/core'
import type { ValueContext } from './value-rules.js'

/** The types that the date rules of TYPES section 2 cover. */
export type DateKind = 'date' | 'datetime' | 'timestamp'

const ZERO = 0x30
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const ZONES: Readonly<Record<DateKind, string>> = { date: '', datetime: '', timestamp: '+00' }
const UTC = Buffer.from(ZONES.timestamp)
/** What a zero date becomes if no option is set and NULL is not possible. */
const STAND_INS: Readonly<Record<DateKind, string>> = {
  date: '0001-01-01',
  datetime: '0001-01-01 00:00:00',
  timestamp: '1970-01-01 00:00:00+00',
}

/** What a zero date becomes: target text, `null`, or `quarantine`. */
export function zeroDateOutcome(kind: DateKind, context: ValueContext, option: string | undefined): string {
  const policy = option ?? defaultPolicy(kind, context)
  if (policy === undefined) return STAND_INS[kind]
  if (policy === 'null') return context.inKey ? 'quarantine' : 'null'
  if (policy === 'quarantine' || policy.endsWith('infinity')) return policy
  if (kind === 'date') return policy.slice(0, 10)
  const time = policy.includes(' ') ? policy : `${policy} 00:00:00`
  return trimFraction(time) + ZONES[kind]
}

/** A key may also hold a real 0001-01-01, so DATE and DATETIME become -infinity there; a TIMESTAMP's stand-in lies below every value of its type. */
function defaultPolicy(kind: DateKind, { strict, nullable }: ValueContext): string | undefined {
  if (strict) return kind === 'timestamp' ? undefined : '-infinity'
  return nullable ? 'null' : undefined
}

/** What a zero date becomes in a key or at either end of a foreign key with an action; null if it is treated as in any other column, or the column is none of these. */
export function keyStandIn(kind: DateKind, context: ValueContext): string | null {
  if (!context.strict) return null
  const outcome = zeroDateOutcome(kind, context, context.rules['zero-date'])
  return outcome === STAND_INS[kind] ? null : outcome
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
  const zone = ZONES[kind]
  const { 'zero-date': zeroOption, 'partial-date': partialOption } = context.rules
  const zero = zeroDateOutcome(kind, context, zeroOption)
  // A clamped date keeps its year or month, so it needs no stand-in.
  const partial = partialOption === 'clamp' ? null : zeroDateOutcome(kind, context, partialOption ?? zeroOption)
  const sentinel = sentinelOf(zero, context)

  const replaced = (outcome: string, rule: DateRule, note: Note): Buffer | null => {
    if (outcome === 'quarantine') throw new ValueRefused(context.column, rule)
    note(rule)
    return outcome === 'null' ? null : Buffer.from(outcome)
  }
  const checkedDay = (date: DateParts): Buffer => {
    if (!isRealDay(date)) throw new ValueRefused(context.column, 'out-of-range')
    return Buffer.from(targetText(date, zone))
  }
  const partialDate = (date: DateParts, note: Note): Buffer | null => {
    if (context.strict) throw new ValueRefused(context.column, 'partial-date')
    if (partial !== null) return replaced(partial, 'partial-date', note)
    note('partial-date')
    return checkedDay(clamped(date))
  }
  const unusual = (date: DateParts, note: Note): Buffer | null => {
    if (date.month !== '00' && date.day !== '00') return checkedDay(date)
    if (!isZeroDate(date)) return partialDate(date, note)
    // In a key it would become equal to the zero date without a time.
    if (context.strict && /[1-9]/.test(date.time)) throw new ValueRefused(context.column, 'zero-date')
    return replaced(zero, 'zero-date', note)
  }
  return (value, note) => {
    if (sentinel !== null && trimFraction(value.toString('latin1')) + zone === sentinel)
      throw new ValueRefused(context.column, 'zero-date')
    if (isUnusual(value)) return unusual(dateParts(value), note)
    return zone === '' ? value : Buffer.concat([value, UTC])
  }
}

/** A real value that equals the stand-in of a zero date is refused where two values must not become one. */
function sentinelOf(zero: string, { strict }: ValueContext): string | null {
  return strict && zero !== 'null' && zero !== 'quarantine' ? zero : null
}

/** What `dateConvert` does to usual values. */
export function datePassage(kind: DateKind, context: ValueContext): Passage {
  const sentinel = sentinelOf(zeroDateOutcome(kind, context, context.rules['zero-date']), context)
  return { kind: 'date', suffix: ZONES[kind], except: sentinel?.slice(0, 10) ?? null }
}

type DateRule = 'zero-date' | 'partial-date'

interface DateParts {
  readonly year: string
  readonly month: string
  readonly day: string
  /** The time of day with its leading space; empty for a DATE. */
  readonly time: string
}

/** A cheap test on bytes: year 0000, month or day 00, or a day after the 28th. */
function isUnusual(value: Buffer): boolean {
  const day = twoDigits(value, 8)
  return day === 0 || day > 28 || twoDigits(value, 5) === 0 || (twoDigits(value, 0) === 0 && twoDigits(value, 2) === 0)
}

function twoDigits(value: Buffer, at: number): number {
  return ((value[at] ?? ZERO) - ZERO) * 10 + (value[at + 1] ?? ZERO) - ZERO
}

function dateParts(value: Buffer): DateParts {
  const text = value.toString('latin1')
  return { year: text.slice(0, 4), month: text.slice(5, 7), day: text.slice(8, 10), time: text.slice(10) }
}

function isZeroDate({ year, month, day }: DateParts): boolean {
  return year === '0000' && month === '00' && day === '00'
}

function clamped(date: DateParts): DateParts {
  return { ...date, month: date.month === '00' ? '01' : date.month, day: date.day === '00' ? '01' : date.day }
}

function isRealDay({ year, month, day }: DateParts): boolean {
  const [y, m, d] = [Number(year), Number(month), Number(day)]
  if (d > (DAYS[m - 1] ?? 0)) return false
  return m !== 2 || d < 29 || (y % 4 === 0 && y % 100 !== 0) || y % 400 === 0
}

/** PostgreSQL has no year 0000 and calls it 1 BC. */
function targetText({ year, month, day, time }: DateParts, zone: string): string {
  return year === '0000' ? `0001-${month}-${day}${time}${zone} BC` : `${year}-${month}-${day}${time}${zone}`
}
