import { type ChangeEntry, WHOLE_TABLE } from '@mylab-sync/core'
import { isKeyOf } from '@mylab-sync/mapping'
import { dirtyKeysOf } from '../slice/dirty-keys.js'
import type { Model } from '../model/model.js'

type DirtyKey = ReturnType<typeof dirtyKeysOf>[number]

/**
 * Returns the keys that an entry makes dirty. `other-layout`: its keys have another layout than the table's, so the rows
 * they address are unknown. `malformed`: none of our triggers wrote it, or it is damaged, so the change is unknown.
 */
export function readEntry(model: Model, entry: ChangeEntry): readonly DirtyKey[] | 'other-layout' | 'malformed' {
  const key = model.keyed(entry.table)?.key
  // All entries of a table without a key mean the same.
  if (!key) return dirtyKeysOf({ ...entry, rowKey: WHOLE_TABLE, oldKey: null })
  if (entry.layout !== key.layout) return 'other-layout'
  const keys = dirtyKeysOf(entry)
  return keys.every((each) => isKeyOf(key, each.key, model.catalog.vendor)) ? keys : 'malformed'
}
