import type { ParkedKey } from '@mylab-sync/core'
import { reach } from '../context.js'
import { SanitisedTally } from '../rows/convert-rows.js'
import { Quarantine } from '../rows/quarantine.js'
import { applySlice, type Outcome } from './apply.js'
import { addClosure, addParkedParents } from './closure.js'
import type { DirtyKeys } from './dirty-keys.js'
import { Overflow, ParkedParents, type Slice, type SliceScope } from './slice.js'

/** What a slice brings to the snapshot's state. */
export interface SliceWork {
  /** The drain under whose number keys are parked; 0: a catch-up. */
  readonly drain: number
  /** Keys of entries; the slice adds to them. */
  readonly dirty: DirtyKeys
  readonly parked: readonly ParkedKey[]
  /** Tables that open with this slice: it takes what their parents consumed meanwhile. */
  readonly opening: readonly string[]
  /** Most keys that the closure holds in memory; more are parked. */
  readonly maxKeys: number
}

export interface SliceResult {
  readonly outcome: Outcome
  readonly tally: SanitisedTally
  /** As it was when the slice began. */
  readonly quarantine: Quarantine
  /** Keys beyond `maxKeys` are parked, for a later slice of the same drain. */
  readonly hasOverflown: boolean
}

/**
 * Makes the target's rows of the dirty keys, the parked ones, the quarantined ones and their closure what the snapshot
 * holds (DESIGN 3.4, 2 and 3). Records nothing of the outcome; the caller removes the parked rows in the same transaction.
 */
export async function runSlice(scope: SliceScope, work: SliceWork): Promise<SliceResult> {
  const { target } = scope
  const { dirty, parked, drain } = work
  const quarantine = new Quarantine((await target.quarantine.all()).filter((key) => scope.open.has(key.table)))
  for (const { table, key } of quarantine.keys) dirty.add(table, key, true)
  for (const { table, key, start } of parked) dirty.add(table, key, start)
  const parents = new ParkedParents()
  const overflow = new Overflow(drain, work.maxKeys)
  const slice: Slice = { ...scope, parents, dirty, quarantine, overflow, searched: new Set() }
  await addParentsOf(slice, work.opening)
  await addClosure(slice)
  await reach(scope.context, 'drain:closed')
  await target.parked.parkParents(parents.all(drain))
  const tally = new SanitisedTally()
  return { outcome: await applySlice(slice, tally), tally, quarantine, hasOverflown: overflow.isUsed }
}

/** Before any other closure, which follows what this one finds. */
async function addParentsOf(slice: Slice, opening: readonly string[]): Promise<void> {
  if (opening.length === 0) return
  const { parked } = slice.target
  await addParkedParents(slice, await parked.readParents(opening))
  await parked.removeParents(opening)
}
