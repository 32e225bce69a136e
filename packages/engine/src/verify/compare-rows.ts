import type { TableMapping, TargetTransaction } from '@mylab-sync/core'
import { convertRows, SanitisedTally } from '../rows/convert-rows.js'
import type { Difference } from './findings.js'

/** Compares rows of the source's snapshot. A row that the mapping refuses is expected in the quarantine, so elsewhere it is missing. */
export async function compareRows(
  { target }: { readonly target: Pick<TargetTransaction, 'comparison'> },
  mapping: TableMapping,
  batches: AsyncIterable<Parameters<typeof convertRows>[1]>,
): Promise<{ readonly rows: number; readonly found: readonly Difference[] }> {
  const found: Difference[] = []
  let rows = 0
  // Counted by copy and drain already.
  const tally = new SanitisedTally()
  for await (const raw of batches) {
    rows += raw.length
    const converted = convertRows(mapping, raw, tally)
    found.push(...converted.refused.map(({ key }): Difference => ({ key, kind: 'missing', columns: [] })))
    found.push(...(await target.comparison.compare(mapping, converted.rows)))
  }
  return { rows, found }
}
