import {
  counted,
  isBeingOpened,
  isOpen,
  type TableProgress,
  type TableState,
  type TableVerification,
} from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { longHeld } from '../drain/drain-lock.js'
import { selectionOf } from '../model/selection.js'
import { readTarget } from '../transactions.js'
import { handedOver, handOverOf, handOverProblems } from './handed-over.js'
import { differText, type Problem, problemsOf } from './problems.js'
import { type VerificationStatus, verificationOf, verifiedClause } from './verification.js'

export interface StatusReport {
  readonly totals: {
    readonly total: number
    readonly synced: number
    readonly pending: number
    readonly failed: number
  }
  readonly lagMs: number | null
  readonly consistentAsOf: string | null
  readonly sentence: string
  readonly verification: VerificationStatus
  readonly tables: readonly TableStatus[]
  /** The most general problems first. */
  readonly problems: readonly Problem[]
}

export interface TableStatus {
  readonly table: string
  readonly state: TableState
  readonly rows: number
  readonly rowsCopied: number
  readonly pending: number
  readonly parked: number
  readonly quarantined: number
  /** Each row was found equal at a moment between these two, ISO 8601 in UTC by the source's clock; null: never. */
  readonly verifiedAt: string | null
  readonly verifiedUntil: string | null
  /** Rows that verification has found to differ. */
  readonly rowsDifferent: number
  /** Rows that differed and were repaired. */
  readonly rowsRepaired: number
  readonly problem: string | null
  /** The table continues only after a person has run the statements in `problem`. */
  readonly waits: boolean
}

/**
 * Reports the state of every table, from the state tables and the change log. Selected tables of the source without a
 * request to carry them, such as new ones, are `discovered`.
 */
export async function status(context: EngineContext): Promise<StatusReport> {
  const pending = await context.source.log.pending()
  const synced = await context.source.log.countSynced()
  const constraints = await context.target.constraints.all()
  const held = longHeld(await context.target.lockHolder('drain'))
  const handOver = await handOverOf(context)
  await using target = await context.target.begin()
  const progress = await target.tables.all()
  const last = await target.history.last()
  const quarantined = await target.quarantine.counts()
  const parked = await target.parked.counts()
  const verified = await target.verification.all()
  const pace = await target.verification.pace()
  const waiting = new Map(pending.tables.map((table) => [table.table, table.pending]))
  const tables: TableStatus[] = []
  const isSelected = selectionOf(context.options)
  for (const known of progress.values()) {
    if (isForgotten(known, isSelected)) continue
    tables.push({
      table: known.table,
      state: known.state,
      rows: known.estimatedRows,
      rowsCopied: known.rowsCopied,
      pending: waiting.get(known.table) ?? 0,
      parked: parked.get(known.table) ?? 0,
      quarantined: quarantined.get(known.table) ?? 0,
      ...verifiedOf(verified.get(known.table)),
      problem: known.problem,
      waits: known.waits,
    })
  }
  tables.push(...(await untouched(context, progress)))
  const verification = verificationOf(tables, pace, context.options.verify)
  const totals = {
    total: pending.pending + synced,
    synced,
    pending: pending.pending,
    failed: sum(quarantined.values()),
  }
  return {
    totals,
    lagMs: pending.oldestMs,
    consistentAsOf: last.consistentAsOf,
    sentence:
      handedOver(handOver, totals.pending) ??
      sentence(tables, totals, { asOf: last.consistentAsOf, held, verification }),
    verification,
    tables: tables.map(withDifferences),
    problems: [
      ...handOverProblems(handOver, totals.pending),
      ...problemsOf({ lagMs: handOver.phase === 'done' ? null : pending.oldestMs, tables, constraints }),
    ],
  }
}

function verifiedOf(
  known: TableVerification | undefined,
): Pick<TableStatus, 'verifiedAt' | 'verifiedUntil' | 'rowsDifferent' | 'rowsRepaired'> {
  const { verified = null, differing = 0, repaired = 0 } = known ?? {}
  const { since: verifiedAt = null, until: verifiedUntil = null } = verified ?? {}
  return { verifiedAt, verifiedUntil, rowsDifferent: differing, rowsRepaired: repaired }
}

/** For programs that look at the table alone. */
function withDifferences(table: TableStatus): TableStatus {
  if (table.problem !== null || table.rowsDifferent === 0) return table
  return { ...table, problem: `${differText(table.rowsDifferent)}: mylab-sync repair --table ${table.table}` }
}

/**
 * Status omits a table that was dropped before it was copied, and one that is gone or set aside and no longer selected, so
 * it is not kept up to date.
 */
function isForgotten({ table, state, generation }: TableProgress, isSelected: (table: string) => boolean): boolean {
  if (state === 'gone' && generation === null) return true
  return (state === 'gone' || state === 'suspect') && !isSelected(table)
}

