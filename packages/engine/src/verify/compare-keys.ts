import type { RowKey, TableMapping } from '@mylab-sync/core'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import { slices } from '../slice/dirty-keys.js'
import { compareRows } from './compare-rows.js'
import type { Difference } from './findings.js'
import type { Moment } from './moment.js'
import { proven } from './proven.js'

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
    const asked = only(wanted, held, moment.source.rows.readKeys([{ table: mapping, keys: list }]))
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
  batches: AsyncIterable<{ readonly rows: T[] }>,
): AsyncIterable<T[]> {
  for await (const batch of batches) {
    const rows = batch.rows.filter(({ key }) => wanted.has(key))
    for (const { key } of rows) held.add(key)
    yield rows
  }
}
