import type { DigestScope, MultisetDifference, TableMapping, TargetRow } from '@mylab-sync/core'
import { both } from '@mylab-sync/runtime'
import { convertRows, SanitisedTally } from '../rows/convert-rows.js'
import { sameDigest } from './digests.js'
import type { Moment } from './moment.js'

const ALL = { lower: null, upper: null }

/** Compares a table that is carried as a whole, as a multiset. Rows that the mapping refuses are missing. */
export async function compareMultisets(moment: Moment, mapping: TableMapping): Promise<MultisetDifference> {
  const { source, target } = moment
  if (mapping.columns.every(({ digest }) => digest !== null)) {
    const scope: DigestScope = { range: ALL, keys: null }
    const [mine, theirs] = await both(source.rows.digest(mapping, scope), target.comparison.digest(mapping, scope))
    if (sameDigest(mine, theirs)) return { rows: mine.rows, missing: 0, surplus: 0 }
  }
  let refused = 0
  const converted = async function* (): AsyncIterable<readonly TargetRow[]> {
    const tally = new SanitisedTally()
    for await (const raw of source.rows.readRange(mapping, ALL)) {
      const batch = convertRows(mapping, raw, tally)
      refused += batch.refused.length
      yield batch.rows
    }
  }
  const { rows, missing, surplus } = await target.comparison.compareWhole(mapping, converted())
  return { rows: rows + refused, missing: missing + refused, surplus }
}
