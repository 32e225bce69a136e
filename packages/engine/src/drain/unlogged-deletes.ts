import type { SourceSnapshot, TableProgress, TargetTransaction } from '@mylab-sync/core'
import type { Model } from '../model/model.js'
import { type Misfit, misfitsFrom } from '../tables/set-aside.js'

/**
 * Of these open tables, those where the target holds a row that the snapshot lacks, and what acts on their rows. Asked
 * when a drain has written all it knows: such a row went without an entry, as by TRUNCATE or a dropped partition.
 * Looks at the first and the last key and a few others, so that a whole table is found at once and a part of one soon;
 * needed only where the storage's own number cannot be read (DESIGN 3.5).
 */
export async function findUnloggedDeletes(
  at: { readonly model: Model; readonly snapshot: SourceSnapshot; readonly target: TargetTransaction },
  tables: readonly string[],
  states: ReadonlyMap<string, TableProgress>,
): Promise<Misfit[]> {
  const { model, snapshot, target } = at
  const stale = new Set((await target.quarantine.all()).map(({ table, key }) => JSON.stringify([table, key])))
  const found: string[] = []
  for (const table of tables) {
    const mapping = model.tables.get(table)
    if (!mapping?.key || model.isWhole(table)) continue
    const keys = (await target.lookup.sample(mapping)).filter((key) => !stale.has(JSON.stringify([table, key])))
    // A look-up finds a key however the target spells it, so that rows are counted and not compared.
    if ((await snapshot.rows.readColumns(mapping, keys, [])).length < keys.length) found.push(table)
  }
  const problem = 'rows were removed without firing a trigger (TRUNCATE or a partition operation)'
  return misfitsFrom(model, states, found, problem)
}
