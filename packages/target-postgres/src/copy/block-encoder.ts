import {
  type BlockStream,
  HexDigits,
  type KeyCheck,
  keyCheckOf,
  KeysNeeded,
  type Note,
  passesKey,
  type RawRow,
  type RowBlock,
  type TableMapping,
  type TargetRow,
  ValueRefused,
} from '@mylab-sync/core'
import { COPY_BYTES, CopyBuffer } from './copy-buffer.js'
import { copyPieces } from './copy-text.js'
import { pass, type PassagePlan, planPassage } from './passages.js'

/** What a value takes beside twice its bytes: a separator, a prefix or suffix, a longer word. */
const BESIDE = 16

/**
 * Writes blocks of rows as COPY text. A row whose values all pass is written without an object for it or for one of its values; any
 * other is converted as a drain converts it, and so are rows of more than COPY_BYTES, whose pieces need no room for the whole row.
 */
export class BlockEncoder {
  readonly #columns: TableMapping['columns']
  readonly #plans: readonly PassagePlan[]
  readonly #keyCheck: KeyCheck
  readonly #isKeyed: boolean
  readonly #stream: BlockStream
  readonly #buffer = new CopyBuffer()
  #rows = 0
  /** Bytes of the row at hand. */
  #width = 0

  constructor(table: TableMapping, stream: BlockStream) {
    this.#columns = table.columns
    this.#plans = table.columns.map(({ passage }) => planPassage(passage))
    this.#keyCheck = keyCheckOf(table)
    this.#isKeyed = table.key !== null
    this.#stream = stream
  }

  /** Rows written, without the refused ones. */
  get rows(): number {
    return this.#rows
  }

  /** Calls `send` with full buffers; it returns true once nobody needs the bytes any longer. */
  async encode(block: RowBlock, send: (data: Buffer) => Promise<boolean>): Promise<void> {
    this.#buffer.from = block.bytes
    for (let row = 0; row < block.rows; ) {
      if (isWide(block, row)) {
        await this.flush(send)
        await this.#sendWide(block, row++, send)
      } else {
        row = this.#fill(block, row)
        if (this.#buffer.length >= COPY_BYTES) await this.flush(send)
      }
    }
  }

  end(send: (data: Buffer) => Promise<boolean>): Promise<void> {
    return this.flush(send)
  }

  async flush(send: (data: Buffer) => Promise<boolean>): Promise<void> {
    if (this.#buffer.length > 0) this.#buffer.clear(await send(this.#buffer.written))
  }

  /** Writes rows from this one on until the buffer is full or a wide row follows. Returns the first row that is left. */
  #fill(block: RowBlock, from: number): number {
    let row = from
    for (; row < block.rows && this.#buffer.length < COPY_BYTES; row++) {
      if (row > from && isWide(block, row)) break
      const before = this.#buffer.length
      this.#width = widthOf(block, row)
      this.#buffer.reserve(this.#width, BESIDE * block.columns)
      if (this.#passRow(block, row)) this.#rows++
      else {
        this.#buffer.rewind(before)
        this.#addConverted(this.#convert(block, row))
      }
    }
    return row
  }

  /** Returns false if the row has to be converted as a whole. */
  #passRow(block: RowBlock, row: number): boolean {
    const { bytes, bounds, columns, keyed } = block
    const first = keyed ? 1 : 0
    let at = 2 * (row * columns + first)
    if (!passesKey(this.#keyCheck, block, row)) return false
    for (let column = 0; column < columns - first; column++, at += 2) {
      if (column > 0) this.#buffer.tab()
      const start = bounds[at] ?? -1
      const end = bounds[at + 1] ?? -1
      const plan = this.#plans[column]
      if (start < 0) this.#buffer.null()
      else if (plan === undefined) return false
      else if (!pass(this.#buffer, plan, start, end) && !this.#addValue(column, bytes.subarray(start, end)))
        return false
    }
    this.#buffer.line()
    return true
  }

  /** Converts a value alone. Returns false if it was altered or is refused: both are recorded by the row's key. */
  #addValue(column: number, value: Buffer): boolean {
    const converted = unaltered(this.#columns[column], value)
    if (converted === undefined) return false
    this.#add(converted)
    return true
  }

  #add(value: Buffer | HexDigits | null): void {
    if (value === null) this.#buffer.null()
    else {
      const text = value instanceof HexDigits ? Buffer.from(value.toString()) : value
      this.#buffer.reserve(text.length + this.#width, BESIDE * (this.#columns.length + 1))
      this.#buffer.add(text)
    }
  }

  #addConverted(row: TargetRow | null): void {
    if (row === null) return
    for (const [column, value] of row.values.entries()) {
      if (column > 0) this.#buffer.tab()
      this.#add(value)
    }
    this.#buffer.reserve(0, 1)
    this.#buffer.line()
    this.#rows++
  }

  #convert(block: RowBlock, row: number): TargetRow | null {
    if (!block.keyed && this.#isKeyed) throw new KeysNeeded('a row has to be recorded by its key')
    return this.#stream.convert(rawRow(block, row))
  }

  async #sendWide(block: RowBlock, row: number, send: (data: Buffer) => Promise<boolean>): Promise<void> {
    const converted = this.#unkeyed(block, row) ?? this.#convert(block, row)
    if (converted === null) return
    for (const piece of copyPieces([converted], COPY_BYTES)) await send(piece)
    this.#rows++
  }

  /** A row that needs no key to be converted: all its values pass unaltered. */
  #unkeyed(block: RowBlock, row: number): TargetRow | null {
    if (block.keyed || !passesKey(this.#keyCheck, block, row)) return null
    const raw = rawRow(block, row)
    const values: TargetRow['values'][number][] = []
    for (const [column, value] of raw.values.entries()) {
      const converted = value === null ? null : unaltered(this.#columns[column], value)
      if (converted === undefined) return null
      values.push(converted)
    }
    return { key: raw.key, values }
  }
}

/** Returns undefined for a value that is altered or refused. */
function unaltered(
  column: TableMapping['columns'][number] | undefined,
  value: Buffer,
): Buffer | HexDigits | null | undefined {
  if (column === undefined) return undefined
  if (column.convert === null) return value
  let isAltered = false
  const note: Note = () => {
    isAltered = true
  }
  try {
    const converted = column.convert(value, note)
    return isAltered ? undefined : converted
  } catch (error) {
    if (error instanceof ValueRefused) return undefined
    throw error
  }
}

/** Only a block larger than a buffer can hold such a row. */
function isWide(block: RowBlock, row: number): boolean {
  return block.bytes.length > COPY_BYTES && widthOf(block, row) > COPY_BYTES
}

/** Bytes of a row's values, and of their lengths between them. */
function widthOf({ bounds, columns }: RowBlock, row: number): number {
  let bytes = 0
  for (let at = 2 * row * columns, last = at + 2 * columns; at < last; at += 2) {
    const start = bounds[at] ?? -1
    if (start >= 0) bytes += (bounds[at + 1] ?? 0) - start
  }
  return bytes
}

function rawRow({ bytes, bounds, columns, keyed }: RowBlock, row: number): RawRow {
  const values: (Buffer | null)[] = []
  for (let at = 2 * row * columns, last = at + 2 * columns; at < last; at += 2) {
    const start = bounds[at] ?? -1
    values.push(start < 0 ? null : bytes.subarray(start, bounds[at + 1]))
  }
  const key = keyed ? (values.shift()?.toString('latin1') ?? '') : ''
  return { key, values }
}
