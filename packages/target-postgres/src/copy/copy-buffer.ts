import { characterWidth } from './characters.js'

/** Bytes at which a buffer is sent: each write is a protocol message, and small ones cost more than they carry. */
export const COPY_BYTES = 64 << 10
/** Room for a row that begins below that limit, so that a buffer seldom grows. */
const CAPACITY = 2 * COPY_BYTES

const BACKSLASH = 0x5c
const TAB = 0x09
const LINE = 0x0a
const NULL = 0x4e
const EMPTY = Buffer.alloc(0)
const HEX_PREFIX = 0x78
const HEX = Buffer.from('0123456789abcdef')

/** Of each ASCII byte: 0 passes, REFUSED does not, any other is written after a backslash instead. */
const REFUSED = 1
const ESCAPES = escapes({})
const TEXT_ESCAPES = escapes({ 0: REFUSED })
const JSON_ESCAPES = escapes({ 0: REFUSED, [BACKSLASH]: REFUSED })

function escapes(others: Readonly<Record<number, number>>): Uint8Array {
  const table = new Uint8Array(256)
  for (const sign of ['\\\\', '\nn', '\rr', '\tt']) table[sign.charCodeAt(0)] = sign.charCodeAt(1)
  for (const [byte, escape] of Object.entries(others)) table[Number(byte)] = escape
  return table
}

/**
 * Rows in COPY's text format, written byte by byte into a buffer that is used again and again: no object for a value or a row. A
 * value that is refused leaves the buffer as it was before it.
 */
export class CopyBuffer {
  /** What values are read from. */
  from: Uint8Array = EMPTY
  #bytes = Buffer.allocUnsafeSlow(CAPACITY)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Takes back what was written after this length. */
  rewind(length: number): void {
    this.#length = length
  }

  /** What is written so far, valid until `clear`. */
  get written(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Begins anew. Unless `isSent`, the old bytes are left to whoever still sends them. */
  clear(isSent: boolean): void {
    if (!isSent || this.#bytes.length > CAPACITY) this.#bytes = Buffer.allocUnsafeSlow(CAPACITY)
    this.#length = 0
  }

  /** Makes room for a row or a value of so many bytes as the source sends it, with `separators` bytes beside. */
  reserve(bytes: number, separators: number): void {
    const needed = this.#length + 2 * bytes + separators
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(2 * needed)
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }

  tab(): void {
    this.#bytes[this.#length++] = TAB
  }

  line(): void {
    this.#bytes[this.#length++] = LINE
  }

  null(): void {
    this.#bytes[this.#length++] = BACKSLASH
    this.#bytes[this.#length++] = NULL
  }

  /** Writes other bytes than those of `from`, of any kind. */
  add(value: Uint8Array): void {
    const { from } = this
    this.from = value
    this.same(0, value.length)
    this.from = from
  }

  /** Writes bytes of any kind. */
  same(start: number, end: number): void {
    const { from } = this
    const into = this.#bytes
    let at = this.#length
    for (let index = start; index < end; index++) {
      const byte = from[index] ?? 0
      const escape = ESCAPES[byte]
      if (escape !== 0) {
        into[at++] = BACKSLASH
        into[at++] = escape ?? 0
      } else into[at++] = byte
    }
    this.#length = at
  }

  /** Returns false unless the bytes are UTF-8 without U+0000. */
  text(start: number, end: number): boolean {
    return this.#checked(start, end, TEXT_ESCAPES)
  }

  /** Returns false unless the bytes are UTF-8 without U+0000 and backslashes. */
  json(start: number, end: number): boolean {
    return this.#checked(start, end, JSON_ESCAPES)
  }

  #checked(start: number, end: number, table: Uint8Array): boolean {
    const { from } = this
    const into = this.#bytes
    let at = this.#length
    let index = start
    while (index < end) {
      const byte = from[index] ?? 0
      if (byte < 0x80) {
        const escape = table[byte] ?? 0
        if (escape === 0) into[at++] = byte
        else if (escape === REFUSED) return false
        else {
          into[at++] = BACKSLASH
          into[at++] = escape
        }
        index++
      } else {
        const width = characterWidth(from, index, end)
        if (width === 0) return false
        for (const next = index + width; index < next; index++) into[at++] = from[index] ?? 0
      }
    }
    this.#length = at
    return true
  }

  /** Writes bytea's digits. */
  hex(start: number, end: number): void {
    const { from } = this
    const into = this.#bytes
    let at = this.#length
    // The backslash of the digits' prefix, escaped.
    into[at++] = BACKSLASH
    into[at++] = BACKSLASH
    into[at++] = HEX_PREFIX
    for (let index = start; index < end; index++) {
      const byte = from[index] ?? 0
      into[at++] = HEX[byte >> 4] ?? 0
      into[at++] = HEX[byte & 15] ?? 0
    }
    this.#length = at
  }
}
