import type { TargetTransaction } from '@mylab-sync/core'
import type { Outcome } from './apply.js'
import type { SanitisedTally } from '../rows/convert-rows.js'

/** Quarantines a slice's refused rows, releases recovered ones and adds its sanitised counts, in the slice's transaction. Returns the number of refused rows. */
export async function recordOutcome(
  target: TargetTransaction,
  outcome: Outcome,
  at: { readonly drain: number; readonly tally: SanitisedTally },
): Promise<number> {
  let refusedRows = 0
  for (const [table, keys] of outcome.recovered) await target.quarantine.release(table, keys)
  for (const [table, rows] of outcome.refused) {
    refusedRows += rows.length
    if (rows.length > 0) await target.quarantine.add(table, rows, at.drain)
  }
  const counts = at.tally.counts()
  if (counts.length > 0) await target.quarantine.addSanitised(counts)
  return refusedRows
}
