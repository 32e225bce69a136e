import { isUtf8 } from 'node:buffer'

const REPLACEMENT = Buffer.from('\ufffd').toString('latin1')
/** The server lets halves of surrogate pairs stand in its Unicode sets, and hands each out as three bytes. */
const HALF = /\xed[\xa0-\xbf][\x80-\xbf]/g

/** The same bytes where they are UTF-8; else U+FFFD for each half of a surrogate pair, and for what else is none. */
export function wellFormed(bytes: Buffer): Buffer {
  if (isUtf8(bytes)) return bytes
  const whole = Buffer.from(bytes.toString('latin1').replace(HALF, REPLACEMENT), 'latin1')
  return isUtf8(whole) ? whole : Buffer.from(whole.toString('utf8'))
}
