import {
  type ParkedKey,
  type SourceSnapshot,
  type TableProgress,
  type TargetTransaction,
  transition,
} from '@mylab-sync/core'
import type { Misfit } from './set-aside.js'

/** What the source has lost, or the target: keys to read again, or a reason to read everything again (DESIGN 3.6). */
export async function holeOf(
  { target, snapshot }: { readonly target: TargetTransaction; readonly snapshot: SourceSnapshot },
  last: { readonly number: number },
  known: string | null,
): Promise<{ readonly keys: readonly ParkedKey[]; readonly problem: string | null }> {
  if (known !== null) return { keys: [], problem: known }
  if (snapshot.purgedDrain > last.number)
    return { keys: [], problem: 'the target went back further than the change log reaches' }
  if (snapshot.lastDrain >= last.number) return { keys: [], problem: null }
  const kept = await target.drainKeysAfter(snapshot.lastDrain)
  if (kept.complete) return { keys: kept.keys, problem: null }
  return { keys: [], problem: 'the source went back further than the keys of past drains are kept' }
}

export function everything(states: ReadonlyMap<string, TableProgress>, problem: string): Misfit[] {
  const carried = [...states.values()].filter((p) => transition(p.state, 'mismatch') === 'suspect')
  return carried.map(({ table }) => ({ table, event: 'mismatch', problem }))
}
