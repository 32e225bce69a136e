import { isBeingOpened, type TableProgress, type TargetTransaction, transition } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Judgement, Sides } from './ownership.js'
import type { Misfit } from '../tables/set-aside.js'

export interface Hole {
  /** Drains after this number have lost their marks: their keys are read again. */
  readonly lostAfter: number | null
  /** A reason to read everything again. */
  readonly problem: string | null
}

/** What of the target's drains the source's history does not hold (DESIGN 3.6). */
export async function holeOf(
  { target, snapshot }: Sides,
  judgement: Exclude<Judgement, { kind: 'take-back' }>,
): Promise<Hole> {
  if (judgement.kind === 'read-everything') return { lostAfter: null, problem: judgement.problem }
  const { last, common } = judgement
  if (snapshot.purgedDrain > common)
    return { lostAfter: null, problem: 'the target went back further than the change log reaches' }
  if (common === last.number) return { lostAfter: null, problem: null }
  if (await target.history.keepsAfter(common)) return { lostAfter: common, problem: null }
  return { lostAfter: null, problem: 'the source went back further than the keys of past drains are kept' }
}

/**
 * Tables that no keys of drains can heal. No entry and no key of a drain leads to what their chunks and catch-up have
 * copied of changes that the source has lost since; only the marks tell that those have left there.
 */
export async function lostTables(
  { context, target }: { readonly context: EngineContext; readonly target: TargetTransaction },
  states: ReadonlyMap<string, TableProgress>,
  { hole: { lostAfter, problem }, opening }: { readonly hole: Hole; readonly opening: ReadonlySet<string> },
): Promise<Misfit[]> {
  const setAside = (tables: readonly string[], why: string): Misfit[] =>
    tables.map((table) => ({ table, event: 'mismatch', problem: why }))
  const carried = [...states.values()].filter((p) => transition(p.state, 'mismatch') === 'suspect')
  if (problem !== null)
    return setAside(
      carried.map((p) => p.table),
      problem,
    )
  const isInDoubt = (p: TableProgress): boolean =>
    opening.has(p.table) || (lostAfter !== null && (isBeingOpened(p.state) || p.openedDrain > lostAfter))
  const marks = await target.history.watermarks(carried.filter(isInDoubt).map((p) => p.table))
  const lost: string[] = []
  for (const [table, tokens] of marks) if (!(await context.source.hasMarks(tokens))) lost.push(table)
  return setAside(lost, 'the source went back to before the table was copied')
}
