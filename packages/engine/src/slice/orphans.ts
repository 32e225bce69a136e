import type { Edge, ParkedKey, TargetTransaction } from '@mylab-sync/core'
import type { Model } from '../model/model.js'

/**
 * Parks, as start keys, all children of these action edges whose parent is not in the target. Returns whether there were
 * any. Where rows of several snapshots are mixed, an action may have changed a row that nothing leads to any more: its
 * parent was deleted before it was read, or its own parent gave it a new key under which the target never held it
 * (docs/decisions/0006-orphans-between-snapshots.md). Such a row is an orphan once all entries are consumed.
 */
export async function parkOrphans(
  target: TargetTransaction,
  model: Model,
  of: { readonly edges: readonly Edge[]; readonly drain: number },
): Promise<boolean> {
  let found = false
  for (const edge of of.edges) {
    if (!edge.action || edge.captureOnlyParent || model.isFullTable(edge.child)) continue
    for await (const keys of target.lookup.orphans(model.mapping(edge.child), model.mapping(edge.parent), edge)) {
      found = true
      await target.parked.park(keys.map((key): ParkedKey => ({ table: edge.child, key, drain: of.drain, start: true })))
    }
  }
  return found
}
