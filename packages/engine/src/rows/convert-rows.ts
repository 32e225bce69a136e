import { isAscii } from 'node:buffer'
import {
  type HexDigits,
  isSpelt,
  type KeyColumn,
  type RawRow,
  type RefusedRow,
  type RowKey,
  type SanitisedCount,
  type SanitisingRule,
  type TableMapping,
  type TargetRow,
  ValueRefused,
} from '@mylab-sync/core'

const SAMPLE_KEYS = 5
/** Bytes of the largest btree entry: https://www.postgresql.org/docs/current/btree.html */
const LONGEST_KEY_BYTES = 2_704
/** Overhead of a column's length, the entry's header and alignment. */
const BYTES_BESIDE = 8
const EMPTY = Buffer.alloc(0)

/** Counts altered values by table, column and rule, within one target transaction. */
export class SanitisedTally {
  readonly #counts = new Map<
    string,
    { table: string; column: string; rule: SanitisingRule; rows: number; sampleKeys: RowKey[] }
  >()

  add(place: { table: string; column: string; rule: SanitisingRule }, key: RowKey): void {
    const id = JSON.stringify([place.table, place.column, place.rule])
    const count = this.#counts.get(id) ?? { ...place, rows: 0, sampleKeys: [] }
    count.rows++
    if (count.sampleKeys.length < SAMPLE_KEYS) count.sampleKeys.push(key)
    this.#counts.set(id, count)
  }

  addAll(other: SanitisedTally): void {
    for (const [id, { sampleKeys, ...count }] of other.#counts) {
      const mine = this.#counts.get(id) ?? { ...count, rows: 0, sampleKeys: [] }
      mine.rows += count.rows
      mine.sampleKeys.push(...sampleKeys.slice(0, SAMPLE_KEYS - mine.sampleKeys.length))
      this.#counts.set(id, mine)
    }
  }

  counts(): SanitisedCount[] {
    return [...this.#counts.values()]
  }
}

/** Converts the rows of one batch by the table's mapping: the one code path of copy and drain. */
export interface ConvertedRows {
  readonly rows: TargetRow[]
  readonly refused: RefusedRow[]
}

export function convertRows(table: TableMapping, raw: readonly RawRow[], tally: SanitisedTally): ConvertedRows {
  const rows: TargetRow[] = []
  const refused: RefusedRow[] = []
  for (const row of raw) {
    const converted = convertRow(table, row, tally)
    if ('values' in converted) rows.push(converted)
    else refused.push(converted)
  }
  return { rows, refused }
}

interface Altered {
  readonly column: string
  readonly rule: SanitisingRule
}

function convertRow(table: TableMapping, row: RawRow, tally: SanitisedTally): TargetRow | RefusedRow {
  const altered: Altered[] = []
  let values: TargetRow['values']
  try {
    values = convertValues(table, row.values, altered)
    const unfit = longKey(table, row.key, values) ?? strayKey(table, row.key, values)
    if (unfit !== null) return unfit
  } catch (error) {
    if (!(error instanceof ValueRefused)) throw error
    return { key: row.key, code: 'refused-value', message: error.message }
  }
  // Counted only once the whole row is accepted.
  for (const { column, rule } of altered) tally.add({ table: table.source.name, column, rule }, row.key)
  return { key: row.key, values }
}

function convertValues(table: TableMapping, raw: RawRow['values'], altered: Altered[]): TargetRow['values'] {
  const values: TargetRow['values'][number][] = []
  for (let index = 0; index < raw.length; index++) {
    const column = table.columns[index]
    const value = raw[index] ?? null
    const convert = value === null ? null : column?.convert
    values.push(
      value !== null && column && convert
        ? convert(value, (rule) => altered.push({ column: column.source.name, rule }))
        : value,
    )
  }
  return values
}

/**
 * Checks that a row can be found again by its key's tokens. If a value were written differently, the row could no longer be
 * changed or deleted; if two tokens gave one text, one row would replace another.
 */
function strayKey(table: TableMapping, key: RowKey, values: TargetRow['values']): RefusedRow | null {
  const columns = table.key?.columns ?? []
  if (!columns.some(isSpelt)) return null
  const tokens = key.split(',')
  const stray = columns.find(
    (column, at) =>
      isSpelt(column) && !isNamedBy(column, tokens[at] ?? '', values[table.columns.indexOf(column.column)] ?? EMPTY),
  )
  if (!stray) return null
  const message = `column ${stray.column.source.name}: its key cannot be represented in the target as the source stores it`
  return { key, code: 'refused-value', message }
}

function isNamedBy(column: KeyColumn, token: string, value: Buffer | HexDigits): boolean {
  if (column.rule === 'text' && isPlain(token, value)) return true
  const text = value.toString('utf8')
  if (column.rule === 'bits') return Number(column.toTarget(token)) === Number(text)
  if (column.rule === 'digits') return column.fromTarget(text) === token
  return column.toTarget(token) === text && column.fromTarget(text) === token
}

/** The usual key: ASCII, which every character set that stores it in these bytes reads the same. */
function isPlain(token: string, value: Buffer | HexDigits): boolean {
  return Buffer.isBuffer(value) && isAscii(value) && value.toString('hex').toUpperCase() === token
}

/** Uncompressed size: whether the target compresses a value is not known beforehand. */
function longKey(table: TableMapping, key: RowKey, values: TargetRow['values']): RefusedRow | null {
  // The token of an ENUM or a SET does not show the length of its labels.
  const isShort = key.length < LONGEST_KEY_BYTES / 2 && !table.key?.columns.some(({ column }) => column.source.members)
  if (isShort) return null
  const bytes = (table.key?.columns ?? []).reduce((sum, { column }) => {
    const text = values[table.columns.indexOf(column)]?.length ?? 0
    return sum + BYTES_BESIDE + (column.type === 'bytea' ? text / 2 : text)
  }, BYTES_BESIDE)
  if (bytes <= LONGEST_KEY_BYTES) return null
  const message = `its key has ${bytes} bytes, and a PostgreSQL index entry can hold ${LONGEST_KEY_BYTES}`
  return { key, code: 'key-too-long', message }
}
