/** Bytes in PostgreSQL's bytea format, `\x` and digits. Encoded piece by piece, since the digits take twice the memory. */
export class HexDigits {
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get length(): number {
    return 2 + 2 * this.#bytes.length
  }

  /** Like a Buffer of the same text. */
  toString(_encoding: 'utf8' = 'utf8'): string {
    return `\\x${this.#bytes.toString('hex')}`
  }

  /** The digits without `\x`, at most `size` at a time. */
  *pieces(size: number): Generator<Buffer, void, void> {
    const step = Math.max(1, size >> 1)
    for (let at = 0; at < this.#bytes.length; at += step)
      yield Buffer.from(this.#bytes.toString('hex', at, at + step), 'latin1')
  }
}
