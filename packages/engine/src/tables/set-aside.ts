import {
  forgetsKeys,
  isCarried,
  isKept,
  isOpen,
  SyncError,
  TableBroken,
  TargetTableUnfit,
  type TableEvent,
  type TableFingerprint,
  type TableProgress,
  type TableState,
  type TargetTransaction,
  transition,
} from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'
import { betweenDrains } from '../transactions.js'
import { isFollowed, stateOf } from './table-states.js'

/** A table whose target rows can no longer be kept equal to the source, with the reason. */
export interface Divergence {
  readonly table: string
  readonly event: Extract<TableEvent, 'mismatch' | 'vanish'>
  readonly problem: string
}

/**
 * Finds tables whose history has a gap: their definition or storage has changed, or a table that is set aside may have
 * changed their rows (DESIGN 3.5). `now` holds the source's current tables.
 */
export function findDiverged(
  model: Model,
  states: ReadonlyMap<string, TableProgress>,
  now: ReadonlyMap<string, TableFingerprint>,
): Divergence[] {
  const found = new Map<string, Divergence>()
  for (const progress of states.values()) {
    const problem = problemOf(model, progress, now)
    if (problem) found.set(progress.table, problem)
  }
  for (let more = true; more; ) {
    more = false
    for (const { table, state } of states.values()) {
      if (found.has(table) || !isFollowed(state)) continue
      const cause = model.graph
        .actionParents(table)
        .find((parent) => isCutOff(state, states.get(parent)?.state, found.has(parent)))
      if (cause === undefined) continue
      found.set(table, { table, event: 'mismatch', problem: behind(cause) })
      more = true
    }
  }
  return [...found.values()]
}

/** Returns those of these tables and of their foreign key action descendants that are open, being opened or paused. */
export function divergedWithDescendants(
  model: Model,
  states: ReadonlyMap<string, TableProgress>,
  tables: readonly string[],
  problem: string,
): Divergence[] {
  return [...model.graph.withDescendants(tables)]
    .filter((table) => isFollowed(stateOf(states, table)))
    .map((table) => ({ table, event: 'mismatch', problem }))
}

/** Records the new generation of tables whose definitions have changed without touching a value. */
export async function noteBenignChanges(
  target: TargetTransaction,
  model: Model,
  states: Map<string, TableProgress>,
): Promise<void> {
  for (const progress of states.values()) {
    const { table } = progress
    if (progress.generation === null || !model.tables.has(table)) continue
    const generation = model.generation(table)
    if (generation === progress.generation || !model.isCurrent(table, progress.generation)) continue
    await target.tables.patch(table, { generation })
    states.set(table, { ...progress, generation })
  }
}

/** Sets these tables aside, also in `states`. Throws SyncError internal for a table without a progress row. */
export async function setAsideIn(
  target: TargetTransaction,
  states: Map<string, TableProgress>,
  found: readonly Divergence[],
): Promise<void> {
  for (const { table, event, problem } of found) {
    const progress = states.get(table)
    if (!progress) throw new SyncError('internal', `table ${table} has no recorded state`)
    const state = await target.tables.step(table, event, { problem })
    if (state !== null) states.set(table, { ...progress, state, problem, waits: false })
  }
}

/** An open table requires open parents; one still being opened only requires that its parents' changes are kept. */
function isCutOff(state: TableState, parent: TableState = 'discovered', isFound = false): boolean {
  if (isFound || forgetsKeys(parent)) return true
  return isOpen(state) && isCarried(parent) && !isOpen(parent)
}

/** Returns the reason why a table is set aside or remains so. */
export function behind(parent: string): string {
  return `table ${parent}, whose rows act on it, is not live`
}

function problemOf(
  model: Model,
  progress: TableProgress,
  now: ReadonlyMap<string, TableFingerprint>,
): Divergence | null {
  const { table, state, generation } = progress
  if (!now.has(table)) return vanished(progress)
  if (!isCarried(state)) {
    const isBack = isKept(progress) && model.tables.has(table)
    return isBack ? { table, event: 'mismatch', problem: 'it can be carried again' } : null
  }
  if (state === 'suspect' || state === 'broken' || state === 'copied') return null
  const refusal = model.refusal(table)
  if (refusal) return { table, event: 'mismatch', problem: `${refusal.reason}; ${refusal.remedy}` }
  if (!model.tables.has(table)) return { table, event: 'mismatch', problem: 'the table is no longer selected' }
  if (generation === null || model.isCurrent(table, generation)) return null
  return { table, event: 'mismatch', problem: 'its definition or its storage has changed at the source' }
}

function vanished({ table, state }: TableProgress): Divergence | null {
  if (isUncarried(state))
    return { table, event: 'vanish', problem: 'the table was dropped at the source before it was copied' }
  if (!isCarried(state)) return null
  const problem =
    'the table no longer exists at the source; its rows stay in the target. To silence this, add it to tables.exclude'
  return { table, event: 'vanish', problem }
}

/** The table is known, and the target holds none of its rows. */
function isUncarried(state: TableState): boolean {
  return state === 'discovered' || state === 'capturing' || state === 'refused'
}

/** Sets aside these tables, whose history has a gap, and their action descendants. Returns the tables it set aside. */
export async function setAside(
  context: EngineContext,
  model: Model,
  tables: Iterable<string>,
  problem: string,
): Promise<string[]> {
  const reached = model.graph.withDescendants(tables)
  if (reached.size === 0) return []
  return betweenDrains(context, async (target, states) => {
    const aside: string[] = []
    for (const table of reached) {
      if (transition(stateOf(states, table), 'mismatch') !== 'suspect') continue
      await target.tables.step(table, 'mismatch', { problem })
      aside.push(table)
    }
    return aside
  })
}

/**
 * Runs `work` and repeats it without each table that cannot take part: sets aside a table that is missing or altered in the
 * target, and marks a broken one as broken.
 */
export async function redoWithoutUnfitTables<T>(
  context: EngineContext,
  model: Model,
  work: () => Promise<T>,
): Promise<T> {
  const broken = new Set<string>()
  for (let redo = 0; ; redo++) {
    try {
      return await work()
    } catch (error) {
      if (redo >= MAX_UNFIT || !(await takeOut(context, model, { error, broken }))) throw error
    }
  }
}

/** More redos than a schema has tables are a defect. */
const MAX_UNFIT = 10_000

/** Excludes the table that `error` names from the work; returns false if it cannot. `broken`: those broken so far. */
async function takeOut(
  context: EngineContext,
  model: Model,
  { error, broken }: { readonly error: unknown; readonly broken: Set<string> },
): Promise<boolean> {
  if (error instanceof TableBroken) {
    // Another process may have marked the table meanwhile; work that still reads it would be repeated forever.
    if (broken.has(error.table)) return false
    broken.add(error.table)
    return breakTable(context, error)
  }
  if (!(error instanceof TargetTableUnfit)) return false
  return (await setAside(context, model, [error.table], error.message)).length > 0
}

/** Marks the table as broken. Returns false if its state does not allow that. */
export async function breakTable(context: EngineContext, error: TableBroken): Promise<boolean> {
  return betweenDrains(
    context,
    async ({ tables }) => (await tables.step(error.table, 'break', { problem: problemIn(error) })) !== null,
  )
}

/** Joins a message and its remedy into one line, the format of a table's `problem`. */
export function problemIn({ message, remedy }: Pick<SyncError, 'message' | 'remedy'>): string {
  return remedy === null ? message : `${message}; ${remedy}`
}
