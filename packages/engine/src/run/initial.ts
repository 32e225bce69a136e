import { isOpen, isRetryable, type TableBroken, type TableState } from '@mylab-sync/core'
import { retryUntil, sleep } from '@mylab-sync/runtime'
import { requestCopies, type InitialRequest, type SkippedTable } from '../copy/request-copy.js'
import type { EngineContext, Progress } from '../context.js'
import { drain } from '../drain/drain.js'
import { install, migrate, register, requireFollowing } from '../capture/install.js'
import { maintain } from '../upkeep/maintain.js'
import { loadModel, modelWith } from '../model/load.js'
import type { Model } from '../model/model.js'
import { filterOf } from '../model/selection.js'
import { requireOwner } from '../drain/ownership.js'
import { openTables, type Running } from './open-tables.js'
import { pausesOf, retryTransient } from './retry.js'
import { readTarget, writeTarget } from '../transactions.js'
import { problemIn } from '../tables/set-aside.js'
import { constraintText } from '../report/problems.js'
import { countOpen } from '../report/verify-counts.js'
import { isTableOpen, stateOf } from '../tables/table-states.js'

export interface InitialReport {
  readonly tables: readonly {
    table: string
    state: TableState
    rows: number
    sourceRows: number
    problem: string | null
  }[]
  /** Tables that are not open, each with its reason. */
  readonly listed: readonly { table: string; problem: string }[]
  /** Constraints that could not be built, or that rows violate. */
  readonly constraints: readonly { table: string; problem: string }[]
}

const PAUSE_MS = 500

/**
 * Makes the first copy in one process: installs capture, copies chunks in parallel beside drains that park keys, then opens
 * each action component. Returns when every selected table is open or listed with its reason. A signal ends it after the
 * running chunks; another call continues where it stopped.
 */
export async function initial(
  context: EngineContext,
  request: InitialRequest,
  progress: Progress,
  signal: AbortSignal,
): Promise<InitialReport> {
  const running = { context, progress, signal }
  const { model, selected, listed } = await retryTransient(running, () => prepare(context, request, progress))
  const asked = await retryTransient(running, () => requestCopies(context, model, { selected, request }))
  const copying = new Set(asked.copying)
  const ended = new AbortController()
  const beside = drainBeside(running, ended.signal)
  // An error that no retry can fix ends the copy after the running chunks. It is thrown below.
  const failed = new AbortController()
  beside.catch(() => failed.abort())
  const until = AbortSignal.any([signal, failed.signal])
  try {
    await openTables({ ...running, signal: until }, (table) => copying.has(table.table) || table.inPlace)
  } finally {
    ended.abort()
    await beside
  }
  signal.throwIfAborted()
  while (!(await retryTransient(running, async () => maintain(context, await loadModel(context))))) {
    await sleep(PAUSE_MS, signal)
    signal.throwIfAborted()
  }
  return retryTransient(running, () => report(context, selected, [...listed, ...asked.listed]))
}

/** Installs capture and requests the copies, which workers then make. Returns the tables being copied and those skipped. */
export async function requestDetachedCopies(
  context: EngineContext,
  request: InitialRequest,
  progress: Progress,
): Promise<{ readonly copying: readonly string[]; readonly listed: readonly SkippedTable[] }> {
  const { model, selected, listed } = await prepare(context, request, progress)
  const asked = await requestCopies(context, model, { selected, request })
  return { copying: asked.copying, listed: [...listed, ...asked.listed] }
}

/** Installs capture for the selected tables; lists the tables that cannot be carried. */
async function prepare(
  context: EngineContext,
  request: InitialRequest,
  progress: Progress,
): Promise<{ model: Model; selected: string[]; listed: SkippedTable[] }> {
  if (!(await context.target.admin.migrated()) || !(await context.source.admin.migrated())) {
    if (request.triggers) await context.source.admin.requireRights('capture')
    await migrate(context)
  }
  await requireFollowing(context)
  await requireOwner(context)
  const model = await modelWith(context, request.tables)
  const wanted = model.select(request.tables)
  if (!request.resume) await recordRequest(context, wanted)
  const targets = request.triggers ? model.triggerTargets(new Set(wanted)) : []
  const broken = request.triggers
    ? (await install(context, model, { targets, recreate: false }, progress)).broken
    : new Map<string, TableBroken>()
  await register(
    context,
    model,
    targets.map((target) => target.table).filter((table) => !broken.has(table)),
  )
  const refused = model.refused.map(({ table, reason }) => ({ table, problem: reason }))
  const listed = [
    ...refused,
    ...[...broken.values()].map((error) => ({ table: error.table, problem: problemIn(error) })),
  ]
  const isNamed = filterOf(request.tables)
  return {
    model,
    selected: wanted.filter((table) => !broken.has(table)),
    listed: listed.filter(({ table }) => isNamed(table)),
  }
}

/** Records the request before anything else, so a call that dies while it creates triggers can be resumed. */
async function recordRequest(context: EngineContext, tables: readonly string[]): Promise<void> {
  await writeTarget(context, async (target) => {
    const states = await target.tables.all()
    const asked = tables.filter((table) => !isTableOpen(states, table))
    await target.tables.patchAll(new Map(asked.map((table) => [table, { asked: true }])))
  })
}

/** Drains during the copy, which keeps the source's change log small. A drain by another process serves as well. */
async function drainBeside({ context, progress }: Running, ended: AbortSignal): Promise<void> {
  let model: Model | undefined
  const drainOn = async (progressed: () => void): Promise<void> => {
    for (; !ended.aborted; await sleep(PAUSE_MS, ended)) {
      if ((await context.source.log.poll()).pending) {
        const done = await drain(context, (model ??= await loadModel(context)))
        if (done.kind === 'done') model = done.model
      }
      progressed()
    }
  }
  await retryUntil(ended, drainOn, {
    ...pausesOf(context),
    isRetryable,
    onRetry: (error) => {
      model = undefined
      progress({ kind: 'note', text: `a drain during the copy will be tried again: ${error.message}` })
    },
  })
}

async function report(
  context: EngineContext,
  selected: readonly string[],
  listed: readonly SkippedTable[],
): Promise<InitialReport> {
  const counts = new Map((await countOpen(context, selected)).tables.map((table) => [table.table, table]))
  const states = await readTarget(context, (target) => target.tables.all())
  const constraints = await context.target.constraints.all()
  const tables = selected.map((table) => {
    const count = counts.get(table)
    const known = states.get(table)
    return {
      table,
      state: stateOf(states, table),
      rows: count?.target ?? 0,
      sourceRows: count?.source ?? 0,
      problem: known?.problem ?? null,
    } as const
  })
  const known = new Set(listed.map(({ table }) => table))
  const closed = tables
    .filter(({ table, state }) => !known.has(table) && !isOpen(state) && state !== 'copied')
    .map(({ table, state, problem }) => ({ table, problem: `is ${state}${problem === null ? '' : `: ${problem}`}` }))
  const missing = constraints
    .filter(({ state }) => state !== 'validated')
    .map((constraint) => ({ table: constraint.table, problem: constraintText(constraint) }))
  return { tables, listed: [...listed, ...closed], constraints: missing }
}
