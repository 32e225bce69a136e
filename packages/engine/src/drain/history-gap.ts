import { isBeingOpened, type TableProgress, type TargetTransaction, transition } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { gapOf, type HistoryGap } from './history-verdict.js'
import type { Judgement, Sides } from './ownership.js'
import type { Divergence } from '../tables/set-aside.js'

/** Reads what the verdict needs beside itself, and finds the gap. */
export async function findHistoryGap(
  { target: { history }, snapshot: { purgedDrain } }: Sides,
  judgement: Exclude<Judgement, { kind: 'take-back' | 'look-again' }>,
): Promise<HistoryGap> {
  const isBehind = judgement.kind === 'go-on' && judgement.common !== judgement.last.number
  const keepsKeys = isBehind && (await history.keepsAfter(judgement.common))
  return gapOf(judgement, { purgedDrain, keepsKeys })
}

/**
 * Finds tables that replaying drains' keys cannot heal. Chunks and catch-up may have copied changes that the source has
 * since lost. Neither the log nor the drain history leads to those rows; only the watermarks reveal it.
 */
export async function lostTables(
  { context, target }: { readonly context: EngineContext; readonly target: TargetTransaction },
  states: ReadonlyMap<string, TableProgress>,
  { gap: { lostAfter, problem }, opening }: { readonly gap: HistoryGap; readonly opening: ReadonlySet<string> },
): Promise<Divergence[]> {
  const setAside = (tables: readonly string[], why: string): Divergence[] =>
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
  if (await context.source.log.hasWatermarks([...new Set([...marks.values()].flat())])) return []
  for (const [table, tokens] of marks) if (!(await context.source.log.hasWatermarks(tokens))) lost.push(table)
  return setAside(lost, 'the source went back to before the table was copied')
}
