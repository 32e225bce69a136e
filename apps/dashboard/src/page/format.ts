const whole = new Intl.NumberFormat('en')
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

export const count = (value: number): string => whole.format(Math.round(value))

/** Low rates keep one decimal, or slow progress would show as 0. */
export function perSecond(value: number | null): string {
  if (value === null) return '–'
  return value > 0 && value < 10 ? tenths.format(value) : count(value)
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const

export function duration(ms: number | null): string {
  if (ms === null) return '–'
  if (ms === 0) return '0 s'
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${tenths.format(ms / 1_000)} s`
  const at = UNITS.findIndex(([, size]) => ms >= size)
  const [unit, size] = UNITS[at] ?? UNITS[3]
  const next = UNITS[at + 1]
  const rest = next === undefined ? 0 : Math.floor((ms % size) / next[1])
  return `${Math.floor(ms / size)} ${unit}${next !== undefined && rest > 0 ? ` ${rest} ${next[0]}` : ''}`
}

export const percent = (value: number): string => `${tenths.format(value)} %`

/** The viewer's local time, with the date if it is not today. */
export function moment(iso: string | null): string {
  if (iso === null) return 'never'
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return iso
  const time = at.toLocaleTimeString('en-GB')
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString('en-CA')} ${time}`
}

/** Replaces ISO timestamps in a sentence of the engine by the viewer's local time. */
export function withMoments(sentence: string): string {
  return sentence.replace(/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (iso) => moment(iso))
}
