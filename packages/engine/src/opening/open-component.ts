import {
  ConstraintViolated,
  isBeingOpened,
  isOpen,
  keysAlike,
  type ParkedKey,
  parksKeys,
  type SourceSnapshot,
  SyncError,
  TableBroken,
  type TableMapping,
  type TableState,
  type TargetTransaction,
} from '@mylab-sync/core'
import { applySlice } from '../slice/apply.js'
import { addClosure, Overflow, ParkedParents, type Slice } from '../slice/closure.js'
import { type EngineContext, goOn, limitsOf, reach, rulesOf } from '../context.js'
import { DirtyKeys } from '../slice/dirty-keys.js'
import { drain } from '../drain/drain.js'
import { exclusively, readTarget, writeTarget } from '../transactions.js'
import type { Model } from '../model/model.js'
import { parkOrphans } from '../slice/orphans.js'
import { Quarantine } from '../rows/quarantine.js'
import { captureSigns, isMadeAnew, TRIGGERS_GONE } from '../capture/trigger-fingerprints.js'
import { breakTable, setAside, settingAside } from '../tables/set-aside.js'
import { parkSurplus } from './surplus.js'
import { suspending } from '../tables/redo.js'
import { SanitisedTally } from '../rows/convert-rows.js'
import { settle } from '../slice/record-outcome.js'

/** More than a component has. */
const MOST_SUSPENSIONS = 200
/** A drain that runs when a component opens is waited for. */
const DRAIN_WAIT_MS = 120_000

/**
 * `waiting`: a chunk is open, or another opener is at work. `blocked`: a parent whose rows act on it is closed, or the
 * table is not to be opened. `set-aside`: a definition has changed meanwhile.
 */
export type Opening = 'opened' | 'waiting' | 'blocked' | 'set-aside'

/**
 * Opens an action component whose chunks are all done (DESIGN 3.3), or several of one table each: key and foreign key
 * indexes, surplus and orphan scans, catch-up, and an ordinary drain that takes its parked keys along.
 */
export async function openComponent(context: EngineContext, model: Model, tables: readonly string[]): Promise<Opening> {
  try {
    return await openTogether(context, model, tables)
  } catch (error) {
    if (!isOfTables(error)) throw error
    return openApart(context, model, { tables, error })
  }
}

/** Neither a server nor the network nor the work's own end: what somebody's table makes of a statement. */
function isOfTables(error: unknown): error is SyncError {
  return error instanceof SyncError && (error.code === 'internal' || error.code === 'truncated-read')
}

/**
 * Finds which of a group of lone tables cannot be opened: each is tried alone, and what fails is broken, so that it holds
 * up no other one. Where all of several fail it is no fault of one table, and none is broken for it.
 */
async function openApart(
  context: EngineContext,
  model: Model,
  { tables, error }: { readonly tables: readonly string[]; readonly error: SyncError },
): Promise<Opening> {
  const parts = model.components(tables)
  const failures: (readonly [tables: readonly string[], error: SyncError])[] = []
  if (parts.length === 1) failures.push([tables, error])
  else
    for (const part of parts) {
      goOn(context)
      await openTogether(context, model, part).catch((cause: unknown) => {
        if (!isOfTables(cause)) throw cause
        failures.push([part, cause])
      })
    }
  if (parts.length > 1 && failures.length === parts.length) throw error
  for (const [part, cause] of failures) await breakAll(context, part, cause)
  return 'set-aside'
}

async function breakAll(context: EngineContext, tables: readonly string[], cause: SyncError): Promise<void> {
  for (const table of tables) {
    const remedy = `remove the cause, then mylab-sync initial --table ${table}`
    await breakTable(context, new TableBroken(table, `it cannot be opened: ${cause.message}`, { remedy, cause }))
  }
}

async function openTogether(context: EngineContext, model: Model, tables: readonly string[]): Promise<Opening> {
  const [first = ''] = [...tables].sort()
  // Groups of lone tables may overlap.
  const name = model.isLone(first) ? 'open lone tables' : `open ${first}`
  const opening = await exclusively(context, name, (stillAlone) =>
    settingAside(context, model, () => openAlone(context, model, { tables, stillAlone })),
  )
  return opening ?? 'waiting'
}

interface ToOpen {
  readonly tables: readonly string[]
  readonly stillAlone: () => Promise<void>
}

