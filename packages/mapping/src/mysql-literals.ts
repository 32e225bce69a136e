/**
 * The text of a literal inside an expression as MySQL's catalog shows it, `_utf8mb4\'...\'`, with every byte as its own
 * character (9.7: `grÃ¼n` for `grün`); null if the text has another form.
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

/** The catalog's character set ends at U+FFFF and shows greater characters as question marks, which cannot be told from real ones. */
export function isGarbled(text: string): boolean {
  return text.includes('?')
}
