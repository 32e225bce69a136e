import { forgetsKeys, type TableState, transition } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'
import { betweenDrains } from '../transactions.js'

export interface CopyStart {
  readonly table: string
  /** The target holds rows of it already. */
  readonly inPlace: boolean
  /** Its triggers stand. */
  readonly captured: boolean
  /** Of triggers that stood before the copy was asked for. */
  readonly captureSign: string
}

/**
 * Before a copy into rows that are there: no constraint of a half-way state stands in the way, a table that we filled
 * (`isOurs`) is what the source's is now, and its key is what rows are merged by. Returns what a human has to run first.
 */
export async function prepareMerge(
  { target, options }: EngineContext,
  model: Model,
  { table, isOurs }: { readonly table: string; readonly isOurs: boolean },
): Promise<string[]> {
  const mapping = model.mapping(table)
  const objects = model.objects(table)
  // Foreign keys of the target hold the key that they reference.
  await target.tables.loosen(mapping, objects, model.graph.edgesAt(table))
  const how = { wait: options.schemaChanges === 'wait' }
  const left = isOurs ? await target.tables.adapt(mapping, objects, how) : []
  // A first copy that was left before it opened has no key yet.
  return left.length > 0 ? left : target.constraints.buildKey(mapping, isOurs ? how : { wait: true })
}

/** Tables whose copies have begun, and those that have to wait for another one, by its name. */
export interface Begun {
  readonly begun: readonly string[]
  readonly held: ReadonlyMap<string, string>
}

/**
 * The step to `copying` takes the drain lock: every change is then either in a chunk's snapshot or parked. What was
 * kept of an earlier copy is forgotten with it. A table whose state does not allow `event` is left out: another process
 * may have begun its copy meanwhile. So is one whose rows a table acts on that forgets what it does; with that one together it may begin.
 */
export async function startCopy(
  context: EngineContext,
  model: Model,
  starts: readonly CopyStart[],
  event: 'ask-for-copy' | 'reconcile',
): Promise<Begun> {
  if (starts.length === 0) return { begun: [], held: new Map() }
  return betweenDrains(context, async (target, states) => {
    const stateOf = (table: string): TableState => states.get(table)?.state ?? 'discovered'
    const allowed = starts.filter(({ table }) => transition(stateOf(table), event) !== undefined)
    const held = heldBack(
      model,
      allowed.map(({ table }) => table),
      (table) => forgetsKeys(stateOf(table)),
    )
    const begun: string[] = []
    for (const { table, inPlace, captured, captureSign } of allowed) {
      if (held.has(table)) continue
      await target.chunks.forgetCopy(table)
      const { estimatedRows } = model.mapping(table).source
      await target.tables.patch(table, {
        state: 'copying',
        asked: false,
        inPlace,
        captured,
        captureSign,
        copyNumber: (states.get(table)?.copyNumber ?? 0) + 1,
        planned: false,
        planBound: null,
        chunkRows: context.options.batchRows,
        // What the target's table was made for: another definition is not copied into it.
        generation: model.generation(table),
        rowsCopied: 0,
        rowsFailed: 0,
        estimatedRows,
        problem: null,
      })
      begun.push(table)
    }
    return { begun, held }
  })
}

/** Of these tables, those with a parent that forgets its keys and does not begin with them; and theirs. */
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
