import {
  batchesOf,
  ConstraintViolated,
  type FirstIndexes,
  isBeingOpened,
  keysAlike,
  SyncError,
  TableBroken,
} from '@mylab-sync/core'
import { inLanes } from '@mylab-sync/runtime'
import { BUILDS_AT_ONCE, type EngineContext, throwIfStopped } from '../context.js'
import { drain } from '../drain/drain.js'
import { exclusively, readTarget } from '../transactions.js'
import type { Model } from '../model/model.js'
import { targetDefinition } from '../model/target-definition.js'
import { isSmall } from '../copy/copy-chunk.js'
import { captureFingerprints, isMadeAnew, TRIGGERS_GONE } from '../capture/trigger-fingerprints.js'
import { breakTable, setAside, redoWithoutUnfitTables } from '../tables/set-aside.js'
import { catchUp, scanOrphans } from './catch-up.js'
import type { Copies } from './copies.js'
import { parkSurplus } from './surplus.js'
import { DRAIN_WAIT_MS, type OpeningEvent } from '../drain/pass.js'
import { isTableOpen, isTableBeingOpened } from '../tables/table-states.js'

/** Tables whose indexes are built by one transaction. */
const TABLES_TOGETHER = 25

/**
 * `waiting`: a chunk is pending, or another process is opening. `blocked`: an action parent is closed, or the table is not
 * to be opened. `set-aside`: a definition changed meanwhile.
 */
export type Opening = 'opened' | 'waiting' | 'blocked' | 'set-aside'

/**
 * Opens an action component whose chunks are all done (DESIGN 3.3), or several of one table each: builds key and foreign key
 * indexes, scans for surplus rows and orphans, catches up, and runs an ordinary drain that includes the parked keys.
 */
export async function openComponent(context: EngineContext, model: Model, tables: readonly string[]): Promise<Opening> {
  try {
    return await openTogether(context, model, tables)
  } catch (error) {
    if (!isOfTables(error)) throw error
    return openApart(context, model, { tables, error })
  }
}

/** An error that one table causes: not of a server, the network or a cancelled job. */
function isOfTables(error: unknown): error is SyncError {
  return error instanceof SyncError && (error.code === 'internal' || error.code === 'truncated-read')
}

/**
 * Opens each table of a group without action edges alone and breaks those that fail, so they block no other table. If all
 * of several fail, the fault is not one table's and none is broken.
 */
