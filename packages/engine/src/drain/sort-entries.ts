import type { ChangeEntry, ParkedKey } from '@mylab-sync/core'
import { DirtyKeys } from '../slice/dirty-keys.js'
import type { DrainOutcome } from './drain-outcome.js'
import type { Pass } from './pass.js'
import type { Participants } from './participants.js'
import { readEntry } from './read-entry.js'

/**
 * Returns the dirty keys of these entries. Keys of open tables are dirty, keys of tables that will open are parked, all
 * others are dropped. Unreadable entries are recorded in the outcome.
 */
export async function sortEntries(
  { model, target }: Pass,
  { parts, outcome }: { readonly parts: Participants; readonly outcome: DrainOutcome },
  entries: readonly ChangeEntry[],
): Promise<DirtyKeys> {
  const dirty = new DirtyKeys()
  const parked: ParkedKey[] = []
  for (const entry of entries) {
    const { table, id } = entry
    const isDirty = parts.open.has(table) || model.isCaptureOnly(table)
    if (!isDirty && !parts.waiting.has(table)) continue
    const keys = readEntry(model, entry)
    if (keys === 'other-layout') {
      outcome.unreadable.otherLayout.set(table, id)
      continue
    }
    if (keys === 'malformed') {
      outcome.unreadable.malformed.add(table)
      outcome.unsynced.addMalformed(id)
      continue
    }
    for (const { key, start, isThere } of keys) {
      if (isDirty) {
        dirty.add(table, key, start)
        dirty.expect(table, key, isThere)
      } else parked.push({ table, key, drain: outcome.number, start })
    }
  }
  if (parked.length > 0) await target.parked.park(parked)
  return dirty
}
