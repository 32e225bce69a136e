import { isDeepStrictEqual } from 'node:util'
import { isKept, type SourceDefinitions, SyncError } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { readTarget } from '../transactions.js'
import { Model } from './model.js'
import { matcherOf } from './selection.js'

/**
 * Builds the model. No snapshot covers definitions: a table that changes between two queries shows old columns with new
 * keys. Throws SyncError generation-changed if a failure may come from that.
 */
async function modelOf(
  context: Pick<EngineContext, 'source' | 'options'>,
  read: SourceDefinitions,
  carried: ReadonlySet<string> | null,
): Promise<Model> {
  try {
    return keptModel(read, context, carried)
  } catch (error) {
    if (error instanceof SyncError || isDeepStrictEqual(await context.source.catalog.fingerprints(), read.fingerprints))
      throw error
    throw new SyncError('generation-changed', 'definitions of the source changed while they were read', {
      cause: error,
    })
  }
}

interface KeptModel {
  readonly options: EngineContext['options']
  readonly carried: string | null
  readonly model: Model
}

/** Keeps the latest model of each set of definitions for reuse: the model of a schema with 400 wide tables takes 40 MB. */
const keptModels = new WeakMap<SourceDefinitions, KeptModel>()

function keptModel(
  read: SourceDefinitions,
  context: Pick<EngineContext, 'options'>,
  carried: ReadonlySet<string> | null,
): Model {
  const { options } = context
  const names = carried === null ? null : JSON.stringify([...carried].sort())
  const kept = keptModels.get(read)
  if (kept?.options === options && kept.carried === names) return kept.model
  const model = new Model(read, context, carried)
  keptModels.set(read, { options, carried: names, model })
  return model
}

/** Loads the model of all selected tables; ignores the target. With `tryTables`, refuses tables the source cannot read. */
export async function wholeModel(
  context: Pick<EngineContext, 'source' | 'options'>,
  options: { readonly tryTables: boolean } = { tryTables: false },
): Promise<Model> {
  return modelOf(context, await context.source.catalog.definitions(options), null)
}

/** Loads the model of the tables that the target carries. */
export async function loadModel(context: EngineContext): Promise<Model> {
  const carried = await carriedTables(context)
  return told(context, await modelOf(context, await context.source.catalog.definitions(), new Set(carried)))
}

/** Passes the model's tables to the target: it must know which of its tables are carried. */
function told({ target }: EngineContext, model: Model): Model {
  target.tables.carries([...model.tables.values()])
  return model
}

/** As loadModel, but adds the tables that `patterns` match (all if empty) and refuses tables the source cannot read. */
export async function modelWith(context: EngineContext, patterns: readonly string[]): Promise<Model> {
  if (patterns.length === 0) return told(context, await wholeModel(context, { tryTables: true }))
  const definitions = await context.source.catalog.definitions({ tryTables: true })
  const named = definitions.catalog.tables.map((table) => table.name).filter(matcherOf(patterns))
  const carried = (await context.target.admin.migrated()) ? await carriedTables(context) : []
  return told(context, await modelOf(context, definitions, new Set([...carried, ...named])))
}

async function carriedTables(context: EngineContext): Promise<string[]> {
  const progress = await readTarget(context, (target) => target.tables.all())
  return [...progress.values()].filter(isKept).map((p) => p.table)
}
