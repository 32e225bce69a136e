import type { ParkedKey, SourceSnapshot, TableState } from '@mylab-sync/core'
import { applySlice } from './apply.js'
import { addClosure, type Slice } from './closure.js'
import { type EngineContext, type OpeningLimits, rulesOf } from './context.js'
import { DirtyKeys } from './dirty-keys.js'
import { drain } from './drain.js'
import type { Model } from './model.js'
import { Quarantine } from './quarantine.js'
import { readTarget } from './read-target.js'
import { SanitisedTally } from './rows.js'
import { settle } from './settle.js'

/** Parked keys that the opening drain takes along; more are caught up before, slice by slice. */
const LAST_SLICE_KEYS = 5_000
const CATCH_UP_KEYS = 20_000
const CATCH_UPS_BEFORE_GROWTH = 8
const MOST_CATCH_UPS = 20
/** A drain that runs when a component opens is waited for. */
const DRAIN_WAIT_MS = 120_000

const DEFAULT_LIMITS: OpeningLimits = { lastSliceKeys: LAST_SLICE_KEYS, catchUpKeys: CATCH_UP_KEYS }

/**
 * Opens an action component whose chunks are all done (DESIGN 3.3): key and foreign key indexes, orphan scan, catch-up,
 * and an ordinary drain that takes its parked keys along. Returns false when another opener is at work or a chunk is open.
 */
export async function openComponent(context: EngineContext, model: Model, tables: readonly string[]): Promise<boolean> {
  const limits = context.openingLimits ?? DEFAULT_LIMITS
  if (!(await allChunksDone(context, tables))) return false
  for (const table of tables) {
    const foreignKeys = model.edges.filter((edge) => edge.child === table)
    const columnSets = foreignKeys.map((edge) => edge.childKey.columns.map((column) => column.column.source.name))
    await context.target.buildKeyIndexes(model.mapping(table), columnSets)
  }
  if (!(await scanOrphans(context, model, tables))) return false
  // Slices must end however fast drains park: each after the first ones takes more, and the last takes what is left.
  for (let slice = 0; slice < MOST_CATCH_UPS && (await isBehind(context, tables, limits)); slice++) {
    const keys = limits.catchUpKeys * 2 ** Math.max(0, slice - CATCH_UPS_BEFORE_GROWTH)
    if (!(await catchUp(context, model, tables, keys))) return false
  }
  const uncaptured = new Set(await context.source.missingTriggers(model.triggerTargets(new Set(tables))))
  const opening = new Map(
    tables.map((table): [string, TableState] => [
      table,
      uncaptured.has(table) ? 'copied' : stateWhenOpen(model, table),
    ]),
  )
  const report = await drain(context, model, { opening, waitMs: DRAIN_WAIT_MS })
  return report.kind === 'done'
}

function stateWhenOpen(model: Model, table: string): TableState {
  return model.isWhole(table) ? 'recopied' : 'live'
}

async function allChunksDone(context: EngineContext, tables: readonly string[]): Promise<boolean> {
  return readTarget(context, async (target) => {
    const progress = await target.progress()
    for (const table of tables) {
      if (!progress.get(table)?.planned || (await target.openChunks(table)) > 0) return false
    }
    return true
  })
}

/**
 * Every row of an action foreign key whose parent is not in the target is parked as a start key: its parent may have
 * been deleted after the row's chunk was read and before the parent's, which leaves no entry that leads to it.
 */
async function scanOrphans(context: EngineContext, model: Model, tables: readonly string[]): Promise<boolean> {
  const target = await context.target.begin()
  try {
    if (!(await target.lockProgress(tables))) return false
    const inside = model.edges.filter((edge) => edge.action && !edge.captureOnlyParent && tables.includes(edge.child))
    for (const edge of rulesOf(context).orphanScan ? inside : []) {
      if (model.isWhole(edge.child)) continue
      const keys = await target.orphanKeys(model.mapping(edge.child), model.mapping(edge.parent), edge)
      const parked = keys.map((key): ParkedKey => ({ table: edge.child, key, drain: 0, start: true }))
      if (parked.length > 0) await target.park(parked)
    }
    for (const table of tables) await target.setProgress(table, { state: 'catching-up' })
    await target.commit()
    return true
  } finally {
    await target.rollback()
  }
}

async function isBehind(context: EngineContext, tables: readonly string[], limits: OpeningLimits): Promise<boolean> {
  return (await readTarget(context, (target) => target.countParked(tables))) > limits.lastSliceKeys
}

/** One slice with its own commit: reads parked rows before its snapshot, and deletes exactly the rows that it read. */
async function catchUp(
  context: EngineContext,
  model: Model,
  tables: readonly string[],
  keys: number,
): Promise<boolean> {
  const rules = rulesOf(context)
  const target = await context.target.begin()
  let snapshot: SourceSnapshot | undefined
  try {
    if (!(await target.lockProgress(tables))) return false
    if (!rules.parkedBeforeSnapshot) {
      snapshot = await context.source.openSnapshot()
      await context.hooks?.betweenLockAndSnapshot?.()
    }
    const parked = await target.parked(tables, keys)
    snapshot ??= await context.source.openSnapshot()
    const dirty = new DirtyKeys()
    for (const { table, key, start } of parked) dirty.add(table, key, start)
    const open = new Set(tables)
    const quarantine = new Quarantine((await target.quarantined()).filter((key) => open.has(key.table)))
    for (const { table, key } of quarantine.keys) dirty.add(table, key, true)
    const slice: Slice = { model, snapshot, target, rules, open, dirty, quarantine, searched: new Set() }
    await addClosure(slice)
    const tally = new SanitisedTally()
    const outcome = await applySlice(slice, tally)
    await settle(target, outcome, { drain: 0, tally })
    await context.hooks?.beforeUnpark?.()
    await target.unpark(parked)
    await target.commit()
    return true
  } finally {
    await target.rollback()
    snapshot?.release()
  }
}
