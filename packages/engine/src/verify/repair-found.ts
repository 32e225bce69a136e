import {
  type DifferingKey,
  NO_DRAIN,
  type ParkedKey,
  type RowKey,
  TableBroken,
  type TableMapping,
  type TargetTransaction,
  WHOLE_TABLE,
} from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { drain } from '../drain/drain.js'
import type { DrainReport } from '../drain/drain-report.js'
import { DRAIN_WAIT_MS } from '../drain/pass.js'
import type { Model } from '../model/model.js'
import { requireFound } from '../rows/look-ups.js'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import { slices } from '../slice/dirty-keys.js'
import { breakTable } from '../tables/set-aside.js'
import { betweenDrains } from '../transactions.js'
import { compareKeys } from './compare-keys.js'
import { countFindings, type Difference } from './findings.js'
import { Moment } from './moment.js'
import { comparedAt } from './obstacle.js'
import { differingKeys } from './record-comparison.js'
import { TableWalk } from './table-walk.js'

/** Rows of one table that differ. Those of a table without a key have a count, and WHOLE_TABLE as their only key. */
export interface Differing {
  readonly table: string
  readonly keys: readonly DifferingKey[]
  readonly rows: number
}

export interface RepairOutcome {
  readonly table: string
  readonly left: readonly DifferingKey[]
  readonly repaired: number
}

export const WHOLE: DifferingKey = { key: WHOLE_TABLE, texts: [], kind: 'different', columns: [] }

/** Rows of one table that the next drain is to make equal. */
interface DirtyRows {
  readonly keys: readonly RowKey[]
  /** Texts of target rows that no key of the source can address. */
  readonly strays: readonly (readonly string[])[]
}

/**
 * Marks tables as broken whose rows the source does not find by some of these keys, though it has them: a drain that looks
 * these up would delete the target's rows. Returns those tables.
 */
export async function breakUnfound(
  context: EngineContext,
  model: Model,
  wanted: Iterable<readonly [table: string, keys: readonly RowKey[]]>,
): Promise<ReadonlySet<string>> {
  const broken = new Map<string, TableBroken>()
  {
    await using snapshot = await context.source.openSnapshot()
    for (const [name, keys] of wanted) {
      if (model.isFullTable(name)) continue
      const table = model.mapping(name)
      try {
        for (const list of slices(keys, KEYS_PER_QUERY)) await requireFound(snapshot, { table, keys: list })
      } catch (error) {
        if (!(error instanceof TableBroken)) throw error
        broken.set(name, error)
      }
    }
  }
  for (const error of broken.values()) await breakTable(context, error)
  return new Set(broken.keys())
}

/** Makes these rows dirty, for the next drain to re-read with all that their foreign keys act on. Must run between drains. */
export async function makeDirty(
  target: Pick<TargetTransaction, 'parked' | 'rows'>,
  mapping: TableMapping,
  { keys, strays }: DirtyRows,
): Promise<void> {
  const table = mapping.source.name
  await target.parked.park(keys.map((key): ParkedKey => ({ table, key, drain: NO_DRAIN, start: true })))
  // No re-read would find them.
  if (strays.length > 0) await target.rows.deleteStrays(mapping, strays)
}

/**
 * Makes these rows dirty, for the next drain to read again with all that their foreign keys act on. Stores them in the same
 * transaction: whoever finds them there later looks for the outcome.
 */
export async function tryRepair(context: EngineContext, model: Model, found: readonly Differing[]): Promise<void> {
  const broken = await breakUnfound(
    context,
    model,
    found.map(({ table, keys }) => [table, addressed(keys)] as const),
  )
  await betweenDrains(context, async (target) => {
    for (const { table, keys, rows } of found) {
      const strays = keys.flatMap(({ key, texts }) => (key === null ? [texts] : []))
      if (!broken.has(table)) await makeDirty(target, model.mapping(table), { keys: addressed(keys), strays })
      await target.verification.addTried(table, keys, rows)
    }
  })
}

/** Drains what was made dirty, and compares these rows again at a later moment. */
export async function settleRepair(
  context: EngineContext,
  model: Model,
  tried: readonly Differing[],
): Promise<{ readonly outcomes: readonly RepairOutcome[]; readonly reports: readonly DrainReport[] }> {
  // The moment proves nothing about keys that its own drain carries.
  const report = await drain(context, model, { waitMs: DRAIN_WAIT_MS })
  await using moment = await Moment.open(context, model)
  const outcomes: RepairOutcome[] = []
  for (const differing of tried) outcomes.push(await compareAgain(context, moment, differing))
  return { outcomes, reports: [report, moment.report] }
}

/** What cannot be compared now still differs, as far as is known. */
async function compareAgain(
  context: EngineContext,
  moment: Moment,
  { table, keys, rows }: Differing,
): Promise<RepairOutcome> {
  const { model } = moment
  const compared = await comparedAt(context, moment, table, async (): Promise<RepairOutcome> => {
    if (model.isFullTable(table)) {
      const walk = new TableWalk(table)
      const isCompared = (await walk.step(context, moment)) && walk.state.notCompared === null
      return { table, left: [], repaired: isCompared ? Math.max(0, rows - countFindings(walk.state.findings)) : 0 }
    }
    const left: Difference[] = await compareKeys(moment, model.mapping(table), addressed(keys))
    return { table, left: differingKeys(model, table, { differences: left, strays: [] }), repaired: rows - left.length }
  })
  return 'outcome' in compared ? compared.outcome : { table, left: keys, repaired: 0 }
}

/** The keys of those rows that a key of the source can address. */
function addressed(keys: readonly DifferingKey[]): RowKey[] {
  return keys.flatMap(({ key }) => (key === null ? [] : [key]))
}
