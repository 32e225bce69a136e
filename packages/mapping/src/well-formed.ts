import { isUtf8 } from 'node:buffer'

const REPLACEMENT = Buffer.from('\ufffd').toString('latin1')
/** The server allows half surrogate pairs in its Unicode character sets and returns each as three bytes. */
const HALF = /\xed[\xa0-\xbf][\x80-\xbf]/g

/** Returns valid UTF-8 unchanged; otherwise replaces each half of a surrogate pair and any other invalid sequence by U+FFFD. */
export function wellFormed(bytes: Buffer): Buffer {
  if (isUtf8(bytes)) return bytes
  const whole = Buffer.from(bytes.toString('latin1').replace(HALF, REPLACEMENT), 'latin1')
  return isUtf8(whole) ? whole : Buffer.from(whole.toString('utf8'))
}
