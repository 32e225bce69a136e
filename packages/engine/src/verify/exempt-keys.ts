import type { KeyRange, RowKey, TableMapping } from '@mylab-sync/core'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import type { Moment } from './moment.js'

/** More keys than these are not held in memory at once. */
const MAX_KEYS = 100_000
/** More look-ups for one digest cost more than comparing its rows by value. */
const MAX_LOOK_UPS = 5 * KEYS_PER_QUERY

/** Keys of one table that prove nothing at a moment: its drains carried them, or they are parked or quarantined. */
export class ExemptKeys {
  /** Null: they are too many. */
  readonly #keys: readonly RowKey[] | null
  /** Their values, if all are integers, ascending as the keys then are; else null. */
  readonly #values: readonly bigint[] | null

  private constructor(keys: readonly RowKey[] | null, { key }: TableMapping) {
    const isInteger = key?.sameOrder === true && key.columns.length === 1 && key.columns[0]?.rule === 'integer'
    const values = isInteger ? keys?.map((each) => ({ key: each, value: BigInt(each) })) : undefined
    values?.sort((a, b) => (a.value < b.value ? -1 : 1))
    this.#keys = values?.map((each) => each.key) ?? keys
    this.#values = values?.map(({ value }) => value) ?? null
  }

  static async read({ target, drains, quarantine }: Moment, mapping: TableMapping): Promise<ExemptKeys> {
    const table = mapping.source.name
    const carried = await target.history.allKeys(drains, table, MAX_KEYS)
    const parked = await target.parked.read([table], MAX_KEYS + 1)
    if (carried === null || parked.length > MAX_KEYS) return new ExemptKeys(null, mapping)
    const refused = quarantine.keys.filter((each) => each.table === table)
    const keys = new Set([...carried, ...[...parked, ...refused].map(({ key }) => key)])
    return new ExemptKeys([...keys], mapping)
  }

  /** Those that may lie in a range, or more; null if they are too many to be looked up. */
  within({ lower, upper }: KeyRange): readonly RowKey[] | null {
    if (this.#keys === null) return null
    const values = this.#values
    const keys =
      values === null
        ? this.#keys
        : this.#keys.slice(
            lower === null ? 0 : countUpTo(values, BigInt(lower)),
            upper === null ? values.length : countUpTo(values, BigInt(upper)),
          )
    return keys.length > MAX_LOOK_UPS ? null : keys
  }
}

/** How many of these ascending values are at most `most`. */
function countUpTo(values: readonly bigint[], most: bigint): number {
  let [low, high] = [0, values.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((values[middle] ?? 0n) <= most) low = middle + 1
    else high = middle
  }
  return low
}