async function openApart(
  context: EngineContext,
  model: Model,
  { tables, error }: { readonly tables: readonly string[]; readonly error: SyncError },
): Promise<Opening> {
  const parts = model.graph.components(tables)
  const failures: (readonly [tables: readonly string[], error: SyncError])[] = []
  if (parts.length === 1) failures.push([tables, error])
  else
    for (const part of parts) {
      throwIfStopped(context)
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
  // Groups of tables without action edges may overlap.
  const name = model.graph.hasNoActionParent(first) ? 'open lone tables' : `open ${first}`
  const opening = await exclusively(context, name, (stillAlone) =>
    redoWithoutUnfitTables(context, model, () => openAlone(context, model, { tables, stillAlone })),
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
  await inLanes(indexGroups(model, tables), BUILDS_AT_ONCE, async (group) => {
    throwIfStopped(context)
    await buildKeyIndexes(
      context,
      group.map((table) => firstIndexes(model, table, { merged: merged.includes(table) })),
    )
  })
  for (const table of merged) if (model.mapping(table).key) await parkSurplus(context, model, table)
  throwIfStopped(context)
  if (!(await scanOrphans(context, model, copies))) return 'waiting'
  if (!(await catchUp(context, model, copies))) return 'waiting'
  const capture = await captureOf(context, model, tables)
  if (capture.holes.length > 0) {
    await setAside(context, model, capture.holes, TRIGGERS_GONE)
    return 'set-aside'
  }
  const opening = new Map(
    tables.map((table): [string, OpeningEvent] => [
      table,
      capture.missing.has(table) ? 'end-uncaptured' : model.isFullTable(table) ? 'open-keyless' : 'open',
    ]),
  )
  throwIfStopped(context)
  // Checks that the lock never lapsed: only the previous steps know about done chunks, surplus rows and orphans.
  const report = await drain(context, model, { opening, copies, waitMs: DRAIN_WAIT_MS, beforeCommit: stillAlone })
  if (report.kind === 'busy') return 'waiting'
  return report.opened ? 'opened' : 'set-aside'
}

/** A first copy writes without the key's index, so two rows with one key are detected when it is built. */
async function buildKeyIndexes({ target }: EngineContext, tables: readonly FirstIndexes[]): Promise<void> {
  try {
    await target.constraints.buildKeyIndexes(tables)
  } catch (error) {
    if (!(error instanceof ConstraintViolated) || error.kind !== 'unique') throw error
    const violated = tables.find(({ table }) => table.name === error.table)
    throw violated ? keysAlike(violated.table.source.name, error) : error
  }
}

/** Small tables together, and each other table alone. */
function indexGroups(model: Model, tables: readonly string[]): (readonly string[])[] {
  const small = tables.filter((table) => isSmall(model.mapping(table)))
  const others = tables.filter((table) => !small.includes(table))
  return [...others.map((table) => [table]), ...batchesOf(small, TABLES_TOGETHER)]
}

/** Indexes that are not UNIQUE are built before the table opens, while nobody writes it: concurrently takes twice as long. */
function firstIndexes(model: Model, table: string, { merged }: { readonly merged: boolean }): FirstIndexes {
  const { table: mapping, objects, foreignKeyColumns } = targetDefinition(model, table)
  return { table: mapping, foreignKeyColumns, plain: merged ? [] : objects.indexes.filter(({ unique }) => !unique) }
}

/**
 * Returns tables without triggers, and tables with a gap in their capture since the copy started: their triggers were
 * dropped, or created later.
 */
async function captureOf(
  context: EngineContext,
  model: Model,
  tables: readonly string[],
): Promise<{ readonly missing: ReadonlySet<string>; readonly holes: readonly string[] }> {
  const signs = await captureFingerprints(context, model, tables)
  const states = await readTarget(context, (target) => target.tables.all())
  const missing = new Set(tables.filter((table) => !signs.has(table)))
  const isHole = (table: string): boolean => {
    const progress = states.get(table)
    return progress?.captured === missing.has(table) || (progress !== undefined && isMadeAnew(progress, signs))
  }
  return { missing, holes: tables.filter(isHole) }
}

const CHUNKS_GONE = 'chunks of its copy are missing from the state'

interface Ready {
  /** Tables whose chunk rows were deleted, so what was copied is unknown. */
  readonly gapped: readonly string[]
  /** Tables copied into rows that the target already held. */
  readonly merged: readonly string[]
  readonly copies: Copies
}

/** Returns why the component cannot open now, or which of its tables open. */
async function readyToOpen(context: EngineContext, model: Model, all: readonly string[]): Promise<Ready | Opening> {
  return readTarget(context, async (target) => {
    const progress = await target.tables.all()
    if (all.every((table) => isTableOpen(progress, table))) return 'opened'
    // Tables without action edges open together but independently: one that cannot open blocks no other.
    const areLone = model.graph.components(all).length === all.length
    const tables = all.filter((table) => !areLone || isTableBeingOpened(progress, table))
    if (tables.length === 0) return 'blocked'
    for (const table of tables) {
      const own = progress.get(table)
      if (!own || !isBeingOpened(own.state)) return 'blocked'
      if (own.state === 'copying' && !own.planned) return 'waiting'
    }
    const copying = tables.filter((table) => progress.get(table)?.state === 'copying')
    if ((await target.chunks.countPending(copying)) > 0) return 'waiting'
    if (model.graph.isBlocked(tables, (table) => isTableOpen(progress, table))) return 'blocked'
    const merged = copying.filter((table) => progress.get(table)?.inPlace)
    const gapped = await target.chunks.gapped(copying)
    return { gapped, merged, copies: new Map(tables.map((table) => [table, progress.get(table)?.copyNumber ?? 0])) }
  })
}