async function openAlone(context: EngineContext, model: Model, { tables: all, stillAlone }: ToOpen): Promise<Opening> {
  const ready = await readyToOpen(context, model, all)
  if (typeof ready === 'string') return ready
  const { merged, copies, gapped } = ready
  if (gapped.length > 0) {
    await setAside(context, model, gapped, CHUNKS_GONE)
    return 'set-aside'
  }
  const tables = [...copies.keys()]
  for (const table of tables) {
    const foreignKeys = model.edges.filter((edge) => edge.child === table)
    const columnSets = foreignKeys.map((edge) => edge.childKey.columns.map((column) => column.column.source.name))
    goOn(context)
    await buildKeyIndexes(context, model.mapping(table), columnSets)
  }
  await reach(context, 'opening:indexed')
  for (const table of merged) if (model.mapping(table).key) await parkSurplus(context, model, table)
  await reach(context, 'opening:surplus')
  goOn(context)
  if (!(await scanOrphans(context, model, copies))) return 'waiting'
  await reach(context, 'opening:scanned')
  if (!(await catchUpAll(context, model, copies))) return 'waiting'
  const capture = await captureOf(context, model, tables)
  if (capture.holes.length > 0) {
    await setAside(context, model, capture.holes, TRIGGERS_GONE)
    return 'set-aside'
  }
  const opening = new Map(
    tables.map((table): [string, TableState] => [
      table,
      capture.missing.has(table) ? 'copied' : stateWhenOpen(model, table),
    ]),
  )
  goOn(context)
  // What the steps before have found is known from them alone: chunks that are done, surplus, orphans.
  const report = await drain(context, model, { opening, copies, waitMs: DRAIN_WAIT_MS, beforeCommit: stillAlone })
  if (report.kind === 'busy') return 'waiting'
  return report.opened ? 'opened' : 'set-aside'
}

/** A first copy writes without the key's index, so that two rows of one key show when it is built. */
async function buildKeyIndexes(
  { target }: EngineContext,
  table: TableMapping,
  foreignKeys: readonly (readonly string[])[],
): Promise<void> {
  try {
    await target.constraints.buildKeyIndexes(table, foreignKeys)
  } catch (error) {
    throw error instanceof ConstraintViolated && error.kind === 'unique' ? keysAlike(table.source.name, error) : error
  }
}

/**
 * Tables without triggers, and those whose changes nobody has kept since their copy began: the triggers that stood then
 * are gone, or others came after it.
 */
async function captureOf(
  context: EngineContext,
  model: Model,
  tables: readonly string[],
): Promise<{ readonly missing: ReadonlySet<string>; readonly holes: readonly string[] }> {
  const signs = await captureSigns(context, model, tables)
  const states = await readTarget(context, (target) => target.tables.all())
  const missing = new Set(tables.filter((table) => !signs.has(table)))
  const isHole = (table: string): boolean => {
    const progress = states.get(table)
    return progress?.captured === missing.has(table) || (progress !== undefined && isMadeAnew(progress, signs))
  }
  return { missing, holes: tables.filter(isHole) }
}

function stateWhenOpen(model: Model, table: string): TableState {
  return model.isWhole(table) ? 'recopied' : 'live'
}

const CHUNKS_GONE = 'chunks of its copy are missing in the state'

interface Ready {
  /** Those of which somebody has deleted chunks: who knows what was copied. */
  readonly gapped: readonly string[]
  /** Those that were merged into rows of the target. */
  readonly merged: readonly string[]
  readonly copies: Copies
}

/**
 * Tables with the number of the copy that is opened. Preparing takes minutes where millions of rows are surplus;
 * meanwhile a table may be set aside and its copy begun anew, which forgets what was parked for the old one.
 */
type Copies = ReadonlyMap<string, number>

/** Why the component cannot open now, or what of it is opened. */
async function readyToOpen(context: EngineContext, model: Model, all: readonly string[]): Promise<Ready | Opening> {
  return readTarget(context, async (target) => {
    const progress = await target.tables.all()
    if (all.every((table) => isOpen(progress.get(table)?.state ?? 'discovered'))) return 'opened'
    // Lone tables open together and wait for none of each other: one that cannot go on keeps no other closed.
    const areLone = model.components(all).length === all.length
    const tables = all.filter((table) => !areLone || isBeingOpened(progress.get(table)?.state ?? 'broken'))
    if (tables.length === 0) return 'blocked'
    for (const table of tables) {
      const own = progress.get(table)
      if (!own || !isBeingOpened(own.state)) return 'blocked'
      if (own.state === 'copying' && (!own.planned || (await target.chunks.countPending(table)) > 0)) return 'waiting'
    }
    if (model.isBlocked(tables, (table) => isOpen(progress.get(table)?.state ?? 'discovered'))) return 'blocked'
    const merged = tables.filter((table) => progress.get(table)?.state === 'copying' && progress.get(table)?.inPlace)
    const gapped = await target.chunks.gapped(tables.filter((table) => progress.get(table)?.state === 'copying'))
    return { gapped, merged, copies: new Map(tables.map((table) => [table, progress.get(table)?.copyNumber ?? 0])) }
  })
}

