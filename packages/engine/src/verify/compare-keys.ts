import type { RowKey, TableMapping } from '@mylab-sync/core'
import { convertRows, SanitisedTally } from '../rows/convert-rows.js'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import { slices } from '../slice/dirty-keys.js'
import { type Difference, proven } from './findings.js'
import type { Moment } from './moment.js'

/** Compares rows of the source's snapshot. A row that the mapping refuses is expected in the quarantine, so elsewhere it is missing. */
export async function compareRows(
  moment: Moment,
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
    found.push(...(await moment.target.comparison.compare(mapping, converted.rows)))
  }
  return { rows, found }
}

/** Compares exactly these keys on both sides. */
export async function compareKeys(
  moment: Moment,
  mapping: TableMapping,
  keys: readonly RowKey[],
): Promise<Difference[]> {
  const table = mapping.source.name
  const found: Difference[] = []
  for (const list of slices(keys, KEYS_PER_QUERY)) {
    const held = new Set<RowKey>()
    const wanted = new Set(list)
    const asked = only(wanted, held, moment.source.rows.readKeys(mapping, list))
    found.push(...(await compareRows(moment, mapping, asked)).found)
    const absent = list.filter((key) => !held.has(key))
    for (const key of await moment.target.lookup.present(mapping, absent))
      found.push({ key, kind: 'surplus', columns: [] })
  }
  return proven(moment, table, found)
}

/** A look-up also returns rows that only the source's collation equates with a requested key. */
async function* only<T extends { readonly key: RowKey }>(
  wanted: ReadonlySet<RowKey>,
  held: Set<RowKey>,
  batches: AsyncIterable<T[]>,
): AsyncIterable<T[]> {
  for await (const batch of batches) {
    const rows = batch.filter(({ key }) => wanted.has(key))
    for (const { key } of rows) held.add(key)
    yield rows
  }
}
