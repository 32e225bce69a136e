import { WHOLE_TABLE } from '@mylab-sync/core'
import { type EngineContext, throwIfStopped } from '../context.js'
import { drain } from '../drain/drain.js'
import { DRAIN_WAIT_MS } from '../drain/pass.js'
import { betweenDrains } from '../transactions.js'
import { compareKeys } from './compare-keys.js'
import { addFindings, ALL, type Findings, type FindingsLimits, noFindings, REPORTED } from './findings.js'
import { Moment } from './moment.js'
import { comparedAt } from './obstacle.js'
import { recordComparison } from './record-comparison.js'
import { breakUnfound, makeDirty } from './repair-found.js'
import { TableWalk } from './table-walk.js'
import { beginVerification, reportOf, type VerifyRequest, walkOn } from './verify.js'
import type { Verification, VerifyReport } from './verify-report.js'

/** Keys repaired at once: no more than one drain takes easily. */
const ROUND: FindingsLimits = { keys: 10_000, bytes: 2 << 20 }

export interface RepairReport {
  readonly found: VerifyReport
  /** The differences left after the repair. */
  readonly left: VerifyReport
}

/** The findings of each table before and after the repair. */
type Outcome = ReadonlyMap<TableWalk, { readonly found: Findings; readonly left: Findings }>

/**
 * Verifies, makes exactly the differing keys dirty, lets drains re-read them with their closure, and compares these keys
 * again. Rows that are equal are not written (DESIGN 11). Many differing rows take several rounds, each at the walks' place.
 */
export async function repair(context: EngineContext, request: VerifyRequest): Promise<RepairReport> {
  const verification = await beginVerification(context, request, { limits: ALL })
  const { walks } = verification
  const outcome: Outcome = new Map(walks.map((walk) => [walk, { found: noFindings(), left: noFindings() }]))
  do {
    throwIfStopped(context)
    await walkOn(context, verification, { ...request, listed: ROUND })
    await repairListed(context, verification, outcome)
  } while (walks.some((walk) => !walk.isDone))
  await repairWhole(context, verification, outcome)
  await recordComparison(context, verification, (walk) => outcome.get(walk))
  const found = reportOf(verification, (walk) => outcome.get(walk)?.found ?? walk.state.findings)
  return { found, left: reportOf(verification, (walk) => outcome.get(walk)?.left ?? walk.state.findings) }
}

/** Repairs what the walks list, and empties their lists. */
async function repairListed(context: EngineContext, verification: Verification, outcome: Outcome): Promise<void> {
  const round = new Map(verification.walks.map((walk) => [walk, walk.takeListed()]))
  for (const [walk, { differences, strays }] of round) if (differences.length + strays.length === 0) round.delete(walk)
  if (round.size === 0) return
  const { model } = verification
  const wanted = [...round].map(([{ table }, { differences }]) => [table, differences.map(({ key }) => key)] as const)
  const broken = await breakUnfound(context, model, wanted)
  await betweenDrains(context, async (target) => {
    for (const [{ table }, { differences, strays }] of round)
      if (!broken.has(table))
        await makeDirty(target, model.mapping(table), { keys: differences.map(({ key }) => key), strays })
  })
  await drain(context, model, { waitMs: DRAIN_WAIT_MS })
  await using moment = await Moment.open(context, model)
  verification.model = moment.model
  for (const [walk, { differences, strays }] of round) {
    const sides = outcome.get(walk)
    if (sides === undefined) continue
    addFindings(sides.found, { differences, strays }, REPORTED)
    const keys = differences.map(({ key }) => key)
    const compared = await comparedAt(context, moment, walk.table, () =>
      compareKeys(moment, moment.model.mapping(walk.table), keys),
    )
    const isComparable = 'outcome' in compared
    const left = isComparable ? { differences: compared.outcome, strays: [] } : { differences, strays }
    addFindings(sides.left, left, REPORTED)
    if (isComparable) walk.extend(moment)
  }
}

/** Has differing tables without a key read again as a whole. */
async function repairWhole(context: EngineContext, verification: Verification, outcome: Outcome): Promise<void> {
  const { model, walks } = verification
  const whole = walks.filter(({ table, isEqual }) => model.tables.has(table) && model.isFullTable(table) && !isEqual)
  if (whole.length === 0) return
  await betweenDrains(context, async (target) => {
    for (const { table } of whole) await makeDirty(target, model.mapping(table), { keys: [WHOLE_TABLE], strays: [] })
  })
  await drain(context, model, { waitMs: DRAIN_WAIT_MS })
  const tables = whole.map(({ table }) => table)
  const again: Verification = { ...verification, walks: tables.map((table) => new TableWalk(table)) }
  await walkOn(context, again, {})
  verification.model = again.model
  for (const walk of whole) {
    const later = again.walks.find(({ table }) => table === walk.table)
    const sides = outcome.get(walk)
    if (later === undefined || sides === undefined) continue
    Object.assign(sides.found.counts, walk.state.findings.counts)
    Object.assign(sides.left.counts, later.state.findings.counts)
    walk.replaceBy(later)
  }
}
