/** Controls of either set, and what turns the direction of a text or breaks its line unseen. */
const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** One line that a terminal shows as it is: names and keys of the source may hold what moves its cursor, or forges a line. */
export function visible(text: string): string {
  return text.replace(UNSEEN, escaped)
}

/** The same of a text of several lines. */
export function visibleLines(text: string): string {
  return text.replace(UNSEEN, (unseen) => (unseen === '\n' ? unseen : escaped(unseen)))
}

function escaped(unseen: string): string {
  return SHORT[unseen] ?? `\\u${(unseen.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`
}
