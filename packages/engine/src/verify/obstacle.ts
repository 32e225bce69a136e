import { concernsAll, isOpen, isRetryable, SyncError, TableBroken, TargetTableUnfit } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { isTransactional } from '../model/model.js'
import { problemIn } from '../tables/set-aside.js'
import type { Moment } from './moment.js'

/** Why this moment proves nothing of a table; null if it does. */
export async function obstacleTo(
  context: EngineContext,
  { states, model, drains }: Moment,
  table: string,
): Promise<string | null> {
  const progress = states.get(table)
  if (!progress || !isOpen(progress.state)) {
    const cause = progress?.problem ? `: ${progress.problem}` : ''
    return `it is ${progress?.state ?? 'discovered'}${cause}`
  }
  // Chunks and catch-up read it at other moments.
  if (progress.openedDrain > drains.first) return 'it has just been opened'
  const mapping = model.tables.get(table)
  if (mapping === undefined) return 'it is no longer selected'
  // Its rows are in no snapshot, so they are compared only if they have not changed since they were copied.
  if (!isTransactional(mapping.source)) {
    const now = await context.source.catalog.contentFingerprint(table)
    if (now !== progress.contentFingerprint) return 'it has changed since it was copied; it takes no triggers'
  }
  return null
}

export const REDEFINED = 'its definition or its storage has changed while it was compared'

/**
 * Those of these tables whose definition or storage may have changed since the moment's model was read: a snapshot shows old rows
 * through the new definition, and a partition that came later as empty. Only what was read before this call is covered.
 */
export async function redefinedAt(
  { source }: EngineContext,
  { model, takenAt }: Moment,
  tables: readonly string[],
): Promise<ReadonlySet<string>> {
  if (tables.length === 0) return new Set()
  const now = await source.catalog.fingerprints()
  const isSettled = (table: string): boolean => {
    const settlesAt = now.get(table)?.settlesAt ?? null
    return settlesAt === null || settlesAt <= takenAt
  }
  return new Set(tables.filter((table) => !model.stillDescribes(table, now.get(table)) || !isSettled(table)))
}

/** Why a moment proves nothing of one table. */
export interface Fault {
  readonly error: SyncError
  /** The error and what cures it. */
  readonly why: string
  /** No later moment is of use. */
  readonly isFinal: boolean
}

/** What an error of a comparison means for its table, whose comparison alone it ends. Throws errors of all work, and unforeseen ones. */
export function faultOfTable(table: string, error: unknown): Fault {
  if (concernsAll(error) || !(error instanceof SyncError)) throw error
  const isUnfit = error instanceof TargetTableUnfit
  const remedy = isUnfit ? `mylab-sync resync --table ${table}` : error.remedy
  const isFinal = isUnfit || error instanceof TableBroken || !isRetryable(error)
  const named = new SyncError(error.code, `table ${table} cannot be verified: ${error.message}`, {
    cause: error,
    ...(remedy === null ? {} : { remedy }),
  })
  return { error: named, why: problemIn({ message: error.message, remedy }), isFinal }
}

/** As `compare` returns; or why it proves nothing of the table. After an error of the target the moment is of no further use. */
export async function comparedAt<T>(
  context: EngineContext,
  moment: Moment,
  table: string,
  compare: () => Promise<T>,
): Promise<{ readonly outcome: T } | { readonly why: string }> {
  try {
    const obstacle = await obstacleTo(context, moment, table)
    if (obstacle !== null) return { why: obstacle }
    const outcome = await compare()
    return (await redefinedAt(context, moment, [table])).has(table) ? { why: REDEFINED } : { outcome }
  } catch (error) {
    return { why: faultOfTable(table, error).why }
  }
}
