import { counted, type DifferingKey, isOpen, type TableState, type VerifyPace } from '@mylab-sync/core'
import type { EngineContext, EngineOptions } from '../context.js'
import { readTarget } from '../transactions.js'

/** What status knows of one table. */
export interface TableVerified {
  readonly state: TableState
  readonly rows: number
  readonly rowsCopied: number
  readonly verifiedAt: string | null
  readonly rowsDifferent: number
  readonly rowsRepaired: number
}

/** How far the contents of the open tables are verified. */
export interface VerificationStatus {
  /** The earliest moment at which an open table was last found equal, ISO 8601 in UTC; null: one of them never was. */
  readonly verifiedAt: string | null
  /** Open tables, and those of them that were ever found equal. */
  readonly tables: number
  readonly verified: number
  readonly rowsDifferent: number
  /** Since the installation. */
  readonly rowsRepaired: number
  /** Share of the time that verification by itself may take; 0: it is off. */
  readonly share: number
  readonly repair: EngineOptions['verify']['repair']
  /** null: it has not taken a step yet. */
  readonly pace: {
    readonly stepMs: number
    readonly pauseMs: number
    /** Share of the time that the last steps have taken. */
    readonly share: number
    readonly rowsPerHour: number
    /** One pass over all open tables takes about so long; null: unknown. */
    readonly passMs: number | null
  } | null
}

/** A row that verification has found to differ. */
export interface DifferingRow {
  readonly table: string
  /** The text of each key column. */
  readonly key: readonly string[]
  readonly kind: DifferingKey['kind']
  /** Names of the source's columns that differ. */
  readonly columns: readonly string[]
}

/** Most rows listed; the counts of status are whole. */
const MAX_LISTED = 1_000

export async function listDiffering(context: EngineContext): Promise<DifferingRow[]> {
  const keys = await readTarget(context, ({ verification }) => verification.differing(MAX_LISTED))
  return keys.map(({ table, texts, kind, columns }) => ({ table, key: texts, kind, columns }))
}

const HOUR_MS = 3_600_000

export function verificationOf(
  tables: readonly TableVerified[],
  pace: VerifyPace,
  { share, repair }: EngineOptions['verify'],
): VerificationStatus {
  const open = tables.filter(({ state }) => isOpen(state))
  const moments = open.flatMap(({ verifiedAt }) => verifiedAt ?? []).sort()
  const sum = (count: (table: TableVerified) => number): number => open.reduce((all, table) => all + count(table), 0)
  const rowsPerHour = pace.spanMs === 0 ? 0 : (pace.rows * HOUR_MS) / pace.spanMs
  const rows = sum((table) => Math.max(table.rows, table.rowsCopied))
  return {
    verifiedAt: moments.length === open.length ? (moments[0] ?? null) : null,
    tables: open.length,
    verified: moments.length,
    rowsDifferent: sum(({ rowsDifferent }) => rowsDifferent),
    rowsRepaired: sum(({ rowsRepaired }) => rowsRepaired),
    share,
    repair,
    pace:
      pace.spanMs === 0
        ? null
        : {
            stepMs: Math.round(pace.stepMs),
            pauseMs: Math.round(pace.pauseMs),
            share: pace.workedMs / pace.spanMs,
            rowsPerHour: Math.round(rowsPerHour),
            passMs: rowsPerHour === 0 ? null : Math.round((rows * HOUR_MS) / rowsPerHour),
          },
  }
}

/** The clause of the summary that says what was verified: never silent about what was not. */
export function verifiedClause({ verifiedAt, tables, verified, rowsRepaired }: VerificationStatus): string {
  const repaired =
    rowsRepaired === 0 ? '' : `, ${counted(rowsRepaired, 'row')} differed and ${wasOrWere(rowsRepaired)} repaired`
  if (verified === 0) return `contents not verified yet${repaired}`
  if (verifiedAt === null) return `contents of ${verified} verified, of ${tables - verified} not yet${repaired}`
  return `contents verified at ${verifiedAt}${tables > 1 ? ' (oldest)' : ''}${repaired}`
}

const wasOrWere = (n: number): string => (n === 1 ? 'was' : 'were')