/**
 * The progress rows of tables whose same copies are still to be opened, locked. Asked again under the lock: an opener that comes
 * late would close what another has opened, or write rows of its older snapshot beside the drains.
 */
async function lockClosed(target: TargetTransaction, copies: Copies): Promise<boolean> {
  if (!(await target.tables.lock([...copies.keys()]))) return false
  const progress = await target.tables.all()
  return [...copies].every(([table, number]) => {
    const now = progress.get(table)
    return now !== undefined && isBeingOpened(now.state) && now.copyNumber === number
  })
}

/** Before the catch-up, which reads most of them outside the drain lock, and after it, for what its own slices have left. */
async function scanOrphans(context: EngineContext, model: Model, copies: Copies): Promise<boolean> {
  const tables = [...copies.keys()]
  return writeTarget(context, async (target) => {
    if (!(await lockClosed(target, copies))) return false
    const edges = model.edges.filter((edge) => tables.includes(edge.child))
    if (rulesOf(context).orphanScan) await parkOrphans(target, model, { edges, drain: 0 })
    for (const table of tables) await target.tables.patch(table, { state: 'catching-up' })
    return true
  })
}

/**
 * Slices end however fast drains park: at the first that gets no nearer, the opening drain takes what is left. False:
 * somebody else is at these tables.
 */
async function catchUpAll(context: EngineContext, model: Model, copies: Copies): Promise<boolean> {
  const tables = [...copies.keys()]
  const { lastSliceKeys, catchUpKeys } = limitsOf(context)
  const countBehind = (): Promise<number> =>
    readTarget(context, async (target) =>
      [...(await target.parked.counts(tables)).values()].reduce((sum, count) => sum + count, 0),
    )
  let before = Number.POSITIVE_INFINITY
  for (let behind = await countBehind(); behind > lastSliceKeys && behind < before; behind = await countBehind()) {
    goOn(context)
    const isDone = await suspending(context, { model, most: MOST_SUSPENSIONS }, () =>
      catchUp(context, model, copies, catchUpKeys),
    )
    if (!isDone) return false
    before = behind
  }
  const isUntouched = before === Number.POSITIVE_INFINITY
  return isUntouched || (await scanOrphans(context, model, copies))
}

/** One slice with its own commit: reads parked rows before its snapshot, and deletes exactly the rows that it read. */
async function catchUp(context: EngineContext, model: Model, copies: Copies, keys: number): Promise<boolean> {
  const tables = [...copies.keys()]
  await using target = await context.target.begin()
  let snapshot: SourceSnapshot | undefined
  try {
    if (!(await lockClosed(target, copies))) return false
    const early = rulesOf(context).parkedBeforeSnapshot ? await target.parked.read(tables, keys) : null
    if (!early) snapshot = await context.source.openSnapshot()
    await reach(context, 'catch-up:begun')
    snapshot ??= await context.source.openSnapshot()
    const parked = early ?? (await target.parked.read(tables, keys))
    await applyParked({ context, model, target, snapshot }, tables, parked)
    await reach(context, 'catch-up:applied')
    await target.parked.remove(parked)
    await target.history.addWatermark(tables, await snapshot.leaveMark())
    await target.commit()
    await reach(context, 'catch-up:committed')
    return true
  } finally {
    snapshot?.release()
  }
}

interface CatchingUp {
  readonly context: EngineContext
  readonly model: Model
  readonly target: TargetTransaction
  readonly snapshot: SourceSnapshot
}

async function applyParked(
  { context, model, target, snapshot }: CatchingUp,
  tables: readonly string[],
  parked: readonly ParkedKey[],
): Promise<void> {
  const open = new Set(tables)
  const dirty = new DirtyKeys()
  for (const { table, key, start } of parked) dirty.add(table, key, start)
  const quarantine = new Quarantine((await target.quarantine.all()).filter((key) => open.has(key.table)))
  for (const { table, key } of quarantine.keys) dirty.add(table, key, true)
  const states = [...(await target.tables.all()).values()]
  const waiting = new Set(states.filter((p) => parksKeys(p.state) && !open.has(p.table)).map((p) => p.table))
  const parents = new ParkedParents()
  const rules = rulesOf(context)
  const slice: Slice = {
    model,
    snapshot,
    target,
    rules,
    open,
    waiting,
    parents,
    dirty,
    quarantine,
    overflow: new Overflow(0, 2 * limitsOf(context).catchUpKeys),
    searched: new Set(),
  }
  await addClosure(slice)
  await target.parked.parkParents(parents.all(0))
  const tally = new SanitisedTally()
  const outcome = await applySlice(slice, tally)
  await settle(target, outcome, { drain: 0, tally })
}
