import { createHash } from 'node:crypto'
import type { TableMapping } from '@mylab-sync/core'

const LIMIT = 63
const HEAD = 55
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(['tableoid', 'xmin', 'xmax', 'cmin', 'cmax', 'ctid'])

/** What kind of name it is: `lower` folds it, `column` keeps clear of PostgreSQL's system columns. */
export interface NameStyle {
  readonly lower?: boolean
  readonly column?: boolean
}

/** The target's name of a source name: over 63 bytes, the whole characters within 55 bytes and 8 hex digits of the full name's sha256. */
export function targetName(name: string, style: NameStyle = {}): string {
  const wanted = style.lower === true ? name.toLowerCase() : name
  if (style.column === true && SYSTEM_COLUMNS.has(wanted)) return `${wanted}_`
  if (Buffer.byteLength(wanted) <= LIMIT) return wanted
  let head = ''
  let bytes = 0
  for (const character of wanted) {
    bytes += Buffer.byteLength(character)
    if (bytes > HEAD) break
    head += character
  }
  return head + createHash('sha256').update(name).digest('hex').slice(0, 8)
}

/** An identifier of PostgreSQL in quotes. */
export function quotePg(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A string literal of PostgreSQL, whatever standard_conforming_strings says. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
  return text.includes('\\') ? `E${quoted}` : quoted
}

/** Whether a table was mapped with `names: lower`, as far as its names tell. */
export function isLowered(mapping: TableMapping): boolean {
  const names = [mapping, ...mapping.columns].map(({ name, source }) => [name, source.name] as const)
  return names.some(
    ([target, source]) => target !== targetName(source) && target === targetName(source, { lower: true }),
  )
}

/** MySQL compares column names without regard to case. */
export function sameName(a: string, b: string): boolean {
  return a === b || a.toLowerCase() === b.toLowerCase()
}

/** The item of this name: exactly, or else in whatever case. */
export function findNamed<T>(items: readonly T[], name: string, nameOf: (item: T) => string): T | undefined {
  return items.find((item) => nameOf(item) === name) ?? items.find((item) => sameName(nameOf(item), name))
}

/** True when the list holds the name in whatever case. */
export function hasName(names: readonly string[], name: string): boolean {
  return names.some((entry) => sameName(entry, name))
}
