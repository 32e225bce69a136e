import { keysAlike, type RowKey, type SourceSnapshot, TableBroken, type TableMapping } from '@mylab-sync/core'

/** Returns the keys that a snapshot holds, byte for byte. Throws TableBroken if two rows share a key. */
export async function findKeys(
  snapshot: SourceSnapshot,
  table: TableMapping,
  keys: readonly RowKey[],
): Promise<ReadonlySet<RowKey>> {
  const rows = await snapshot.rows.readColumns(table, keys, [])
  const found = new Set(rows.map(({ key }) => key))
  if (found.size < rows.length) throw keysAlike(table.source.name)
  return found
}

/**
 * Throws TableBroken if rows that were read by range are not found by their own keys: every changed row of such a table
 * would be mistaken for a deleted one.
 */
export async function checkLookUps(snapshot: SourceSnapshot, table: TableMapping): Promise<void> {
  const keys = await snapshot.rows.sampleKeys(table)
  const found = await findKeys(snapshot, table, keys)
  if (!keys.every((key) => found.has(key))) throw lookUpFails(table)
}

/**
 * Throws TableBroken if another form of look-up finds one of these keys. The first form did not, although the last entry of
 * each key is no delete. A row may be gone even so: by a cascade, or TRUNCATE.
 */
export async function requireAbsent(
  snapshot: SourceSnapshot,
  table: TableMapping,
  keys: readonly RowKey[],
): Promise<void> {
  if (keys.length > 0 && (await snapshot.rows.findAgain(table, keys)).length > 0) throw lookUpFails(table)
}

function lookUpFails({ source: { name }, key }: TableMapping): TableBroken {
  const types = (key?.columns ?? []).map(({ column }) => column.source.columnType.slice(0, 40)).join(', ')
  return new TableBroken(
    name,
    `the source does not find its rows by their key (${types}), so none of its rows is deleted`,
    {
      remedy: 'exclude it or give it another key, and report these column types with the version of the source',
    },
  )
}
