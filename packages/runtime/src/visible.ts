/** C0 and C1 controls, and characters that invisibly change text direction or break a line. */
const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * Escapes to one line that a terminal shows literally: names and keys of the source may contain cursor movements, or
 * forge a line.
 */
export function visible(text: string): string {
  return text.replace(UNSEEN, escaped)
}

/** Like `visible`, but keeps line breaks. */
export function visibleLines(text: string): string {
  return text.replace(UNSEEN, (unseen) => (unseen === '\n' ? unseen : escaped(unseen)))
}

function escaped(unseen: string): string {
  return SHORT[unseen] ?? `\\u${(unseen.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`
}
