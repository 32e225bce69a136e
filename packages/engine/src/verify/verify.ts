import type { RowKey } from '@mylab-sync/core'
import { sleep } from '@mylab-sync/runtime'
import type { EngineContext } from '../context.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { keyTexts } from '../rows/key-texts.js'
import { type AdvanceLimits, advanceWalks } from './advance.js'
import { ALL, countFindings, type Findings, type FindingsLimits, isFull } from './findings.js'
import { withValues } from './found-values.js'
import { recordComparison } from './record-comparison.js'
import { TableWalk } from './table-walk.js'
import type { FoundKey, Verification, VerifiedTable, VerifyReport } from './verify-report.js'

/** How long a moment is used, or as long as opening it took: its snapshots keep old rows from being purged on both servers. */
const MIN_MOMENT_MS = 2_000
const MAX_MOMENT_MS = 15_000

export interface VerifyProgress {
  /** From 0 to 1, by the servers' estimates of rows. */
  readonly done: number
  /** Compared so far. */
  readonly rows: number
}

export interface VerifyRequest {
  /** Name patterns; empty means all. */
  readonly tables: readonly string[]
  /** Only about this share of each table's rows, above 0 and below 1: pages of 1,000 rows, spread over the keys at random. */
  readonly sample?: number | undefined
  /** Adds the values of differing columns, which may be confidential. */
  readonly values?: boolean | undefined
  readonly onProgress?: (progress: VerifyProgress) => void
}

/** Compares the contents of both sides while both are written, value by value (DESIGN 11). Writes nothing but what status shows of it. */
export async function verify(context: EngineContext, request: VerifyRequest): Promise<VerifyReport> {
  const share = request.sample ?? 1
  const verification = await beginVerification(context, request, { share })
  await walkOn(context, verification, { ...request, share })
  if (share === 1) await recordComparison(context, verification)
  const report = reportOf(verification)
  // Of a sample, it would be a digest of whichever rows that was.
  const tables = share === 1 ? withDigests(verification, report.tables) : report.tables
  const sampled = { ...report, tables, sample: request.sample ?? null }
  return request.values === true ? await withValues(context, verification, sampled) : sampled
}

export async function beginVerification(
  context: EngineContext,
  { tables }: VerifyRequest,
  how: { readonly limits?: FindingsLimits; readonly share?: number } = {},
): Promise<Verification> {
  const model = await loadModel(context)
  return { model, quarantined: new Map(), walks: model.select(tables).map((table) => new TableWalk(table, how)) }
}

type WalkOptions = Pick<VerifyRequest, 'onProgress'> &
  Pick<AdvanceLimits, 'listed' | 'step'> & { readonly share?: number }

/** After a moment of no use: a change of a definition settles within a second. */
const PAUSE_MS = 300

/** Walks until all walks are done, or until they list as much as they may together. */
export async function walkOn(
  context: EngineContext,
  verification: Verification,
  { onProgress, listed = ALL, share = 1, ...how }: WalkOptions,
): Promise<void> {
  const { walks } = verification
  for (;;) {
    const left = walks.filter((walk) => !walk.isDone)
    const findings = walks.map((walk) => walk.state.findings)
    if (left.length === 0 || isFull(findings, listed)) return
    const limits = { ...how, ms: momentMs, listed }
    const { model, quarantined, isOfUse } = await advanceWalks(context, verification.model, left, limits)
    Object.assign(verification, { model, quarantined })
    if (!isOfUse) await sleep(PAUSE_MS, context.signal)
    onProgress?.(progressOf(verification, share))
  }
}

function progressOf({ model, walks }: Verification, share: number): VerifyProgress {
  const sizes = walks.map((walk) => {
    const estimate = Math.max(1, (model.tables.get(walk.table)?.source.estimatedRows ?? 0) * share)
    return { of: estimate, done: walk.isDone ? estimate : Math.min(estimate, walk.state.rows) }
  })
  const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0)
  return {
    done: sum(sizes.map(({ done }) => done)) / Math.max(1, sum(sizes.map(({ of }) => of))),
    rows: sum(walks.map((walk) => walk.state.rows)),
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
      digest: null,
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
    sample: null,
    since: null,
  }
}

function withDigests({ model, walks }: Verification, tables: readonly VerifiedTable[]): VerifiedTable[] {
  const digests = new Map(walks.map((walk) => [walk.table, digestOf(model, walk)]))
  return tables.map((table) => ({ ...table, digest: digests.get(table.table) ?? null }))
}

function digestOf(model: Model, { table, isEqual, state: { proven, rows } }: TableWalk): VerifiedTable['digest'] {
  if (!model.tables.has(table)) return null
  const isWhole = isEqual && proven.rows === rows && !model.isFullTable(table)
  return isWhole && model.mapping(table).columns.every(({ digest }) => digest !== null) ? proven : null
}

function foundKeys(model: Model, table: string, { differences, strays }: Findings): FoundKey[] {
  const texts = (key: RowKey): string[] => keyTexts(model, table, key)
  return [
    ...differences.map(({ key, kind, columns }): FoundKey => ({ key: texts(key), kind, columns })),
    ...strays.map((key): FoundKey => ({ key, kind: 'surplus', columns: [] })),
  ]
}
