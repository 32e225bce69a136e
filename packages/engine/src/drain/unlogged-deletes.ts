import type { SourceSnapshot, TableProgress, TargetTransaction } from '@mylab-sync/core'
import type { Model } from '../model/model.js'
import { type Divergence, divergedWithDescendants } from '../tables/set-aside.js'

/**
 * Finds open tables whose target holds a row that the snapshot lacks, with their descendants. Runs after a drain's last
 * write: such a row was deleted without an entry, as by TRUNCATE or a dropped partition. Samples the first key, the last
 * key and a few others, so an emptied table is found at once and a part of one soon. Needed only if the storage's own
 * number cannot be read (DESIGN 3.5).
 */
export async function findUnloggedDeletes(
  at: { readonly model: Model; readonly snapshot: SourceSnapshot; readonly target: TargetTransaction },
  tables: readonly string[],
  states: ReadonlyMap<string, TableProgress>,
): Promise<Divergence[]> {
  const { model, snapshot, target } = at
  const stale = new Set((await target.quarantine.all()).map(({ table, key }) => JSON.stringify([table, key])))
  const found: string[] = []
  for (const table of tables) {
    const mapping = model.tables.get(table)
    if (!mapping?.key || model.isFullTable(table)) continue
    const keys = (await target.lookup.sample(mapping)).filter((key) => !stale.has(JSON.stringify([table, key])))
    // A look-up finds a key however the target spells it, so rows are counted and not compared.
    if ((await snapshot.rows.readColumns(mapping, keys, [])).length < keys.length) found.push(table)
  }
  const problem = 'rows were removed without firing a trigger (TRUNCATE or a partition operation)'
  return divergedWithDescendants(model, states, found, problem)
}
