import { forgetsKeys, type ProgressChange, transition } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'
import { betweenDrains } from '../transactions.js'
import { stateOf } from '../tables/table-states.js'

export interface CopyStart {
  readonly table: string
  /** The target already holds rows of it. */
  readonly inPlace: boolean
  /** Its triggers exist. */
  readonly captured: boolean
  /** Fingerprint of the triggers that existed before the copy was requested. */
  readonly captureFingerprint: string
}

/**
 * Prepares a copy into existing rows: drops constraints that intermediate states would violate, adapts a table that we filled
 * (`isOurs`) to the source's definition, and builds the key that rows are merged by. Returns the statements that a person
 * must run first.
 */
export async function prepareMerge(
  { target, options }: EngineContext,
  model: Model,
  { table, isOurs }: { readonly table: string; readonly isOurs: boolean },
): Promise<string[]> {
  const mapping = model.mapping(table)
  const objects = model.objects(table)
  // Foreign keys in the target depend on the key that they reference.
  await target.tables.loosen(mapping, objects, model.graph.edgesAt(table))
  const how = { wait: options.schemaChanges === 'wait' }
  const left = isOurs ? await target.tables.adapt(mapping, objects, how) : []
  // A first copy that was abandoned before it opened has no key yet.
  return left.length > 0 ? left : target.constraints.buildKey(mapping, isOurs ? how : { wait: true })
}

/** Tables whose copies have started, and tables that wait for another one, with its name. */
export interface Begun {
  readonly begun: readonly string[]
  readonly held: ReadonlyMap<string, string>
}

/**
 * Steps tables to `copying` under the drain lock: every change is then either in a chunk's snapshot or parked. Discards what
 * an earlier copy left. Skips a table whose state does not allow `event`, since another process may have started its copy.
 * Also skipped: a table with an action parent whose changes are being discarded. It may start together with that parent.
 */
export async function startCopy(
  context: EngineContext,
  model: Model,
  starts: readonly CopyStart[],
  event: 'ask-for-copy' | 'reconcile',
): Promise<Begun> {
  if (starts.length === 0) return { begun: [], held: new Map() }
  return betweenDrains(context, async (target, states) => {
    const allowed = starts.filter(({ table }) => transition(stateOf(states, table), event) !== null)
    const held = heldBack(
      model,
      allowed.map(({ table }) => table),
      (table) => forgetsKeys(stateOf(states, table)),
    )
    const free = allowed.filter(({ table }) => !held.has(table))
    if (free.length > 0) await target.chunks.forgetCopy(free.map(({ table }) => table))
    const changes = new Map<string, ProgressChange>()
    for (const { table, inPlace, captured, captureFingerprint } of free) {
      const { estimatedRows } = model.mapping(table).source
      changes.set(table, {
        asked: false,
        inPlace,
        captured,
        captureFingerprint,
        copyNumber: (states.get(table)?.copyNumber ?? 0) + 1,
        planned: false,
        planBound: null,
        chunkRows: context.options.batchRows,
        // The definition that the target's table was made for; no other one is copied into it.
        generation: model.generation(table),
        rowsCopied: 0,
        rowsFailed: 0,
        estimatedRows,
        problem: null,
      })
    }
    return { begun: await target.tables.stepAll(event, changes), held }
  })
}

/** Tables with an action parent that discards its changes and does not start with them, and the descendants of those. */
function heldBack(
  model: Model,
  tables: readonly string[],
  forgets: (table: string) => boolean,
): ReadonlyMap<string, string> {
  const held = new Map<string, string>()
  const beginning = new Set(tables)
  for (let more = true; more; ) {
    more = false
    for (const table of beginning) {
      const parent = model.graph
        .actionParents(table)
        .find((candidate) => forgets(candidate) && !beginning.has(candidate))
      if (parent === undefined) continue
      beginning.delete(table)
      held.set(table, parent)
      more = true
    }
  }
  return held
}
