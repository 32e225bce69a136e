import { concernsAll, isBeingOpened, isOpen, SyncError, type TableProgress } from '@mylab-sync/core'
import { both } from '@mylab-sync/runtime'
import type { EngineContext } from '../context.js'
import { drain } from '../drain/drain.js'
import { DRAIN_WAIT_MS } from '../drain/pass.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { filterOf, selectionOf } from '../model/selection.js'
import { stateOf, type TableStates } from '../tables/table-states.js'

export interface CountsReport {
  /**
   * At least one table and every selected table with rows was counted, and none differs by more than its quarantined rows.
   */
  readonly equal: boolean
  readonly tables: readonly TableCount[]
  /** Selected tables that were not counted. */
  readonly notCounted: readonly NotCounted[]
}

export interface TableCount {
  readonly table: string
  readonly source: number
  readonly target: number
  /** The target lacks no more rows than are quarantined, and has no surplus rows. */
  readonly equal: boolean
  readonly quarantined: number
  /** No trigger captures its changes: rows written since its copy are not in the target. */
  readonly withoutTriggers: boolean
}

export interface NotCounted {
  readonly table: string
  readonly state: TableProgress['state']
  readonly reason: string
  /** Whether the source's table holds any rows; null: it cannot be read. */
  readonly rows: boolean | null
}

/**
 * Counts the rows of both sides exactly, at one moment: inside a drain, in its source snapshot and in its target transaction
 * before the commit. Lists selected tables that cannot be counted instead.
 */
export async function verifyCounts(context: EngineContext, patterns: readonly string[]): Promise<CountsReport> {
  const { tables, states, model } = await countOpen(context, patterns)
  const counted = new Set(tables.map(({ table }) => table))
  const names = model.catalog.tables.map(({ name }) => name)
  const selected = names.filter(selectionOf(context.options)).filter(filterOf(patterns))
  const notCounted: NotCounted[] = []
  for (const table of selected) if (!counted.has(table)) notCounted.push(await whyNotCounted(context, table, states))
  const isFullTable = notCounted.every(({ rows }) => rows === false)
  // Without any counted table nothing differs, but "equal" would be the wrong answer.
  return { equal: tables.length > 0 && isFullTable && tables.every((table) => table.equal), tables, notCounted }
}

/** Counts the tables that can be counted, and returns the states of all tables at that moment. */
export async function countOpen(
  context: EngineContext,
  patterns: readonly string[],
): Promise<{
  readonly tables: readonly TableCount[]
  readonly states: ReadonlyMap<string, TableProgress>
  readonly model: Model
}> {
  const model = await loadModel(context)
  const tables: TableCount[] = []
  let states: ReadonlyMap<string, TableProgress> = new Map()
  await drain(context, model, {
    waitMs: DRAIN_WAIT_MS,
    beforeCommit: async ({ snapshot, target }) => {
      tables.length = 0
      states = await target.tables.all()
      const absent = await target.quarantine.counts()
      const wanted = model.select(patterns).filter((table) => {
        const state = stateOf(states, table)
        return isOpen(state) || state === 'copied'
      })
      const [sources, targets] = await both(
        snapshot.rows.counts(wanted),
        target.lookup.counts(wanted.map((table) => model.mapping(table))),
      )
      for (const [at, table] of wanted.entries()) {
        const [source, held] = [sources[at] ?? 0, targets[at] ?? 0]
        const quarantined = absent.get(table) ?? 0
        const equal = held <= source && held >= source - quarantined
        tables.push({
          table,
          source,
          target: held,
          equal,
          quarantined,
          withoutTriggers: stateOf(states, table) === 'copied',
        })
      }
    },
  })
  return { tables, states, model }
}

async function whyNotCounted(context: EngineContext, table: string, states: TableStates): Promise<NotCounted> {
  const state = stateOf(states, table)
  const problem = states.get(table)?.problem ?? null
  return { table, state, reason: reasonOf(state, problem), rows: await hasRows(context, table) }
}

function reasonOf(state: TableProgress['state'], problem: string | null): string {
  if (isBeingOpened(state)) return 'it is being copied'
  if (state === 'paused') return 'it is paused; mylab-sync resume'
  const cause = problem === null ? '' : `: ${problem}`
  if (state === 'discovered' || state === 'capturing')
    return `it is not carried yet${cause}; mylab-sync initial --create-tables`
  return `it is ${state}${cause}`
}

/** Returns null if the table cannot be read: it must not be mistaken for an empty one. */
async function hasRows({ source }: EngineContext, table: string): Promise<boolean | null> {
  try {
    return await source.catalog.hasRows(table)
  } catch (error) {
    if (error instanceof SyncError && !concernsAll(error)) return null
    throw error
  }
}
