import type { RowKey } from '@mylab-sync/core'
import { type EngineContext, throwIfStopped } from '../context.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { keyTexts } from '../rows/key-texts.js'
import { writeTarget } from '../transactions.js'
import type { DifferenceKind } from './findings.js'
import { Moment } from './moment.js'
import { TableWalk } from './table-walk.js'

/** How long a moment is used, or as long as opening it took: its snapshots keep old rows from being purged on both servers. */
const MIN_MOMENT_MS = 2_000
const MAX_MOMENT_MS = 15_000
/** Most keys listed for a table; the counts are whole. */
const MAX_LISTED_KEYS = 1_000

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
  /** The latest moment that the comparison holds for, ISO 8601 in UTC; null: it was not compared. */
  readonly verifiedAt: string | null
  readonly missing: number
  readonly surplus: number
  readonly different: number
  /** Rows that the target refused, which are not compared. */
  readonly quarantined: number
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

/** What a verification found, with what a repair needs of it. */
export interface Verification {
  readonly model: Model
  readonly walks: readonly TableWalk[]
  readonly quarantined: ReadonlyMap<string, number>
}

/** Compares the contents of both sides while both are written, value by value (DESIGN 11). Writes nothing but the moments of tables that are equal. */
export async function verify(context: EngineContext, request: VerifyRequest): Promise<VerifyReport> {
  const verification = await compareTables(context, request)
  await recordVerified(context, verification)
  return reportOf(verification)
}

export async function compareTables(context: EngineContext, request: VerifyRequest): Promise<Verification> {
  let model = await loadModel(context)
  const walks = model.select(request.tables).map((table) => new TableWalk(table))
  let quarantined: ReadonlyMap<string, number> = new Map()
  for (let left = walks; left.length > 0; left = left.filter((walk) => !walk.isDone)) {
    throwIfStopped(context)
    const began = performance.now()
    await using moment = await Moment.open(context, model)
    const ms = Math.min(MAX_MOMENT_MS, Math.max(MIN_MOMENT_MS, performance.now() - began))
    model = moment.model
    quarantined = await moment.target.quarantine.counts()
    await walkWithin(context, moment, { walks: left, ms })
    const rows = walks.reduce((sum, walk) => sum + walk.counts.rows, 0)
    request.onProgress?.({ tables: walks.filter((walk) => walk.isDone).length, of: walks.length, rows })
  }
  return { model, walks, quarantined }
}

async function walkWithin(
  context: EngineContext,
  moment: Moment,
  { walks, ms }: { readonly walks: readonly TableWalk[]; readonly ms: number },
): Promise<void> {
  const until = performance.now() + ms
  for (const walk of walks)
    while (!walk.isDone) {
      throwIfStopped(context)
      if (performance.now() > until) return
      if (!(await walk.step(context, moment))) break
    }
}

async function recordVerified(context: EngineContext, { walks }: Verification): Promise<void> {
  const equal = walks.filter((walk) => walk.notCompared === null && walk.isEqual)
  await writeTarget(context, async ({ tables }) => {
    for (const { table, span } of equal) await tables.patch(table, { verifiedAt: span?.since ?? null })
  })
}

export function reportOf({ model, walks, quarantined }: Verification): VerifyReport {
  const tables = walks.map((walk): VerifiedTable => {
    const count = (kind: DifferenceKind): number => walk.differences.filter((each) => each.kind === kind).length
    const texts = (key: RowKey): string[] => keyTexts(model, walk.table, key)
    return {
      table: walk.table,
      rows: walk.counts.rows,
      equal: walk.notCompared === null && walk.isEqual,
      verifiedAt: walk.notCompared === null ? (walk.span?.until ?? null) : null,
      missing: walk.counts.missing + count('missing'),
      surplus: walk.counts.surplus + walk.strays.length + count('surplus'),
      different: count('different'),
      quarantined: quarantined.get(walk.table) ?? 0,
      keys: [
        ...walk.differences.map(({ key, kind, columns }): FoundKey => ({ key: texts(key), kind, columns })),
        ...walk.strays.map((key): FoundKey => ({ key, kind: 'surplus', columns: [] })),
      ].slice(0, MAX_LISTED_KEYS),
      notCompared: walk.notCompared,
    }
  })
  const moments = walks.flatMap(({ span, notCompared }) => (span === null || notCompared !== null ? [] : [span.since]))
  return {
    equal: tables.length > 0 && tables.every((table) => table.equal),
    consistentAsOf: moments.sort()[0] ?? null,
    tables,
  }
}
