import type { ParkedKey } from '@mylab-sync/core'
import { SanitisedTally } from '../rows/convert-rows.js'
import { Quarantine } from '../rows/quarantine.js'
import { applySlice, type Outcome } from './apply.js'
import { addClosure, addParkedParents } from './closure.js'
import type { DirtyKeys } from './dirty-keys.js'
import { Overflow, ParkedParents, type Slice, type SliceScope } from './slice.js'

/** The keys whose rows one slice makes equal to the snapshot. */
export interface SliceWork {
  /** Number under which further keys are parked: the drain's, or NO_DRAIN for a catch-up. */
  readonly drain: number
  /** Keys of the entries. The slice adds to them. */
  readonly dirty: DirtyKeys
  readonly parked: readonly ParkedKey[]
  /** Tables that open with this slice, which follows the references parked for them. */
  readonly opening: readonly string[]
  /** Keys that the closure may hold in memory; it parks more. */
  readonly maxKeys: number
}

export interface SliceResult {
  readonly outcome: Outcome
  readonly tally: SanitisedTally
  /** The quarantine when the slice began. */
  readonly quarantine: Quarantine
  /** Keys beyond `maxKeys` were parked for a later slice of the same drain. */
  readonly hasOverflown: boolean
}

/**
 * Makes the target's rows of the dirty, parked and quarantined keys and of their closure equal to the snapshot (DESIGN 3.4,
 * steps 2 and 3). The caller records the outcome and removes the parked keys, in the same transaction.
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
  await target.parked.parkParents(parents.all(drain))
  const tally = new SanitisedTally()
  return { outcome: await applySlice(slice, tally), tally, quarantine, hasOverflown: overflow.isUsed }
}

/** Must run before any other closure, which follows the keys found here. */
async function addParentsOf(slice: Slice, opening: readonly string[]): Promise<void> {
  if (opening.length === 0) return
  const { parked } = slice.target
  await addParkedParents(slice, await parked.readParents(opening))
  await parked.removeParents(opening)
}
