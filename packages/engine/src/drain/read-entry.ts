import type { ChangeEntry } from '@mylab-sync/core'
import { isKeyOf } from '@mylab-sync/mapping'
import { dirtyKeysOf } from '../slice/dirty-keys.js'
import type { Model } from '../model/model.js'

type DirtyKey = ReturnType<typeof dirtyKeysOf>[number]

/**
 * The keys that an entry makes dirty. `other-layout`: they are of another layout than the table's, so that which rows they
 * speak of is not known. `malformed`: no trigger of ours wrote it, or it is damaged, and what it would have told is not known.
 */
export function readEntry(model: Model, entry: ChangeEntry): readonly DirtyKey[] | 'other-layout' | 'malformed' {
  const key = model.keyed(entry.table)?.key
  // Of a table without a key every entry says the same.
  if (!key) return dirtyKeysOf({ ...entry, rowKey: '', oldKey: null })
  if (entry.layout !== key.layout) return 'other-layout'
  const keys = dirtyKeysOf(entry)
  return keys.every((each) => isKeyOf(key, each.key, model.catalog.vendor)) ? keys : 'malformed'
}
