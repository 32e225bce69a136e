import type { KeyRange, RowKey, TableMapping } from '@mylab-sync/core'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import type { Moment } from './moment.js'

/** More keys than these are not held in memory at once. */
const MAX_KEYS = 100_000
/** More look-ups for one digest cost more than comparing its rows by value. */
const MAX_LOOK_UPS = 5 * KEYS_PER_QUERY

/** Keys of one table that prove nothing at a moment: its drains carried them, or they are parked or quarantined. */
export class ExemptKeys {
  readonly #keys: readonly RowKey[] | null
  readonly #isInteger: boolean

  private constructor(keys: readonly RowKey[] | null, { key }: TableMapping) {
    this.#keys = keys
    this.#isInteger = key?.sameOrder === true && key.columns.length === 1 && key.columns[0]?.rule === 'integer'
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
    const [low, high] = [lower === null ? null : BigInt(this.#isInteger ? lower : 0), upper]
    const keys = this.#isInteger
      ? this.#keys.filter((key) => {
          const value = BigInt(key)
          return (low === null || value > low) && (high === null || value <= BigInt(high))
        })
      : this.#keys
    return keys.length > MAX_LOOK_UPS ? null : keys
  }
}
