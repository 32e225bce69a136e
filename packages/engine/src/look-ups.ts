import { keysAlike, type RowKey, type SourceSnapshot, type TableMapping } from '@mylab-sync/core'

/** Which of these keys a snapshot holds, byte for byte. Throws TableBroken where two rows have one key. */
export async function findKeys(
  snapshot: SourceSnapshot,
  table: TableMapping,
  keys: readonly RowKey[],
): Promise<ReadonlySet<RowKey>> {
  const rows = await snapshot.readColumns(table, keys, [])
  const found = new Set(rows.map(({ key }) => key))
  if (found.size < rows.length) throw keysAlike(table.source.name)
  return found
}
