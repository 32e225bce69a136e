import {
  batchesOf,
  type Edge,
  isOpen,
  NO_DRAIN,
  type Target,
  type TargetDefinition,
  WHOLE_TABLE,
} from '@mylab-sync/core'
import { inLanes } from '@mylab-sync/runtime'
import { BUILDS_AT_ONCE, type EngineContext, throwIfStopped } from '../context.js'
import { betweenDrains, exclusively, readTarget } from '../transactions.js'
import { loadModel } from '../model/load.js'
import { isTransactional, type Model } from '../model/model.js'
import { mend } from '../capture/repair-log.js'
import { checkTriggers } from '../capture/trigger-fingerprints.js'
import { isSmall } from '../copy/copy-chunk.js'
import { redoWithoutUnfitTables } from '../tables/set-aside.js'
import { targetDefinition } from '../model/target-definition.js'
import { tablesThat } from '../tables/table-states.js'

/** Foreign keys that one transaction adds. */
const FOREIGN_KEYS_TOGETHER = 25

/**
 * Runs control work: checks triggers, including those of the change log, detects changes of tables without triggers, and
 * re-creates constraints that hold again. Returns false while another process does so: of two that build, one would mistake
 * the other's unfinished index for a failed one.
 */
export async function maintain(context: EngineContext, model: Model): Promise<boolean> {
  const done = await exclusively(context, 'maintain', async () => {
    await mend(context)
    await context.source.log.guard()
    await checkTriggers(context, model)
    throwIfStopped(context)
    await redoWithoutUnfitTables(context, model, () => noticeUncaptured(context, model))
    await redoWithoutUnfitTables(context, model, () => breakUnkept(context, model))
    await redoWithoutUnfitTables(context, model, () => buildConstraints(context, model))
    return true
  })
  return done ?? false
}

/** Parks tables whose engine allows no triggers once their content fingerprint changes, so the next drain copies them. */
export async function noticeUncaptured(context: EngineContext, model: Model): Promise<void> {
  const names = [...model.tables.values()]
    .filter((mapping) => !isTransactional(mapping.source))
    .map((mapping) => mapping.source.name)
  if (names.length === 0) return
  const progress = await readTarget(context, (target) => target.tables.all())
  const moved = new Map<string, string>()
  for (const table of names) {
    const known = progress.get(table)
    if (known?.state !== 'recopied') continue
    const sign = await context.source.catalog.contentFingerprint(table)
    if (sign !== known.contentFingerprint) moved.set(table, sign)
  }
  if (moved.size === 0) return
  // A running drain could consume the parked key and read the table in a snapshot from before the change.
  await betweenDrains(context, async (target, states) => {
    for (const [table, contentFingerprint] of moved) {
      if (states.get(table)?.state !== 'recopied') continue
      await target.tables.patch(table, { contentFingerprint })
      await target.parked.park([{ table, key: WHOLE_TABLE, drain: NO_DRAIN, start: false }])
    }
  })
}

/** Breaks tables that the target would not store as given, before the next change of a row shows it. */
async function breakUnkept(context: EngineContext, model: Model): Promise<void> {
  const open = [...(await openTables(context, model))]
  const looked = await context.target.tables.hindrances(open.map((table) => model.mapping(table)))
  for (const { broken } of looked) if (broken) throw broken
}

/** Builds what open tables lack of their indexes, UNIQUEs and foreign keys. The target records what cannot be built. */
async function buildConstraints(context: EngineContext, model: Model): Promise<void> {
  const open = await openTables(context, model)
  const { target } = context
  const definitions = [...open].map((table) => targetDefinition(model, table))
  const { unfinished, unknown } = await dropOutdated(context, open, definitions)
  const unbuilt = await target.constraints.unbuilt(definitions)
  const told = await target.constraints.all()
  const isTold = new Set(told.map(({ table }) => table))
  await inLanes(open, BUILDS_AT_ONCE, async (table) => {
    throwIfStopped(context)
    const mapping = model.mapping(table)
    if (unknown.has(mapping.name)) await target.created.adopt(targetDefinition(model, table))
    if (unfinished.has(mapping.name)) await target.tables.finish(mapping, model.objects(table))
    if (unbuilt.tables.has(mapping.name)) await target.constraints.buildIndexes(mapping, model.objects(table))
    if (!isTold.has(mapping.name)) return
    await target.constraints.buildChecks(mapping, model.objects(table))
    await target.constraints.forget(mapping, model.constraintNames(table))
  })
  // One on record that is validated now is built once more, which removes its record.
  const isRecorded = (edge: Edge): boolean =>
    told.some(({ table, name }) => table === model.mapping(edge.child).name && name === edge.name)
  const edges = model.graph.edges.filter(
    (edge) =>
      edge.notCarried === null &&
      open.has(edge.child) &&
      open.has(edge.parent) &&
      (unbuilt.isForeignKeyDue(model.mapping(edge.child), edge) || isRecorded(edge)),
  )
  await inLanes(byParent(model, edges), BUILDS_AT_ONCE, async (ofParents) => {
    for (const some of batchesOf(ofParents, FOREIGN_KEYS_TOGETHER)) {
      throwIfStopped(context)
      await target.constraints.buildForeignKeys(
        some.map((edge) => ({ edge, child: model.mapping(edge.child), parent: model.mapping(edge.parent) })),
      )
    }
  })
}

/** Two foreign keys to one parent would wait for each other's lock on it. Those between small tables form one group. */
function byParent(model: Model, edges: readonly Edge[]): Iterable<readonly Edge[]> {
  const groups = new Map<string, Edge[]>()
  for (const edge of edges) {
    const isBetweenSmall = [edge.child, edge.parent].every((table) => isSmall(model.mapping(table)))
    const name = isBetweenSmall ? '' : edge.parent
    const group = groups.get(name)
    if (group) group.push(edge)
    else groups.set(name, [edge])
  }
  return groups.values()
}

type Due = Awaited<ReturnType<Target['created']['due']>>

/** Drops objects of ours that the source has dropped or redefined. */
async function dropOutdated(
  context: EngineContext,
  open: ReadonlySet<string>,
  definitions: readonly TargetDefinition[],
): Promise<Due> {
  const { created } = context.target
  const due = await created.due(definitions)
  if (due.outdated.length === 0) return due
  // An outdated model would drop what another process has just built.
  const now = await loadModel(context)
  const latest = [...open].filter((table) => now.tables.has(table)).map((table) => targetDefinition(now, table))
  await created.drop((await created.due(latest)).outdated)
  return due
}

async function openTables(context: EngineContext, model: Model): Promise<Set<string>> {
  const progress = await readTarget(context, (target) => target.tables.all())
  return new Set(tablesThat(progress, isOpen).filter((table) => model.tables.has(table)))
}
