import {
  ERRORS,
  type CounterState,
  type MissingCounter,
  SyncError,
  type TableMapping,
  type TableObjects,
} from '@mylab-sync/core'
import { type EngineContext, throwIfStopped } from '../context.js'
import type { Model } from '../model/model.js'

export interface SequencesRequest {
  /** Table name patterns; all carried tables if empty. */
  readonly tables: readonly string[]
  /** Only reads. */
  readonly dryRun: boolean
}

/** The counter of one AUTO_INCREMENT column. */
export interface TableSequence {
  /** Name at the source, as of the column. */
  readonly table: string
  readonly column: string
  /** null: the column takes its numbers from no sequence in the target, or it could not be read. */
  readonly sequence: string | null
  /** What the sequence gave next before, and gives next now; up to 2^64, therefore as text. */
  readonly before: string | null
  readonly next: string | null
  /** Why an INSERT without a value gets no number in the target; null: it gets `next`. */
  readonly problem: string | null
  readonly remedy: string | null
}

export interface SequencesReport {
  /** No counter has a problem. */
  readonly complete: boolean
  readonly tables: readonly TableSequence[]
  /** Selected tables without an AUTO_INCREMENT column. */
  readonly withoutCounter: readonly string[]
}

/**
 * Sets the counters of the target so that the application's INSERT without a key gets one that no row has: what the source
 * would give next, or the number after the highest of either side. Drains write keys of their own and need no counter, so
 * this may run at any time; what the source inserts afterwards needs it again.
 */
export async function setSequences(
  context: EngineContext,
  model: Model,
  { tables, dryRun }: SequencesRequest,
): Promise<SequencesReport> {
  const set: TableSequence[] = []
  const withoutCounter: string[] = []
  for (const table of model.select(tables)) {
    throwIfStopped(context)
    const mapping = model.mapping(table)
    const column = mapping.columns.find(({ source }) => source.autoIncrement)?.source.name
    if (column === undefined) withoutCounter.push(table)
    else set.push(await setOne(context, { mapping, objects: model.objects(table), column }, dryRun))
  }
  return { complete: set.every(({ problem }) => problem === null), tables: set, withoutCounter }
}

async function setOne(
  { source, target }: EngineContext,
  { mapping, objects, column }: { mapping: TableMapping; objects: TableObjects; column: string },
  dryRun: boolean,
): Promise<TableSequence> {
  const place = { table: mapping.source.name, column }
  try {
    const least = await source.catalog.nextNumber(place.table, column)
    return { ...place, ...described(await target.created.setCounter(mapping, objects, { least, dryRun })) }
  } catch (error) {
    if (!(error instanceof SyncError) || ERRORS[error.code].scope === 'all') throw error
    return { ...place, ...NOTHING, problem: error.message, remedy: error.remedy }
  }
}

const NOTHING = { sequence: null, before: null, next: null }

function described(state: CounterState | MissingCounter): Omit<TableSequence, 'table' | 'column'> {
  if (state.kind === 'missing')
    return {
      ...NOTHING,
      problem: 'no ascending sequence gives the column of the target its values, so an INSERT without one gets none',
      remedy: state.statements.map((statement) => `${statement};`).join(' '),
    }
  const { sequence, isExhausted } = state
  return {
    sequence,
    before: String(state.before),
    next: String(state.next),
    problem: isExhausted
      ? 'the next number is higher than its sequence can give, so an INSERT without one fails'
      : null,
    remedy: isExhausted ? 'widen the column at the source, or have the application supply the values' : null,
  }
}
