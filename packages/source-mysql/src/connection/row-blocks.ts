import type { RowBlock } from '@mylab-sync/core'
import { sourceError } from './errors.js'

/** Bounds of the rows of a socket's read of 64 kB, if they are not very narrow. */
const BOUNDS = 8_192
/** The protocol's sign of NULL, which greater ones follow: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html */
const NULL = 0xfb
/** Of the bytes from this one on: how many more of them hold the length. */
const WIDTHS = [0, 2, 3, 8]

interface OpenBlock {
  bytes: Buffer
  bounds: Int32Array
  rows: number
}

/** Collects the packets of rows into blocks, one for each stretch of memory that the driver received. */
export class RowBlocks {
  readonly #columns: number
  readonly #keyed: boolean
  readonly #full: RowBlock[] = []
  /** Bounds of blocks that nobody reads any longer. */
  readonly #spare: Int32Array[] = []
  #open: OpenBlock | null = null
  #bytes = 0

  constructor(columns: number, keyed: boolean) {
    this.#columns = columns
    this.#keyed = keyed
  }

  /** Bytes of all blocks that were not taken yet. */
  get bytes(): number {
    return this.#bytes
  }

  get hasFull(): boolean {
    return this.#full.length > 0
  }

  /** Returns true if this row completed a block. Throws SyncError internal for a packet that is no row of so many columns. */
  add(bytes: Buffer, start: number, end: number): boolean {
    if (this.#keyed && bytes[start] === NULL) throw withoutKey()
    const completes = this.#open?.bytes !== bytes && this.complete()
    const open = this.#open ?? this.#begin(bytes)
    const to = 2 * open.rows * this.#columns
    if (to + 2 * this.#columns > open.bounds.length) open.bounds = enlarged(open.bounds, to + 2 * this.#columns)
    // Another layout of packets, or of what they hold.
    if (this.#readRow(open, start, to) !== end) throw otherPacket()
    open.rows++
    return completes
  }

  #begin(bytes: Buffer): OpenBlock {
    this.#bytes += bytes.length
    return (this.#open = { bytes, bounds: this.#spare.pop() ?? new Int32Array(BOUNDS), rows: 0 })
  }

  /** Writes the bounds of a row's values. Returns where the row ends. */
  #readRow({ bytes, bounds }: OpenBlock, start: number, into: number): number {
    let at = start
    let to = into
    for (let column = 0; column < this.#columns; column++) {
      const length = bytes[at++] ?? 0
      if (length === NULL) {
        bounds[to++] = -1
        bounds[to++] = -1
      } else if (length < NULL) {
        bounds[to++] = at
        bounds[to++] = at += length
      } else {
        const width = WIDTHS[length - NULL] ?? 0
        const long = lengthAt(bytes, at, width)
        bounds[to++] = at += width
        bounds[to++] = at += long
      }
    }
    return at
  }

  /** Closes the block that rows are added to. Returns false if there is none. */
  complete(): boolean {
    if (this.#open === null) return false
    this.#full.push({ ...this.#open, columns: this.#columns, keyed: this.#keyed })
    this.#open = null
    return true
  }

  take(): RowBlock | undefined {
    const block = this.#full.shift()
    if (block !== undefined) this.#bytes -= block.bytes.length
    return block
  }

  /** The reader is done with a block. */
  giveBack({ bounds }: RowBlock): void {
    this.#spare.push(bounds)
  }
}

function lengthAt(bytes: Buffer, at: number, width: number): number {
  if (width === 0 || at + width > bytes.length) throw otherPacket()
  return width === 8 ? Number(bytes.readBigUInt64LE(at)) : bytes.readUIntLE(at, width)
}

function enlarged(bounds: Int32Array, needed: number): Int32Array {
  const larger = new Int32Array(Math.max(2 * bounds.length, needed))
  larger.set(bounds)
  return larger
}

/** The key expression is never NULL: the server replaced a value that was too long. */
export function withoutKey(): Error {
  return sourceError('truncated-read', 'a row came without its key', {
    remedy: "raise the source's max_allowed_packet",
  })
}

function otherPacket(): Error {
  return sourceError('internal', 'the driver handed out a row otherwise than expected')
}
