import { createHash } from 'node:crypto'
import type { TableMapping } from '@mylab-sync/core'

const LIMIT = 63
const HEAD = 55
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(['tableoid', 'xmin', 'xmax', 'cmin', 'cmax', 'ctid'])

/** How a name is formed: `lower` folds it, `column` avoids the names of PostgreSQL's system columns. */
export interface NameStyle {
  readonly lower?: boolean
  readonly column?: boolean
}

/** The target's name for a source name. Over 63 bytes: the whole characters within 55 bytes, then 8 hex digits of the full name's SHA-256. */
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

/** Quotes a PostgreSQL identifier. */
export function quotePg(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Quotes a PostgreSQL string literal, whatever the value of standard_conforming_strings. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
  return text.includes('\\') ? `E${quoted}` : quoted
}

/** Whether a table was mapped with `names: lower`, as far as its names show. */
export function isLowered(mapping: TableMapping): boolean {
  const names = [mapping, ...mapping.columns].map(({ name, source }) => [name, source.name] as const)
  return names.some(
    ([target, source]) => target !== targetName(source) && target === targetName(source, { lower: true }),
  )
}

/** MySQL compares column names case-insensitively. */
export function sameName(a: string, b: string): boolean {
  return a === b || a.toLowerCase() === b.toLowerCase()
}

/** The item of this name: an exact match, else a case-insensitive one. */
export function findNamed<T>(items: readonly T[], name: string, nameOf: (item: T) => string): T | undefined {
  return items.find((item) => nameOf(item) === name) ?? items.find((item) => sameName(nameOf(item), name))
}

/** Whether the list contains the name, case-insensitively. */
export function hasName(names: readonly string[], name: string): boolean {
  return names.some((entry) => sameName(entry, name))
}
