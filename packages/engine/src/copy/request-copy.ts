import {
  counted,
  isBeingOpened,
  isCarried,
  SyncError,
  TableBroken,
  type TableState,
  transition,
} from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { captureFingerprints, NO_TRIGGERS } from '../capture/trigger-fingerprints.js'
import type { Model } from '../model/model.js'
import { readTarget, writeTarget } from '../transactions.js'
import { behind, problemIn } from '../tables/set-aside.js'
import { waitsFor } from '../tables/waits.js'
import { type CopyStart, prepareMerge, startCopy } from './start-copy.js'
import { countSurplus } from '../opening/surplus.js'
import { isTableOpen, stateOf, type TableStates } from '../tables/table-states.js'

export interface InitialRequest {
  /** Name patterns; empty means all. */
  readonly tables: readonly string[]
  readonly createTables: boolean
  /** Starts no new copy: only continues an unfinished one, or the first one if its call died before it started anything. */
  readonly resume: boolean
  readonly triggers: boolean
  /** Copies live tables again. */
  readonly force: boolean
  /** Rows of an existing target table that the source lacks may be deleted. */
  readonly takeOver: boolean
}

export interface SkippedTable {
  readonly table: string
  readonly problem: string
}

/** A table that can be filled, before its triggers are checked. */
type Prepared = Pick<CopyStart, 'table' | 'inPlace'>

/** Returns the tables that are being copied now, including those of an earlier call, and lists those that cannot be copied. */
export async function requestCopies(
  context: EngineContext,
  model: Model,
  { selected, request }: { readonly selected: readonly string[]; readonly request: InitialRequest },
): Promise<{ readonly copying: readonly string[]; readonly listed: readonly SkippedTable[] }> {
  const listed: SkippedTable[] = []
  const states = await readTarget(context, (target) => target.tables.all())
  const moving = selected.filter((table) => isMoving(stateOf(states, table)))
  // If nothing ever started, this call to resume is the first one to get this far.
  const resume = request.resume && [...states.values()].some((p) => p.asked || isCarried(p.state))
  const wanted = selected.filter((table) => !moving.includes(table) && isWanted(states, table, { ...request, resume }))
  const asked = new Set(wanted.filter((table) => transition(stateOf(states, table), 'ask-for-copy') !== null))
  for (const table of wanted) if (!asked.has(table)) listed.push({ table, problem: `is ${stateOf(states, table)}` })
  const starts: Prepared[] = []
  // A table is copied together with the descendants of its actions.
  const due = [...model.graph.withDescendants(asked)].filter((table) => asked.has(table) || isTableOpen(states, table))
  const created = request.createTables ? await createMissing(context, model, due) : new Set<string>()
  for (const table of due) {
    if (created.has(table)) {
      starts.push({ table, inPlace: false })
      continue
    }
    const isOurs = isCarried(stateOf(states, table))
    const prepared = await prepareOrRefuse(context, model, table, { ...request, isOurs })
    if (typeof prepared === 'string') listed.push({ table, problem: prepared })
    else starts.push(prepared)
  }
  await limitChunks(context, moving)
  const prepared = await withCapture(context, model, starts, request)
  const { begun, held } = await startCopy(context, model, prepared, 'ask-for-copy')
  for (const [table, parent] of held) listed.push({ table, problem: behind(parent) })
  return { copying: [...moving, ...begun], listed }
}

/** Creates those of these tables that are missing, and returns them; none if one is refused, which each alone shows. */
async function createMissing(
  { target }: EngineContext,
  model: Model,
  tables: readonly string[],
): Promise<ReadonlySet<string>> {
  const existing = await target.tables.existing(tables.map((table) => model.mapping(table)))
  const missing = tables.filter((table) => !existing.has(model.mapping(table).name))
  try {
    await target.tables.create(missing.map((table) => ({ table: model.mapping(table), objects: model.objects(table) })))
    return new Set(missing)
  } catch (error) {
    if (!(error instanceof TableBroken)) throw error
    return new Set()
  }
}

