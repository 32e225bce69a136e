import { NO_DRAIN, type ParkedKey, WHOLE_TABLE } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { drain } from '../drain/drain.js'
import { DRAIN_WAIT_MS } from '../drain/pass.js'
import type { Model } from '../model/model.js'
import { betweenDrains } from '../transactions.js'
import { compareKeys } from './compare-keys.js'
import { Moment } from './moment.js'
import type { TableWalk } from './table-walk.js'
import { compareTables, reportOf, type Verification, type VerifyReport, type VerifyRequest } from './verify.js'

export interface RepairReport {
  readonly found: VerifyReport
  /** What is left after the repair. */
  readonly left: VerifyReport
}

/**
 * Verifies, makes exactly the differing keys dirty, lets drains re-read them with their closure, and compares these keys
 * again. Rows that are equal are not written (DESIGN 11).
 */
export async function repair(context: EngineContext, request: VerifyRequest): Promise<RepairReport> {
  const verification = await compareTables(context, request)
  const found = reportOf(verification)
  const differing = verification.walks.filter((walk) => walk.notCompared === null && !walk.isEqual)
  if (differing.length === 0) return { found, left: found }
  await makeDirty(context, verification.model, differing)
  await drain(context, verification.model, { waitMs: DRAIN_WAIT_MS })
  await compareAgain(context, verification, differing)
  return { found, left: reportOf(verification) }
}

async function makeDirty(context: EngineContext, model: Model, walks: readonly TableWalk[]): Promise<void> {
  await betweenDrains(context, async (target) => {
    for (const { table, differences, strays } of walks) {
      const keys = model.isFullTable(table) ? [WHOLE_TABLE] : differences.map(({ key }) => key)
      await target.parked.park(keys.map((key): ParkedKey => ({ table, key, drain: NO_DRAIN, start: true })))
      // No key of the source can address them, so no re-read would find them.
      if (strays.length > 0) await target.rows.deleteStrays(model.mapping(table), strays)
    }
  })
}

/** Writes the new outcome into the walks. */
async function compareAgain(
  context: EngineContext,
  verification: Verification,
  walks: readonly TableWalk[],
): Promise<void> {
  const { model } = verification
  const keyed = walks.filter(({ table }) => !model.isFullTable(table))
  if (keyed.length > 0) await compareKeysAgain(context, model, keyed)
  const whole = walks.filter(({ table }) => model.isFullTable(table)).map(({ table }) => table)
  if (whole.length === 0) return
  const again = await compareTables(context, { tables: whole })
  for (const walk of again.walks) walks.find(({ table }) => table === walk.table)?.settleWhole(walk)
}

async function compareKeysAgain(context: EngineContext, model: Model, walks: readonly TableWalk[]): Promise<void> {
  await using moment = await Moment.open(context, model)
  for (const walk of walks) {
    const keys = walk.differences.map(({ key }) => key)
    walk.settle(await compareKeys(moment, moment.model.mapping(walk.table), keys), moment.takenAt)
  }
}
