import type { RefusedRow, RowKey, TableMapping, TargetRow } from '@mylab-sync/core'
import { addClosure, KEYS_A_LIST, learnPresence, type Slice } from './closure.js'
import { slices } from './dirty-keys.js'
import { convertRows, type SanitisedTally } from './rows.js'

/** What a slice reports of rows that could not be written, and of those that can be again. */
export interface Outcome {
  readonly refused: Map<string, RefusedRow[]>
  readonly recovered: Map<string, RowKey[]>
}

/**
 * Makes the target's rows of all dirty keys what the snapshot holds: absent ones deleted first, then every returned row
 * written by its returned bytes, also one that only the source's collation equates with a key asked for.
 */
export async function applySlice(slice: Slice, tally: SanitisedTally): Promise<Outcome> {
  const outcome: Outcome = { refused: new Map(), recovered: new Map() }
  for (let more = true; more; ) {
    more = false
    for (const table of slice.dirty.tables()) {
      if (!slice.open.has(table)) continue
      const keys = slice.dirty.takeUnapplied(table)
      if (keys.length === 0) continue
      more = true
      if (slice.model.isWhole(table)) await replaceWhole(slice, table, tally)
      else await applyKeys({ slice, table: slice.model.mapping(table), tally, outcome }, keys)
    }
  }
  return outcome
}

async function replaceWhole({ model, snapshot, target }: Slice, table: string, tally: SanitisedTally): Promise<void> {
  const mapping = model.mapping(table)
  async function* converted(): AsyncIterable<readonly TargetRow[]> {
    for await (const raw of snapshot.readRange(mapping, { lower: null, upper: null })) {
      yield convertRows(mapping, raw, tally).rows
    }
  }
  await target.replaceTable(mapping, converted())
}

interface Applying {
  readonly slice: Slice
  readonly table: TableMapping
  readonly tally: SanitisedTally
  readonly outcome: Outcome
}

async function applyKeys(applying: Applying, keys: readonly RowKey[]): Promise<void> {
  const { slice, table } = applying
  const name = table.source.name
  const present: RowKey[] = []
  // All deletes come before the first write: a key found in the target may be spelt otherwise than the source spells
  // it (a FLOAT's digits), and would then delete what was just written.
  for (const list of slices(keys, KEYS_A_LIST)) {
    await learnPresence(slice, table, list)
    const absent = list.filter((key) => slice.dirty.presence(name, key) === false)
    for (const key of list) present.push(key)
    if (absent.length === 0) continue
    await slice.target.deleteKeys(table, absent)
    const quarantined = slice.quarantined.get(name)
    if (quarantined)
      note(
        applying.outcome.recovered,
        name,
        absent.filter((key) => quarantined.has(key)),
      )
  }
  for (const list of slices(present, KEYS_A_LIST)) {
    const held: HeldRows[] = []
    for await (const raw of slice.snapshot.readKeys(table, list)) {
      const { rows, refused } = convertRows(table, raw, applying.tally)
      note(applying.outcome.refused, name, refused)
      const holders = rows.length > 0 ? await write(applying, rows) : null
      if (holders) held.push({ rows, holders })
    }
    // The snapshot answers one read at a time, so holders outside the dirty keys wait for the end of the list.
    for (const batch of held) await chase(applying, batch)
  }
}

interface HeldRows {
  readonly rows: readonly TargetRow[]
  readonly holders: readonly RowKey[]
}

/** Writes a batch; answers with the rows that hold a wanted UNIQUE value and are not dirty, where nothing was written. */
async function write(
  { slice, table, outcome }: Applying,
  rows: readonly TargetRow[],
): Promise<readonly RowKey[] | null> {
  const name = table.source.name
  const uniques = slice.model.objects(name).indexes.filter((index) => index.unique && !index.deferrable)
  for (;;) {
    const result = await slice.target.upsertRows(table, rows, uniques)
    if (result.kind === 'done') {
      note(outcome.refused, name, result.refused)
      const quarantined = slice.quarantined.get(name)
      if (!quarantined) return null
      const refused = new Set(result.refused.map((row) => row.key))
      note(
        outcome.recovered,
        name,
        rows.map((row) => row.key).filter((key) => quarantined.has(key) && !refused.has(key)),
      )
      return null
    }
    const strangers = result.holders.filter((key) => !slice.dirty.has(name, key))
    if (strangers.length > 0) return strangers
    await slice.target.deleteKeys(table, result.holders)
  }
}

/**
 * In a backlog's slice a holder may not be read yet: its entry belongs to a later slice. It is read now, with its
 * closure, before its old values are gone.
 */
async function chase(applying: Applying, { rows, holders }: HeldRows): Promise<void> {
  const { slice, table } = applying
  for (const key of holders) slice.dirty.add(table.source.name, key, true)
  await addClosure(slice)
  await slice.target.deleteKeys(table, holders)
  const more = await write(applying, rows)
  if (more) await chase(applying, { rows, holders: more })
}

function note<T>(into: Map<string, T[]>, table: string, items: readonly T[]): void {
  if (items.length === 0) return
  const list = into.get(table)
  if (list) list.push(...items)
  else into.set(table, [...items])
}
