import type { RowBlock } from '../ports/source.js'
import type { KeyColumn, TableMapping } from './mapping.js'

/** A key whose values together have no more bytes fits any index entry, with all that the entry adds. */
const SHORT_BYTES = 2_704 - 16 * 20
const COMMA = 0x2c

/** Which columns of the key have to be looked at in a row that passes; `convert` judges all that do not pass this check. */
export interface KeyCheck {
  /** Positions, among the mapping's columns, of the key's columns; empty if none of them can be too long for an index. */
  readonly long: readonly number[]
  /** Of each column of the key, its position if its token is to be compared with its value, else null; empty if none is. */
  readonly spelt: readonly (number | null)[]
  /** A token of another kind than text has to be compared, so that no row passes. */
  readonly isOdd: boolean
}

export function keyCheckOf({ key, columns }: TableMapping): KeyCheck {
  const parts = key?.columns ?? []
  const at = ({ column }: KeyColumn): number => columns.indexOf(column)
  return {
    long: parts.some(mayBeLong) ? parts.map(at) : [],
    spelt: parts.some(isText) ? parts.map((part) => (isText(part) ? at(part) : null)) : [],
    isOdd: parts.some(isOddlySpelt),
  }
}

/** Key columns whose token and read value may be spelt differently: text in a character set, members, digits. */
export function isSpelt(part: KeyColumn): boolean {
  return isText(part) || isOddlySpelt(part)
}

function mayBeLong({ rule, column }: KeyColumn): boolean {
  return rule === 'text' || rule === 'binary' || column.source.members !== null
}

function isText({ rule }: KeyColumn): boolean {
  return rule === 'text'
}

function isOddlySpelt({ rule, column }: KeyColumn): boolean {
  return rule === 'bits' || rule === 'digits' || column.source.members !== null
}

/** Returns false for a row whose key has to be judged by the conversion of rows. */
export function passesKey({ long, spelt, isOdd }: KeyCheck, block: RowBlock, row: number): boolean {
  if (isOdd) return false
  const first = row * block.columns + (block.keyed ? 1 : 0)
  if (long.length > 0 && !isShort(long, block, first)) return false
  return spelt.length === 0 || (block.keyed && isSpeltAlike(spelt, block, first))
}

function isShort(long: readonly number[], { bounds }: RowBlock, first: number): boolean {
  let bytes = 0
  for (const column of long) {
    const start = bounds[2 * (first + column)] ?? -1
    if (start >= 0) bytes += (bounds[2 * (first + column) + 1] ?? 0) - start
  }
  return bytes <= SHORT_BYTES
}

/** Whether each text of the key is ASCII and its token the digits of these very bytes. */
function isSpeltAlike(spelt: readonly (number | null)[], { bytes, bounds }: RowBlock, first: number): boolean {
  let at = bounds[2 * (first - 1)] ?? 0
  const end = bounds[2 * (first - 1) + 1] ?? 0
  for (const column of spelt) {
    if (column === null) while (at < end && bytes[at] !== COMMA) at++
    else at = endOfDigits(bytes, at, { from: bounds[2 * (first + column)], last: bounds[2 * (first + column) + 1] })
    if (at < 0 || (at < end && bytes[at++] !== COMMA)) return false
  }
  return at === end
}

/** Where the digits of these bytes end, if they are ASCII and their digits begin at `at`, else -1. */
function endOfDigits(
  bytes: Buffer,
  at: number,
  { from = 0, last = 0 }: { readonly from: number | undefined; readonly last: number | undefined },
): number {
  for (let byte = from, to = at; byte < last; byte++, to += 2) if (!isDigits(bytes, to, bytes[byte] ?? 0)) return -1
  return at + 2 * (last - from)
}

/** Whether the source's HEX prints this ASCII byte so. */
function isDigits(bytes: Buffer, at: number, byte: number): boolean {
  return byte < 0x80 && bytes[at] === digit(byte >> 4) && bytes[at + 1] === digit(byte & 15)
}

function digit(value: number): number {
  return value < 10 ? 0x30 + value : 0x37 + value
}
