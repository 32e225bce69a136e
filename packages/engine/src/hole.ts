import {
  isBeingOpened,
  type SourceSnapshot,
  type TableProgress,
  type TargetTransaction,
  transition,
} from '@mylab-sync/core'
import type { Misfit } from './set-aside.js'

export interface Hole {
  /** Drains after this number have lost their marks: their keys are read again. */
  readonly lostAfter: number | null
  /** A reason to read everything again. */
  readonly problem: string | null
}

/** What the source has lost, or the target (DESIGN 3.6). */
export async function holeOf(
  { target, snapshot }: { readonly target: TargetTransaction; readonly snapshot: SourceSnapshot },
  last: { readonly number: number },
  known: string | null,
): Promise<Hole> {
  if (known !== null) return { lostAfter: null, problem: known }
  if (snapshot.purgedDrain > last.number)
    return { lostAfter: null, problem: 'the target went back further than the change log reaches' }
  if (snapshot.lastDrain >= last.number) return { lostAfter: null, problem: null }
  if (await target.keepsDrainsAfter(snapshot.lastDrain)) return { lostAfter: snapshot.lastDrain, problem: null }
  return { lostAfter: null, problem: 'the source went back further than the keys of past drains are kept' }
}

export function everything(states: ReadonlyMap<string, TableProgress>, problem: string): Misfit[] {
  const carried = [...states.values()].filter((p) => transition(p.state, 'mismatch') === 'suspect')
  return carried.map(({ table }) => ({ table, event: 'mismatch', problem }))
}

/**
 * The source has lost changes since this drain, and chunks that were copied since may hold them: no entry, and no key of a
 * drain, leads to their rows. A table that was opened before then has lost only what drains have carried.
 */
export function copiedSince(states: ReadonlyMap<string, TableProgress>, drain: number): Misfit[] {
  const problem = 'the source went back to before the table was copied'
  const copied = [...states.values()].filter(
    (p) => transition(p.state, 'mismatch') === 'suspect' && (isBeingOpened(p.state) || p.openedDrain > drain),
  )
  return copied.map(({ table }) => ({ table, event: 'mismatch', problem }))
}
