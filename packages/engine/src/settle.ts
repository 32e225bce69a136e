import type { ParkedKey, RowKey, TargetTransaction } from '@mylab-sync/core'
import type { Outcome } from './apply.js'
import type { SanitisedTally } from './rows.js'

export function byTable(keys: readonly ParkedKey[]): Map<string, Set<RowKey>> {
  const tables = new Map<string, Set<RowKey>>()
  for (const { table, key } of keys) {
    const set = tables.get(table)
    if (set) set.add(key)
    else tables.set(table, new Set([key]))
  }
  return tables
}

/**
 * Writes down what a slice could not apply and what it could again, in the slice's own transaction. A row that stays
 * refused as it was is not written again: every drain reads quarantined keys, and the log would fill with one error.
 */
export async function settle(
  target: TargetTransaction,
  outcome: Outcome,
  at: { drain: number; quarantined: ReadonlyMap<string, ReadonlySet<RowKey>>; tally: SanitisedTally },
): Promise<number> {
  let refusedRows = 0
  for (const [table, keys] of outcome.recovered) await target.releaseQuarantined(table, keys)
  for (const [table, rows] of outcome.refused) {
    const known = at.quarantined.get(table)
    const fresh = rows.filter((row) => !known?.has(row.key))
    refusedRows += fresh.length
    if (fresh.length > 0) await target.quarantine(table, fresh, at.drain)
  }
  const counts = at.tally.counts()
  if (counts.length > 0) await target.addSanitised(counts)
  return refusedRows
}
