import type { KeyPage, RowKey, SourceSnapshot, TargetTransaction } from '@mylab-sync/core'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import { type EngineContext, throwIfStopped } from '../context.js'
import type { Model } from '../model/model.js'
import { writeTarget } from '../transactions.js'

/** A snapshot is left for a newer one after so many pages, so that the source may purge what it keeps for it. */
const PAGES_PER_SNAPSHOT = 50

interface Looking {
  /** Keys of the target's rows that the source does not hold, page by page and in the target's transaction, which is committed after each page. */
  found(keys: readonly RowKey[], target: TargetTransaction): Promise<void>
  /** Rows that no key of the source can name. */
  strayed(strays: KeyPage['strays'], target: TargetTransaction): Promise<void>
  /** After the last page, before the snapshot is given back. */
  ended(snapshot: SourceSnapshot): Promise<void>
}

/** The source is asked by key, since the two may order keys unlike. */
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
 * Parks the keys of rows that a merge has not touched since the source lacks them. They are never deleted by range:
 * the re-read of catch-up decides, and what foreign keys took with them is found by its closure. A row that is not
 * surplus is so by what the source held: its mark tells whether the source still has that history when the table opens.
 */
export async function parkSurplus(context: EngineContext, model: Model, table: string): Promise<void> {
  await findSurplus(context, model, table, {
    found: (keys, target) => target.parked.park(keys.map((key) => ({ table, key, drain: 0, start: true }))),
    // No entry and no re-read could ever name one.
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
