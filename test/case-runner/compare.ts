import { createHash } from 'node:crypto'
import type { Cell } from './case-folder.js'

/** The target differs from the case's expectation; any other failure is an error of the case or of the product. */
export class Different extends Error {}

type Rows = readonly (readonly Cell[])[]

const LONGEST_SHOWN = 160

/** Rows as multisets. Throws a Different that names the nearest row and its first column that differs. */
export function compareRows(where: string, columns: readonly string[], expected: Rows, found: Rows): void {
  const wanted = expected.map((row) => row.map(asDigest))
  const rest = new Map<string, { row: readonly Cell[]; left: number }>()
  for (const row of found.map((each) => digestedLike(wanted, each))) {
    const seen = rest.get(JSON.stringify(row)) ?? { row, left: 0 }
    rest.set(JSON.stringify(row), { row, left: seen.left + 1 })
  }
  const lacking = wanted.filter((row) => {
    const seen = rest.get(JSON.stringify(row))
    if (!seen || seen.left === 0) return true
    seen.left -= 1
    return false
  })
  const surplus = [...rest.values()].filter(({ left }) => left > 0).map(({ row }) => row)
  const [want] = lacking
  if (!want && surplus.length === 0) return
  throw new Different(`${where}: ${sayDifference({ want, surplus, columns }, [expected.length, found.length])}`)
}

/** Lists whose order is irrelevant. */
export function compareLists(where: string, expected: readonly string[], found: readonly string[]): void {
  const lacking = expected.filter((line) => !found.includes(line))
  const surplus = found.filter((line) => !expected.includes(line))
  if (lacking.length === 0 && surplus.length === 0) return
  throw new Different(`${where}: expected ${lacking.join('; ') || 'no more'}, found ${surplus.join('; ') || 'no more'}`)
}

interface Difference {
  readonly want: readonly Cell[] | undefined
  readonly surplus: Rows
  readonly columns: readonly string[]
}

function sayDifference({ want, surplus, columns }: Difference, [expected, found]: readonly [number, number]): string {
  const counts = `expected ${expected} rows, found ${found}`
  if (!want) return `${counts}; unexpected ${short(surplus[0])}`
  const alike = (row: readonly Cell[]): number => want.filter((cell, at) => same(cell, row[at])).length
  const near = surplus.toSorted((a, b) => alike(b) - alike(a))[0]
  if (near?.length !== want.length) return `${counts}; missing ${short(want)}`
  const at = want.findIndex((cell, index) => !same(cell, near[index]))
  return `row ${short(want)}: ${columns[at]}: expected ${short(want[at])}, found ${short(near[at])}`
}

/** Without what a case may write beside the two. */
function asDigest(cell: Cell): Cell {
  return isDigest(cell) ? { sha256: cell.sha256, length: cell.length } : cell
}

/** A row as found, with the digests of long texts where any expected row has one. */
function digestedLike(wanted: Rows, row: readonly Cell[]): readonly Cell[] {
  return row.map((cell, at) => {
    if (typeof cell !== 'string' || !wanted.some((each) => isDigest(each[at] ?? null))) return cell
    const digest = { sha256: createHash('sha256').update(cell).digest('hex'), length: Array.from(cell).length }
    return wanted.some((each) => same(digest, each[at])) ? digest : cell
  })
}

function isDigest(cell: Cell): cell is Exclude<Cell, string | null> {
  return typeof cell === 'object' && cell !== null
}

function same(a: Cell, b: Cell | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function short(value: Cell | readonly Cell[] | undefined): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}...` : text
}