async function untouched(
  { source, options }: EngineContext,
  known: ReadonlyMap<string, TableProgress>,
): Promise<TableStatus[]> {
  const isSelected = selectionOf(options)
  const isLeft = (table: string): boolean => known.has(table) || !isSelected(table)
  const none = {
    rows: 0,
    rowsCopied: 0,
    pending: 0,
    parked: 0,
    quarantined: 0,
    verifiedAt: null,
    verifiedUntil: null,
    rowsDifferent: 0,
    rowsRepaired: 0,
    problem: null,
    waits: false,
  }
  return (await source.catalog.otherTables(isLeft)).map((table) => ({ table, state: 'discovered', ...none }))
}

function sentence(
  tables: readonly TableStatus[],
  totals: { pending: number; failed: number },
  {
    asOf,
    held,
    verification,
  }: {
    readonly asOf: string | null
    readonly held: string | null
    readonly verification: VerificationStatus
  },
): string {
  const open = tables.filter((table) => isOpen(table.state)).length
  const absent = sum(tables.filter(({ state }) => isOpen(state)).map(({ quarantined }) => quarantined))
  const others = totals.failed - absent
  const rest = [
    ...whyNotOpen(tables),
    ...(totals.pending > 0 ? [totals.pending === 1 ? '1 change waits' : `${totals.pending} changes wait`] : []),
    ...(held === null ? [] : [held]),
    ...(others > 0
      ? [`${counted(others, 'row')} of tables that are not live ${isOrAre(others)} quarantined: mylab-sync show-errors`]
      : []),
  ]
  if (open === 0) return `${['No table is live', ...rest].join('; ')}.`
  const equal = `${open} of ${counted(tables.length, 'table')} ${open === 1 ? 'equals' : 'equal'} the source as of`
  const { rowsDifferent: differing } = verification
  const but = [
    ...(differing === 0
      ? []
      : [`${counted(differing, 'row')} that ${differing === 1 ? 'differs' : 'differ'}: mylab-sync repair`]),
    ...(absent === 0 ? [] : [`${counted(absent, 'quarantined row')}: mylab-sync show-errors`]),
  ]
  const except = but.length === 0 ? ', ' : ` but for ${but.join(', and ')}; `
  return `${[`${equal} ${asOf ?? 'an unknown time'}${except}${verifiedClause(verification)}`, ...rest].join('; ')}.`
}

const isOrAre = (n: number): string => (n === 1 ? 'is' : 'are')

/** Counts the tables that are not open, grouped by remedy. */
function whyNotOpen(tables: readonly TableStatus[]): string[] {
  const closed = tables.filter(({ state }) => !isOpen(state))
  const waiting = closed.filter(({ waits }) => waits)
  const others = closed.filter((table) => !waiting.includes(table))
  const count = (isOne: (state: TableState) => boolean): number => others.filter(({ state }) => isOne(state)).length
  const paused = count((state) => state === 'paused')
  const moving = count(isBeingOpened)
  const suspect = count((state) => state === 'suspect')
  const uncarried = count((state) => state === 'discovered' || state === 'capturing')
  const copied = count((state) => state === 'copied')
  const are = (n: number): string => `${n} ${isOrAre(n)}`
  const stuck = [
    ...(waiting.length > 0 ? [`${waiting.length} ${waiting.length === 1 ? 'waits' : 'wait'} for you`] : []),
    ...(['refused', 'broken', 'gone'] as const).flatMap((state) => {
      const n = count((other) => other === state)
      return n > 0 ? [`${are(n)} ${state}`] : []
    }),
  ]
  return [
    ...(stuck.length > 0 ? [`${stuck.join(', ')}: mylab-sync status --problems`] : []),
    ...(paused > 0 ? [`${are(paused)} paused: mylab-sync resume`] : []),
    ...(moving > 0 ? [`${are(moving)} being copied`] : []),
    ...(suspect > 0 ? [`${are(suspect)} set aside, to be copied again`] : []),
    ...(copied > 0 ? [`${are(copied)} copied and followed by no trigger: mylab-sync setup-triggers`] : []),
    ...(uncarried > 0 ? [`${are(uncarried)} not carried yet: mylab-sync initial --create-tables`] : []),
    ...(tables.length === 0 ? ['mylab-sync initial --create-tables begins'] : []),
  ]
}

export async function checkPending(context: EngineContext): Promise<{
  pending: number
  failed: number
  oldestMs: number | null
  tables: readonly { table: string; pending: number }[]
}> {
  const { pending, oldestMs, tables } = await context.source.log.pending()
  const quarantined = await readTarget(context, (target) => target.quarantine.counts())
  return { pending, failed: sum(quarantined.values()), oldestMs, tables }
}

function sum(numbers: Iterable<number>): number {
  let total = 0
  for (const number of numbers) total += number
  return total
}
