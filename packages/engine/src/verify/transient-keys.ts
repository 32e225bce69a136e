import { isOpen, type RowKey } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { drain } from '../drain/drain.js'
import { DRAIN_WAIT_MS } from '../drain/pass.js'
import type { Model } from '../model/model.js'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import { readRows } from '../rows/look-ups.js'
import { slices } from '../slice/dirty-keys.js'
import { compareRows } from './compare-rows.js'

/** A drain holds its lock while it compares them. */
const KEYS_PER_DRAIN = 5_000

/**
 * Returns those of these keys that the target still lacks at the end of a drain, by that drain's own snapshot. Needed for
 * tables whose keys foreign key actions change: a row that is moved twice between two drains has in between a key that no
 * entry and no closure leads to, since neither the target nor the later snapshot holds it, but that a snapshot may show.
 */
export async function stillMissing(
  context: EngineContext,
  model: Model,
  of: { readonly table: string; readonly keys: readonly RowKey[] },
): Promise<ReadonlySet<RowKey>> {
  const missing = new Set<RowKey>()
  for (const keys of slices(of.keys, KEYS_PER_DRAIN))
    for (const key of await missingAtDrain(context, model, { ...of, keys })) missing.add(key)
  return missing
}

async function missingAtDrain(
  context: EngineContext,
  model: Model,
  { table, keys }: Parameters<typeof stillMissing>[2],
): Promise<readonly RowKey[]> {
  const generation = model.generation(table)
  let missing: RowKey[] = []
  await drain(context, model, {
    waitMs: DRAIN_WAIT_MS,
    beforeCommit: async ({ model: current, snapshot, target }) => {
      missing = []
      const mapping = current.tables.get(table)
      const state = (await target.tables.all()).get(table)?.state
      // Its next walk begins again.
      if (mapping === undefined || current.generation(table) !== generation || !state || !isOpen(state)) return
      const quarantined = new Set(
        (await target.quarantine.all()).filter((each) => each.table === table).map(({ key }) => key),
      )
      for (const list of slices(keys, KEYS_PER_QUERY)) {
        const asked = new Set(list)
        const { found } = await compareRows({ target }, mapping, readRows(snapshot, { table: mapping, keys: list }))
        for (const { key, kind } of found)
          if (kind === 'missing' && asked.has(key) && !quarantined.has(key)) missing.push(key)
      }
    },
  })
  return missing
}
