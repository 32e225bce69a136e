/** The only module that quotes. Sessions set their own sql_mode, so they never run under ANSI_QUOTES or NO_BACKSLASH_ESCAPES. */

/** Quotes an identifier. */
export function name(identifier: string): string {
  return `\`${identifier.replaceAll('`', '``')}\``
}

/** Quotes a string literal. */
export function text(value: string): string {
  const escaped = value
    .replaceAll('\\', '\\\\')
    .replaceAll("'", "''")
    .replaceAll('\0', '\\0')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
  return `'${escaped}'`
}

/** Formats an unsigned integer literal. */
export function integer(value: number | bigint): string {
  if ((typeof value === 'number' && !Number.isSafeInteger(value)) || value < 0)
    throw new RangeError('not an unsigned integer')
  return String(value)
}
