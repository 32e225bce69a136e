import {
  type KeysOf,
  keysAlike,
  type RawRow,
  type RowKey,
  type SourceSnapshot,
  TableBroken,
  type TableMapping,
} from '@mylab-sync/core'

/** The rows of one list of keys, as `readKeys` finds them. */
export async function* readRows(snapshot: SourceSnapshot, of: KeysOf): AsyncGenerator<RawRow[], void, void> {
  for await (const { rows } of snapshot.rows.readKeys([of])) yield rows
}

/** Returns, per table, which of its keys a snapshot holds, byte for byte. Throws TableBroken if two rows share a key. */
export async function findKeys(
  snapshot: SourceSnapshot,
  wanted: readonly KeysOf[],
): Promise<readonly ReadonlySet<RowKey>[]> {
  const held = await snapshot.rows.heldKeys(wanted)
  return wanted.map(({ table }, at) => {
    const keys = held[at] ?? []
    const found = new Set(keys)
    if (found.size < keys.length) throw keysAlike(table.source.name)
    return found
  })
}

/**
 * Throws TableBroken if rows of one of these tables that were read by range are not found by their own keys: every changed
 * row of such a table would be mistaken for a deleted one.
 */
export async function checkLookUps(snapshot: SourceSnapshot, tables: readonly TableMapping[]): Promise<void> {
  const sampled = await snapshot.rows.sampleKeys(tables)
  const wanted = tables.map((table, at) => ({ table, keys: sampled[at] ?? [] }))
  const found = await findKeys(snapshot, wanted)
  for (const [at, { table, keys }] of wanted.entries())
    if (!keys.every((key) => found[at]?.has(key))) throw lookUpFails(table)
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

/** Throws TableBroken if the look-up misses one of these keys that another form of it finds. */
export async function requireFound(snapshot: SourceSnapshot, of: KeysOf): Promise<void> {
  const [found] = await findKeys(snapshot, [of])
  await requireAbsent(
    snapshot,
    of.table,
    of.keys.filter((key) => !found?.has(key)),
  )
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
