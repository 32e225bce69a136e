import { isOpen, SyncError, type TableState, transition } from '@mylab-sync/core'
import type { EngineContext, Progress } from './context.js'
import { copyChunk, planChunk } from './copy-chunk.js'
import { drain } from './drain.js'
import { install, migrate, register } from './install.js'
import { maintain } from './maintain.js'
import { loadModel, type Model } from './model.js'
import { openComponent } from './open-component.js'
import { pause } from './pause.js'
import { readTarget } from './read-target.js'
import { verifyCounts } from './verify-counts.js'

export interface InitialRequest {
  /** Name patterns; empty: all. */
  readonly tables: readonly string[]
  readonly createTables: boolean
  /** Starts no new table: only an unfinished copy goes on. */
  readonly resume: boolean
  readonly triggers: boolean
  /** Copies again what is live. */
  readonly force: boolean
}

export interface InitialReport {
  readonly tables: readonly {
    table: string
    state: TableState
    rows: number
    sourceRows: number
    problem: string | null
  }[]
  readonly listed: readonly { table: string; problem: string }[]
}

const DRAIN_WAIT_MS = 60_000
const PAUSE_MS = 500

/**
 * The first copy, by one process: capture first, then chunks in parallel beside drains that park, then each action
 * component opens. Returns when every selected table is open or listed with its reason. A signal ends it after the
 * chunks that run; another call goes on where it stopped.
 */
export async function initial(
  context: EngineContext,
  request: InitialRequest,
  progress: Progress,
  signal: AbortSignal,
): Promise<InitialReport> {
  if (!(await context.target.migrated()) || !(await context.source.migrated())) await migrate(context)
  const model = await loadModel(context)
  const selected = model.select(request.tables)
  if (request.triggers) {
    const targets = model.triggerTargets(new Set(selected))
    await install(context, { targets, recreate: false }, progress)
    await register(
      context,
      model,
      targets.map((target) => target.table),
    )
  } else await register(context, model, [])
  const wanted = await askForCopy(context, model, { selected, request })
  await copyAndOpen({ context, model, progress, signal }, wanted.copying)
  signal.throwIfAborted()
  await maintain(context, model)
  return report(context, model, selected, wanted.listed)
}

/** The step to `copying` takes the drain lock: every change is then either in a chunk's snapshot or parked. */
async function askForCopy(
  context: EngineContext,
  model: Model,
  { selected, request }: { selected: readonly string[]; request: InitialRequest },
): Promise<{ copying: string[]; listed: { table: string; problem: string }[] }> {
  const listed: { table: string; problem: string }[] = []
  const fresh: string[] = []
  const copying: string[] = []
  const states = await readTarget(context, (target) => target.progress())
  for (const table of selected) {
    const state = states.get(table)?.state ?? 'discovered'
    if (state === 'copying' || state === 'catching-up') copying.push(table)
    else if (isOpen(state) && !request.force) continue
    else if (request.resume) continue
    else if (transition(state, 'ask-for-copy') === undefined) listed.push({ table, problem: `is ${state}` })
    else {
      const problem = await prepareTable(context, model, table, request)
      if (problem === null) fresh.push(table)
      else listed.push({ table, problem })
    }
  }
  const target = await context.target.beginDrainWaiting(DRAIN_WAIT_MS)
  try {
    for (const table of fresh) {
      await target.dropChunks(table)
      const { estimatedRows } = model.mapping(table).source
      await target.setProgress(table, {
        state: 'copying',
        planned: false,
        planBound: null,
        rowsCopied: 0,
        rowsFailed: 0,
        estimatedRows,
        problem: null,
      })
    }
    await target.commit()
  } finally {
    await target.rollback()
  }
  return { copying: [...copying, ...fresh], listed }
}

/** Null, or why the table cannot be filled; nothing is changed then. */
async function prepareTable(
  context: EngineContext,
  model: Model,
  table: string,
  request: InitialRequest,
): Promise<string | null> {
  const mapping = model.mapping(table)
  if (!(await context.target.tableExists(mapping))) {
    if (!request.createTables) {
      throw new SyncError('target-table-missing', `table ${mapping.name} is missing in the target`, {
        remedy: 'mylab-sync initial --create-tables',
      })
    }
    await context.target.createTable(mapping, model.objects(table))
    return null
  }
  const differences = await context.target.differences(mapping)
  if (differences.length > 0) return `the target's table differs: ${differences.join('; ')}`
  if (await context.target.hasRows(mapping))
    return 'the target table holds rows that were not copied by this installation; empty it first'
  return null
}

interface Running {
  readonly context: EngineContext
  readonly model: Model
  readonly progress: Progress
  readonly signal: AbortSignal
}

async function copyAndOpen(running: Running, tables: readonly string[]): Promise<void> {
  if (tables.length === 0) return
  const { context, model, signal } = running
  const ended = new AbortController()
  const beside = drainBeside(running, ended.signal)
  try {
    const copied = new Map<string, number>()
    const workers = Array.from({ length: context.options.copyConcurrency }, () =>
      copyUntilDone(running, tables, copied),
    )
    await Promise.all(workers)
    for (const component of model.components(tables)) {
      const waiting = component.filter((table) => tables.includes(table))
      while (!signal.aborted && !(await openComponent(context, model, waiting))) await pause(PAUSE_MS, signal)
      if (signal.aborted) return
      for (const table of waiting)
        running.progress({
          kind: 'state',
          table,
          state: model.isWhole(table) ? 'recopied' : 'live',
          rows: copied.get(table) ?? 0,
        })
    }
  } finally {
    ended.abort()
    await beside
  }
}

async function copyUntilDone(
  { context, model, progress, signal }: Running,
  tables: readonly string[],
  copied: Map<string, number>,
): Promise<void> {
  while (!signal.aborted) {
    const chunk = await copyChunk(context, model, tables)
    if (chunk) {
      const rows = (copied.get(chunk.table) ?? 0) + chunk.rows
      copied.set(chunk.table, rows)
      progress({ kind: 'copy', table: chunk.table, rows, estimated: model.mapping(chunk.table).source.estimatedRows })
    } else if (!(await planChunk(context, model, tables))) return
  }
}

/** Keeps the source's log small while chunks run; what another drainer does meanwhile is as good. */
async function drainBeside({ context, model, progress }: Running, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    try {
      if ((await context.source.poll()).pending) await drain(context, model)
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      progress({ kind: 'note', text: `a drain beside the copy will be tried again: ${error.message}` })
    }
    await pause(PAUSE_MS, ended)
  }
}

async function report(
  context: EngineContext,
  model: Model,
  selected: readonly string[],
  listed: readonly { table: string; problem: string }[],
): Promise<InitialReport> {
  const counts = new Map((await verifyCounts(context, selected)).tables.map((table) => [table.table, table]))
  const states = await readTarget(context, (target) => target.progress())
  const problems = [...listed]
  for (const refusal of model.refused)
    problems.push({ table: refusal.table, problem: states.get(refusal.table)?.problem ?? refusal.reason })
  const tables = selected.map((table) => {
    const count = counts.get(table)
    const known = states.get(table)
    return {
      table,
      state: known?.state ?? 'discovered',
      rows: count?.target ?? 0,
      sourceRows: count?.source ?? 0,
      problem: known?.problem ?? null,
    } as const
  })
  return { tables, listed: problems }
}
