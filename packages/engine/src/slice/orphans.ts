import type { Edge, ParkedKey, TargetTransaction } from '@mylab-sync/core'
import type { Model } from '../model/model.js'

/**
 * Parks, as start keys, all rows of these action edges' children whose parent is not in the target. Answers whether
 * there were any. Wherever rows of several snapshots stand beside each other, a row may have changed by an action with
 * nothing left that leads to it: its parent was deleted before it was read, or had been given a new key by its own
 * parent, under which the target never held it (docs/decisions/0006-orphans-between-snapshots.md). Such a row is an
 * orphan once all entries are consumed.
 */
export async function parkOrphans(
  target: TargetTransaction,
  model: Model,
  of: { readonly edges: readonly Edge[]; readonly drain: number },
): Promise<boolean> {
  let found = false
  for (const edge of of.edges) {
    if (!edge.action || edge.captureOnlyParent || model.isWhole(edge.child)) continue
    for await (const keys of target.lookup.orphans(model.mapping(edge.child), model.mapping(edge.parent), edge)) {
      found = true
      await target.parked.park(keys.map((key): ParkedKey => ({ table: edge.child, key, drain: of.drain, start: true })))
    }
  }
  return found
}
