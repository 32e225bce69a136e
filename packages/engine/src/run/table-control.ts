import { type TableEvent, transition } from '@mylab-sync/core'
import type { EngineContext, Progress } from '../context.js'
import { loadModel } from '../model/load.js'
import { openTables } from './open-tables.js'
import { setAside } from '../tables/set-aside.js'
import { betweenDrains } from '../transactions.js'
import { stateOf } from '../tables/table-states.js'

/**
 * Pauses these tables and their foreign key action descendants: their keys are parked until `resumeTables`. Returns the
 * tables it paused.
 */
export async function pauseTables(context: EngineContext, patterns: readonly string[]): Promise<string[]> {
  const model = await loadModel(context)
  return step(context, model.graph.withDescendants(model.select(patterns)), 'pause')
}

/** Resumes these tables and their foreign key action descendants, and returns when the resumed ones are open. */
export async function resumeTables(
  context: EngineContext,
  patterns: readonly string[],
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<string[]> {
  const model = await loadModel(context)
  const resumed = await step(context, model.graph.withDescendants(model.select(patterns)), 'resume')
  await openTables({ context, progress, signal }, (table) => resumed.includes(table.table))
  return resumed
}

/** Copies these tables and their foreign key action descendants again in place, and returns when they are open. */
export async function resyncTables(
  context: EngineContext,
  patterns: readonly string[],
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<string[]> {
  const model = await loadModel(context)
  const tables = await setAside(context, model, model.select(patterns), 'a new copy was requested')
  await openTables({ context, progress, signal }, (table) => tables.includes(table.table))
  return tables
}

async function step(context: EngineContext, tables: Iterable<string>, event: TableEvent): Promise<string[]> {
  return betweenDrains(context, async (target, states) => {
    const stepped: string[] = []
    for (const table of tables) {
      const before = stateOf(states, table)
      const next = transition(before, event)
      if (next === null || next === before) continue
      await target.tables.step(table, event)
      stepped.push(table)
    }
    return stepped
  })
}
