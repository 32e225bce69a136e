import { type KeyPage, NO_DRAIN, type RowKey, type SourceSnapshot, type TargetTransaction } from '@mylab-sync/core'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import { type EngineContext, throwIfStopped } from '../context.js'
import type { Model } from '../model/model.js'
import { writeTarget } from '../transactions.js'

/** Pages before the snapshot is renewed, so that the source can purge its undo log. */
const PAGES_PER_SNAPSHOT = 50

interface Looking {
  /** Receives keys that only the target holds, page by page, in the target's transaction, which commits after each page. */
  found(keys: readonly RowKey[], target: TargetTransaction): Promise<void>
  /** Receives rows that no key of the source can address. */
  strayed(strays: KeyPage['strays'], target: TargetTransaction): Promise<void>
  /** Called after the last page, before the snapshot ends. */
  ended(snapshot: SourceSnapshot): Promise<void>
}

/** Looks keys up at the source one by one, since the two servers may order keys differently. */
async function findSurplus(context: EngineContext, model: Model, table: string, looking: Looking): Promise<void> {
  const mapping = model.mapping(table)
  await using snapshot = await context.source.openSnapshot()
  let after: readonly string[] | null = null
  for (let page = 1; page === 1 || after !== null; page++) {
    throwIfStopped(context)
    if (page % PAGES_PER_SNAPSHOT === 0) await snapshot.refresh()
    const from: readonly string[] | null = after
    after = await writeTarget(context, async (target) => {
      const { keys, strays, next } = await target.lookup.keysAfter(mapping, from, KEYS_PER_QUERY)
      if (strays.length > 0) await looking.strayed(strays, target)
      const surplus = await absent(snapshot, model, table, keys)
      if (surplus.length > 0) await looking.found(surplus, target)
      return next
    })
  }
  await looking.ended(snapshot)
}

async function absent(
  snapshot: SourceSnapshot,
  model: Model,
  table: string,
  keys: readonly RowKey[],
): Promise<readonly RowKey[]> {
  if (keys.length === 0) return []
  const held = new Set((await snapshot.rows.readColumns(model.mapping(table), keys, [])).map((row) => row.key))
  return keys.filter((key) => !held.has(key))
}

/**
 * Parks the keys of rows that only the target holds. They are never deleted by range: catch-up's re-read decides, and its
 * closure finds what foreign keys removed with them. "Not surplus" was decided from this snapshot. Its watermark lets the
 * opening check that the source still has that history.
 */
export async function parkSurplus(context: EngineContext, model: Model, table: string): Promise<void> {
  await findSurplus(context, model, table, {
    found: (keys, target) => target.parked.park(keys.map((key) => ({ table, key, drain: NO_DRAIN, start: true }))),
    // No entry and no re-read can ever address one.
    strayed: (strays, target) => target.rows.deleteStrays(model.mapping(table), strays),
    async ended(snapshot) {
      const mark = await snapshot.watermarks.leave()
      await writeTarget(context, (target) => target.history.addWatermark([table], mark))
    },
  })
}

export async function countSurplus(context: EngineContext, model: Model, table: string): Promise<number> {
  let count = 0
  await findSurplus(context, model, table, {
    found: async (keys) => void (count += keys.length),
    strayed: async (strays) => void (count += strays.length),
    ended: async () => {},
  })
  return count
}