/** Requested triggers exist by now; one that disappears later is detected as missing. */
async function withCapture(
  context: EngineContext,
  model: Model,
  starts: readonly Prepared[],
  { triggers }: InitialRequest,
): Promise<CopyStart[]> {
  const signs = await captureFingerprints(
    context,
    model,
    starts.map(({ table }) => table),
  )
  return starts.map((start) => {
    const sign = signs.get(start.table)
    return { ...start, captured: triggers || sign !== undefined, captureFingerprint: sign ?? NO_TRIGGERS }
  })
}

/** Sets the chunk size of copies that continue, whichever process plans them. */
async function limitChunks(context: EngineContext, tables: readonly string[]): Promise<void> {
  const chunkRows = context.options.batchRows
  if (chunkRows === null || tables.length === 0) return
  await writeTarget(context, async (target) => {
    await target.tables.patchAll(new Map(tables.map((table) => [table, { chunkRows }])))
  })
}

function isWanted(states: TableStates, table: string, request: InitialRequest): boolean {
  if (isTableOpen(states, table) && !request.force) return false
  return !request.resume || states.get(table)?.asked === true
}

function isMoving(state: TableState): boolean {
  return isBeingOpened(state) || state === 'suspect'
}

interface Preparing {
  readonly createTables: boolean
  readonly takeOver: boolean
  readonly isOurs: boolean
}

/** As prepareTable, but returns the target's refusal of a table as its problem, so other tables are still copied. */
async function prepareOrRefuse(
  context: EngineContext,
  model: Model,
  table: string,
  request: Preparing,
): Promise<Prepared | string> {
  try {
    return await prepareTable(context, model, table, request)
  } catch (error) {
    if (!(error instanceof TableBroken) || error.table !== table) throw error
    return problemIn(error)
  }
}

/** Returns how the copy of a table starts, or why the table cannot be filled, with nothing changed. */
async function prepareTable(
  context: EngineContext,
  model: Model,
  table: string,
  request: Preparing,
): Promise<Prepared | string> {
  const { target } = context
  const mapping = model.mapping(table)
  const objects = model.objects(table)
  if ((await target.tables.existing([mapping])).size === 0) {
    if (!request.createTables) {
      throw new SyncError('target-table-missing', `table ${mapping.name} is missing in the target`, {
        remedy: 'mylab-sync initial --create-tables',
      })
    }
    await target.tables.create([{ table: mapping, objects }])
    return { table, inPlace: false }
  }
  const { isOurs } = request
  const [hindrance] = await target.tables.hindrances([mapping])
  if (hindrance?.broken) throw hindrance.broken
  const triggers = hindrance?.triggers ?? []
  if (!isOurs) {
    const obstacle = await obstacleIn(context, model, table, { takeOver: request.takeOver, triggers })
    if (obstacle !== null) return obstacle
    // Rows that pass through triggers are compared by key; a copy into an empty table has no key index yet.
    if (triggers.length === 0 && !(await target.tables.hasRows(mapping))) return { table, inPlace: false }
  }
  const left = await prepareMerge(context, model, { table, isOurs })
  return left.length > 0 ? waitsFor(left).problem : { table, inPlace: true }
}

/** Why a table that we did not fill stays untouched; null if it may be filled. */
async function obstacleIn(
  context: EngineContext,
  model: Model,
  table: string,
  { takeOver, triggers }: { readonly takeOver: boolean; readonly triggers: readonly string[] },
): Promise<string | null> {
  const mapping = model.mapping(table)
  const differences = await context.target.tables.differences(mapping)
  if (differences.length > 0) return `the target's table differs: ${differences.join('; ')}`
  if (takeOver) return null
  if (triggers.length > 0)
    return `the target's table has enabled triggers: ${triggers.join(', ')}; disable them, or let rows through them with --take-over`
  return (await context.target.tables.hasRows(mapping)) ? strangersIn(context, model, table) : null
}

/** Rows that we did not write are deleted only with the user's consent. */
async function strangersIn(context: EngineContext, model: Model, table: string): Promise<string | null> {
  const remedy = 'empty it, or allow deleting its rows with --take-over'
  if (model.isFullTable(table))
    return `the target's table already holds rows, and has no key to compare them by; ${remedy}`
  const surplus = await countSurplus(context, model, table)
  return surplus === 0 ? null : `the target's table holds ${counted(surplus, 'row')} that the source lacks; ${remedy}`
}
