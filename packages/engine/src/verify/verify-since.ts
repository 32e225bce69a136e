import { type DrainRange, type RowKey, WHOLE_TABLE } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { withValues } from './found-values.js'
import type { Moment } from './moment.js'
import type { TableWalk } from './table-walk.js'
import { beginVerification, reportOf, type VerifyRequest, walkOn } from './verify.js'
import type { VerifyReport } from './verify-report.js'

/** Keys of one table that are held in memory at once. */
const MAX_KEYS = 200_000

/** As `verify`, but compares only keys that drains have carried since a time: an ISO 8601 time by this host's clock. */
export async function verifySince(
  context: EngineContext,
  request: VerifyRequest & { readonly since: string },
): Promise<VerifyReport> {
  const ahead = await context.target.admin.clockAheadMs()
  const since = new Date(Date.parse(request.since) + ahead).toISOString()
  const verification = await beginVerification(context, request)
  let from = since
  let of: { readonly moment: string; readonly drains: DrainRange } | undefined
  const step = async (walk: TableWalk, moment: Moment): Promise<boolean> => {
    if (of?.moment !== moment.name) {
      const drains = await drainsSince(moment, since)
      if (drains.from > from) from = drains.from
      of = { moment: moment.name, drains }
    }
    return await compareRecorded(context, moment, { walk, drains: of.drains })
  }
  await walkOn(context, verification, { step })
  const asked = request.since
  const report = { ...reportOf(verification), since: { asked, from: from === since ? asked : from } }
  return request.values === true ? await withValues(context, verification, report) : report
}

/** The drains since a time by the target's clock, as far as their keys are kept, and the time from which none is missing. */
async function drainsSince({ target, drains }: Moment, since: string): Promise<DrainRange & { readonly from: string }> {
  const [oldest, ...kept] = await target.history.kept()
  // A drain is recorded as of its beginning: the one before may have committed after that time.
  const at = kept.findIndex(({ recordedAt }) => recordedAt >= since)
  const first = kept[Math.max(0, at - 1)]?.number ?? drains.first
  // Keys of the oldest itself may be gone, and it is never later than the others.
  const from = oldest === undefined || oldest.recordedAt <= since ? since : oldest.recordedAt
  return { first, last: drains.last, from }
}

async function compareRecorded(
  context: EngineContext,
  moment: Moment,
  { walk, drains }: { readonly walk: TableWalk; readonly drains: DrainRange },
): Promise<boolean> {
  const { table } = walk
  const keys: readonly RowKey[] | null = await moment.target.history.allKeys(drains, table, MAX_KEYS)
  const isWhole = moment.model.tables.has(table) && moment.model.isFullTable(table)
  if (isWhole && keys?.includes(WHOLE_TABLE)) return await walk.step(context, moment)
  if (keys === null) walk.leaveOut(`drains have carried more than ${MAX_KEYS} of its keys since; verify it as a whole`)
  else await walk.compareOnly(context, moment, keys)
  return true
}
