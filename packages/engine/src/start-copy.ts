import { type TableState, transition } from '@mylab-sync/core'
import type { EngineContext } from './context.js'
import type { Model } from './model.js'
import { betweenDrains } from './write-target.js'

export interface CopyStart {
  readonly table: string
  /** The target holds rows of it already. */
  readonly inPlace: boolean
}

/**
 * The step to `copying` takes the drain lock: every change is then either in a chunk's snapshot or parked. What was
 * kept of an earlier copy is forgotten with it. A table whose state does not allow `event` is left out: another process
 * may have begun its copy meanwhile.
 */
export async function startCopy(
  context: EngineContext,
  model: Model,
  starts: readonly CopyStart[],
  event: 'ask-for-copy' | 'reconcile',
): Promise<string[]> {
  if (starts.length === 0) return []
  return betweenDrains(context, async (target, states) => {
    const begun: string[] = []
    for (const { table, inPlace } of starts) {
      const state: TableState | undefined = transition(states.get(table)?.state ?? 'discovered', event)
      if (state === undefined) continue
      await target.forgetCopy(table)
      const { estimatedRows } = model.mapping(table).source
      await target.setProgress(table, {
        state,
        asked: false,
        inPlace,
        planned: false,
        planBound: null,
        generation: null,
        rowsCopied: 0,
        rowsFailed: 0,
        estimatedRows,
        problem: null,
      })
      begun.push(table)
    }
    return begun
  })
}
