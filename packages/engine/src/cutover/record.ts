import { isActionEdge } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { VerifiedTable, VerifyReport } from '../verify/verify-report.js'
import type { CutoverFinding } from './finding.js'
import type { Standing } from './round.js'
import { cutoverTables } from './tables.js'

/** What a cutover has done, for its report. */
export interface HandOverRecord {
  /** Of the switch, by the target's clock. */
  readonly switchedAt: string | null
  /** By this host's clock. */
  readonly steps: readonly { readonly at: string; readonly step: string }[]
  readonly setReadOnly: boolean
  readonly stoppedMs: number | null
  /** Keys that were compared again after the writes had stopped. */
  readonly tailKeys: number
  /** The last drain of the source's changes whose rows were compared. */
  readonly lastDrain: number
  /** UNIQUEs that hold at once now, foreign keys that do, those of them that act as in the source, and counters that were set. */
  readonly uniques: number
  readonly foreignKeys: number
  readonly foreignKeyActions: number
  readonly counters: number
  /** What the source does for the application and the target does not. */
  readonly notes: readonly Pick<CutoverFinding, 'code' | 'table' | 'cause'>[]
  /** Each table's rows in full, before what changed afterwards was compared again. */
  readonly verified: VerifyReport
}

interface Done {
  readonly standing: Standing
  readonly notes: readonly CutoverFinding[]
  readonly steps: HandOverRecord['steps']
  readonly stoppedMs: number | null
  readonly tailKeys: number
}

export async function recordOf(
  context: EngineContext,
  { withActions, setReadOnly }: { readonly withActions: boolean; readonly setReadOnly: boolean },
  { standing, notes, steps, stoppedMs, tailKeys }: Done,
): Promise<HandOverRecord> {
  const { model, drain, verified } = standing
  const { since } = await context.target.cutover.state()
  const tables = cutoverTables(model)
  const keys = tables.flatMap(({ foreignKeys }) => foreignKeys)
  return {
    switchedAt: since,
    steps,
    setReadOnly,
    stoppedMs: stoppedMs === null ? null : Math.round(stoppedMs),
    tailKeys,
    lastDrain: drain,
    uniques: tables.flatMap(({ objects }) => objects.indexes.filter(({ deferrable }) => deferrable)).length,
    foreignKeys: keys.length,
    foreignKeyActions: withActions ? keys.filter(isActionEdge).length : 0,
    counters: tables.filter(({ table }) => table.columns.some(({ source }) => source.autoIncrement)).length,
    notes: notes.map(({ code, table, cause }) => ({ code, table, cause })),
    verified: reportOf([...model.tables.keys()].flatMap((table) => verified.get(table) ?? [])),
  }
}

function reportOf(tables: readonly VerifiedTable[]): VerifyReport {
  const moments = tables.flatMap(({ verifiedSince }) => verifiedSince ?? [])
  return {
    equal: tables.length > 0 && tables.every(({ equal }) => equal),
    consistentAsOf: moments.sort()[0] ?? null,
    tables,
    sample: null,
    since: null,
  }
}
