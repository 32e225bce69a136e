import type { DrainRange, RowKey } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { keyTexts } from '../rows/key-texts.js'
import { type AdvanceLimits, advanceWalks } from './advance.js'
import {
  ALL,
  countFindings,
  type DifferenceKind,
  type Findings,
  type FindingsLimits,
  isFull,
  REPORTED,
} from './findings.js'
import { recordComparison } from './record-comparison.js'
import { TableWalk } from './table-walk.js'

/** How long a moment is used, or as long as opening it took: its snapshots keep old rows from being purged on both servers. */
const MIN_MOMENT_MS = 2_000
const MAX_MOMENT_MS = 15_000

export interface VerifyRequest {
  /** Name patterns; empty means all. */
  readonly tables: readonly string[]
  readonly onProgress?: (done: { readonly tables: number; readonly of: number; readonly rows: number }) => void
}

export interface FoundKey {
  /** The text of each key column. */
  readonly key: readonly string[]
  readonly kind: DifferenceKind
  readonly columns: readonly string[]
}

export interface VerifiedTable {
  readonly table: string
  /** Rows of the source that were compared. */
  readonly rows: number
  readonly equal: boolean
  /** The earliest moment at which a part of it was compared. */
  readonly verifiedSince: string | null
  /** The drains of these moments: what they applied is in both databases; null: it was not compared. */
  readonly drains: DrainRange | null
  /** The latest moment that the comparison holds for, ISO 8601 in UTC; null: it was not compared. */
  readonly verifiedAt: string | null
  readonly missing: number
  readonly surplus: number
  readonly different: number
  /** Rows that the target refused, which are not compared. */
  readonly quarantined: number
  /** The first ones; the counts are whole. */
  readonly keys: readonly FoundKey[]
  /** Why it was not compared; null if it was. */
  readonly notCompared: string | null
}

export interface VerifyReport {
  /** Every table was compared and none differs, except for quarantined rows. */
  readonly equal: boolean
  /** The earliest moment that a table's comparison holds for. */
  readonly consistentAsOf: string | null
  readonly tables: readonly VerifiedTable[]
}

/** A verification in progress. */
export interface Verification {
  model: Model
  quarantined: ReadonlyMap<string, number>
  readonly walks: readonly TableWalk[]
}

/** Compares the contents of both sides while both are written, value by value (DESIGN 11). Writes nothing but what status shows of it. */
export async function verify(context: EngineContext, request: VerifyRequest): Promise<VerifyReport> {
  const verification = await beginVerification(context, request)
  await walkOn(context, verification, request)
  await recordComparison(context, verification)
  return reportOf(verification)
}

export async function beginVerification(
  context: EngineContext,
  { tables }: VerifyRequest,
  limits: FindingsLimits = REPORTED,
): Promise<Verification> {
  const model = await loadModel(context)
  return { model, quarantined: new Map(), walks: model.select(tables).map((table) => new TableWalk(table, limits)) }
}

/** Walks until all walks are done, or until they list as much as they may together. */
export async function walkOn(
  context: EngineContext,
  verification: Verification,
  { onProgress, listed = ALL }: Pick<VerifyRequest, 'onProgress'> & Pick<AdvanceLimits, 'listed'>,
): Promise<void> {
  const { walks } = verification
  for (;;) {
    const left = walks.filter((walk) => !walk.isDone)
    const findings = walks.map((walk) => walk.state.findings)
    if (left.length === 0 || isFull(findings, listed)) return
    const { model, quarantined } = await advanceWalks(context, verification.model, left, { ms: momentMs, listed })
    Object.assign(verification, { model, quarantined })
    const rows = walks.reduce((sum, walk) => sum + walk.state.rows, 0)
    onProgress?.({ tables: walks.filter((walk) => walk.isDone).length, of: walks.length, rows })
  }
}

function momentMs(openedMs: number): number {
  return Math.min(MAX_MOMENT_MS, Math.max(MIN_MOMENT_MS, openedMs))
}

/** `findingsOf` may say something else than the walks found. */
export function reportOf(
  { model, walks, quarantined }: Verification,
  findingsOf: (walk: TableWalk) => Findings = (walk) => walk.state.findings,
): VerifyReport {
  const tables = walks.map((walk): VerifiedTable => {
    const { notCompared, rows, span, drains } = walk.state
    const findings = findingsOf(walk)
    return {
      table: walk.table,
      rows,
      equal: notCompared === null && countFindings(findings) === 0,
      verifiedSince: notCompared === null ? (span?.since ?? null) : null,
      drains: notCompared === null ? drains : null,
      verifiedAt: notCompared === null ? (span?.until ?? null) : null,
      ...findings.counts,
      quarantined: quarantined.get(walk.table) ?? 0,
      keys: foundKeys(model, walk.table, findings),
      notCompared,
    }
  })
  const moments = walks.flatMap(({ state: { span, notCompared } }) =>
    span === null || notCompared !== null ? [] : [span.since],
  )
  return {
    equal: tables.length > 0 && tables.every((table) => table.equal),
    consistentAsOf: moments.sort()[0] ?? null,
    tables,
  }
}

function foundKeys(model: Model, table: string, { differences, strays }: Findings): FoundKey[] {
  const texts = (key: RowKey): string[] => keyTexts(model, table, key)
  return [
    ...differences.map(({ key, kind, columns }): FoundKey => ({ key: texts(key), kind, columns })),
    ...strays.map((key): FoundKey => ({ key, kind: 'surplus', columns: [] })),
  ]
}
