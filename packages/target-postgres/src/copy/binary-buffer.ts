import { characterWidth } from './characters.js'
import { COPY_BYTES } from './copy-buffer.js'

/** Room for a row that begins below COPY_BYTES, so that a buffer seldom grows. */
const CAPACITY = 2 * COPY_BYTES
const EMPTY = Buffer.alloc(0)
const ZERO = 0x30
const NINE = 0x39
const MINUS = 0x2d
const POINT = 0x2e
const HIGH = 2 ** 32
/** Numbers of so many digits are exact as JavaScript's. */
const EXACT_DIGITS = 15
/** Digits of a group of PostgreSQL's numeric. */
const GROUP = 4

/** `PGCOPY`, its signature, no flags, no extension: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4 */
const HEADER = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex')
const NO_VALUE = -1
/** In the place of a row's number of columns. */
const END = -1

/**
 * Rows in COPY's binary format, written into a buffer that is used again and again: no object for a value or a row. A value that
 * is refused leaves the row unfinished, and the stream must not go on.
 */
export class BinaryBuffer {
  /** What values are read from. */
  from: Buffer = EMPTY
  #bytes = Buffer.allocUnsafeSlow(CAPACITY)
  #length = HEADER.copy(this.#bytes)

  get length(): number {
    return this.#length
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

  /** Makes room for a row of so many bytes as the source sends it, with so many more. */
  reserve(bytes: number, more: number): void {
    const needed = this.#length + 2 * bytes + more
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(2 * needed)
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }

  row(columns: number): void {
    this.#length = this.#bytes.writeInt16BE(columns, this.#length)
  }

  end(): void {
    this.reserve(0, 2)
    this.row(END)
  }

  null(): void {
    this.#int32(NO_VALUE)
  }

  #int32(value: number): void {
    const bytes = this.#bytes
    let at = this.#length
    bytes[at++] = value >> 24
    bytes[at++] = value >> 16
    bytes[at++] = value >> 8
    bytes[at++] = value
    this.#length = at
  }

  int32(value: number): void {
    this.#int32(4)
    this.#int32(value)
  }

  int64(value: number): void {
    const high = Math.floor(value / HIGH)
    this.#int32(8)
    this.#int32(high)
    this.#int32(value - high * HIGH)
  }

  boolean(value: boolean): void {
    this.#int32(1)
    this.#bytes[this.#length++] = value ? 1 : 0
  }

  float64(value: number): void {
    this.#int32(8)
    this.#length = this.#bytes.writeDoubleBE(value, this.#length)
  }

  /** Writes bytes of any kind, after `prefix` if there is one. */
  bytes(start: number, end: number, prefix: number | null = null): void {
    this.#int32(end - start + (prefix === null ? 0 : 1))
    if (prefix !== null) this.#bytes[this.#length++] = prefix
    this.from.copy(this.#bytes, this.#length, start, end)
    this.#length += end - start
  }

  /** Returns false unless the bytes are UTF-8 without U+0000. Writes them after `prefix` if there is one. */
  text(start: number, end: number, prefix: number | null = null): boolean {
    if (!isText(this.from, start, end)) return false
    this.bytes(start, end, prefix)
    return true
  }

  /** Writes a timestamp. Its microseconds may be more than a number holds exactly. */
  microseconds(seconds: number, microseconds: number): void {
    this.#int32(8)
    this.#length = this.#bytes.writeBigInt64BE(BigInt(seconds) * 1_000_000n + BigInt(microseconds), this.#length)
  }

  /** Writes a whole number in so many bytes, 2, 4 or 8. Returns false unless it is one and fits. */
  integer(start: number, end: number, width: number): boolean {
    const { from } = this
    const isNegative = from[start] === MINUS
    const first = isNegative ? start + 1 : start
    if (first === end || end - first > EXACT_DIGITS) return width === 8 && this.#long(start, end)
    const value = wholeNumber(from, first, end)
    return value >= 0 && this.#fixed(isNegative ? -value : value, width)
  }

  #fixed(value: number, width: number): boolean {
    if (width === 8) this.int64(value)
    else if (width === 4) {
      if (value !== (value | 0)) return false
      this.int32(value)
    } else {
      if (value < -32_768 || value > 32_767) return false
      this.#int32(2)
      this.#length = this.#bytes.writeInt16BE(value, this.#length)
    }
    return true
  }

  #long(start: number, end: number): boolean {
    const text = this.from.toString('latin1', start, end)
    if (!/^-?[0-9]{1,19}$/.test(text)) return false
    const value = BigInt(text)
    if (BigInt.asIntN(64, value) !== value) return false
    this.#int32(8)
    this.#length = this.#bytes.writeBigInt64BE(value, this.#length)
    return true
  }

  /** Writes a decimal number, as digits to the base 10,000. Returns false unless it is one. */
  decimal(start: number, end: number): boolean {
    const { from } = this
    const isNegative = from[start] === MINUS
    let first = isNegative ? start + 1 : start
    let point = first
    while (point < end && from[point] !== POINT) if (!isDigit(from[point++])) return false
    for (let at = point + 1; at < end; at++) if (!isDigit(from[at])) return false
    if (point === first || point === end - 1) return false
    const scale = point < end ? end - point - 1 : 0
    while (first < point && from[first] === ZERO) first++
    const whole = Math.ceil((point - first) / GROUP)
    this.#numeric({ first, point, scale, whole }, isNegative)
    return true
  }

  #numeric({ first, point, scale, whole }: DecimalPlaces, isNegative: boolean): void {
    const sizeAt = this.#length
    let at = sizeAt + 12
    let weight = whole - 1
    let [groups, filled] = [0, 0]
    for (let group = 0, most = whole + Math.ceil(scale / GROUP); group < most; group++) {
      const digits = this.#group({ first, point, scale, whole }, group)
      // Leading groups of zeros only lower the weight; trailing ones are left out.
      if (digits === 0 && groups === 0) weight--
      else {
        at = this.#bytes.writeInt16BE(digits, at)
        groups++
        if (digits !== 0) filled = groups
      }
    }
    this.#int32(8 + 2 * filled)
    const isZero = filled === 0
    for (const part of [filled, isZero ? 0 : weight, isNegative && !isZero ? 0x4000 : 0, scale])
      this.#length = this.#bytes.writeInt16BE(part, this.#length)
    this.#length = sizeAt + 12 + 2 * filled
  }

  /** Four digits: those of the whole part end at the point, those after it begin there. */
  #group({ first, point, scale, whole }: DecimalPlaces, group: number): number {
    const start = group < whole ? point - GROUP * (whole - group) : point + 1 + GROUP * (group - whole)
    let value = 0
    for (let at = start; at < start + GROUP; at++) {
      const isInside = group < whole ? at >= first : at <= point + scale
      value = value * 10 + (isInside ? (this.from[at] ?? ZERO) - ZERO : 0)
    }
    return value
  }
}

interface DecimalPlaces {
  readonly first: number
  readonly point: number
  readonly scale: number
  /** Groups before the point. */
  readonly whole: number
}

/** At most EXACT_DIGITS digits; -1 if any is another byte. */
function wholeNumber(from: Buffer, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = (from[at] ?? 0) - ZERO
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

function isDigit(byte = 0): boolean {
  return byte >= ZERO && byte <= NINE
}

/** Whether the bytes are UTF-8 without U+0000. */
export function isText(from: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const byte = from[at] ?? 0
    if (byte === 0) return false
    const width = byte < 0x80 ? 1 : characterWidth(from, at, end)
    if (width === 0) return false
    at += width
  }
  return true
}
