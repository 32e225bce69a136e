import type { RowDifference, RowKey } from '@mylab-sync/core'
import type { Moment } from './moment.js'

export type DifferenceKind = RowDifference['kind'] | 'surplus'

export interface Difference {
  readonly key: RowKey
  readonly kind: DifferenceKind
  /** Names of the source's columns that differ. */
  readonly columns: readonly string[]
}

/**
 * Removes differences that prove nothing: keys that the moment's drains carried, which may have changed between its two
 * snapshots, quarantined keys, and keys that are parked for the next drain.
 */
export async function proven(
  { drains, target, quarantine }: Moment,
  table: string,
  found: readonly Difference[],
): Promise<readonly Difference[]> {
  const doubted = found.filter(({ key }) => quarantine.find(table, key) === undefined)
  if (doubted.length === 0) return []
  const keys = doubted.map(({ key }) => key)
  const carried = await target.history.recordedKeys(drains, table, keys)
  const parked = await target.parked.among(table, keys)
  return doubted.filter(({ key }) => !carried.has(key) && !parked.has(key))
}
