/**
 * The text of a literal inside an expression as MySQL's catalog shows it, `_utf8mb4\'...\'`: every byte as a character of its
 * own (9.7: `grÃ¼n` for `grün`); null where it is not that.
 */
export function shownLiteral(charset: string | undefined, shown: string): string | null {
  if (!/[^\0-\x7f]/.test(shown)) return shown
  if (!charset?.toLowerCase().startsWith('_utf8') || /[^\0-\xff]/.test(shown)) return null
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(shown, 'latin1'))
  } catch {
    return null
  }
}

/** The catalog's own character set ends at U+FFFF: what lies beyond stands there as a question mark, like one. */
export function isGarbled(text: string): boolean {
  return text.includes('?')
}
