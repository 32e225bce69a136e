import type { Difference } from './findings.js'
import type { Moment } from './moment.js'
import { stillMissing } from './transient-keys.js'

/**
 * Removes differences that prove nothing: keys that the moment's drains carried, which may have changed between its two
 * snapshots, quarantined keys, keys that are parked for the next drain, and keys that a row had only for a while.
 */
export async function proven(moment: Moment, table: string, found: readonly Difference[]): Promise<Difference[]> {
  const { drains, target, quarantine, model } = moment
  const doubted = found.filter(({ key }) => quarantine.find(table, key) === undefined)
  if (doubted.length === 0) return []
  const keys = doubted.map(({ key }) => key)
  const carried = await target.history.recordedKeys(drains, table, keys)
  const parked = await target.parked.among(table, keys)
  const left = doubted.filter(({ key }) => !carried.has(key) && !parked.has(key))
  const missing = left.flatMap(({ kind, key }) => (kind === 'missing' ? [key] : []))
  if (missing.length === 0 || !model.graph.movesKeysOf(table)) return left
  const still = await stillMissing(moment.context, model, { table, keys: missing })
  return left.filter(({ kind, key }) => kind !== 'missing' || still.has(key))
}
