import { type DrainRange, type RowKey, WHOLE_TABLE } from '@mylab-sync/core'
import { type EngineContext, throwIfStopped } from '../context.js'
import { withValues } from './found-values.js'
import { Moment } from './moment.js'
import type { TableWalk } from './table-walk.js'
import { beginVerification, reportOf, type VerifyRequest } from './verify.js'
import type { VerifyReport } from './verify-report.js'

/** How long a moment is used. */
const MOMENT_MS = 5_000
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
  for (;;) {
    const left = verification.walks.filter((walk) => !walk.isDone)
    if (left.length === 0) break
    throwIfStopped(context)
    await using moment = await Moment.open(context, verification.model)
    verification.model = moment.model
    verification.quarantined = await moment.target.quarantine.counts()
    const drains = await drainsSince(moment, since)
    if (drains.from > from) from = drains.from
    const until = performance.now() + MOMENT_MS
    for (const walk of left) {
      await compareRecorded(context, moment, { walk, drains })
      if (performance.now() > until) break
    }
  }
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
): Promise<void> {
  const { table } = walk
  const keys: readonly RowKey[] | null = await moment.target.history.allKeys(drains, table, MAX_KEYS)
  const isWhole = moment.model.tables.has(table) && moment.model.isFullTable(table)
  if (keys === null) walk.leaveOut(`drains have carried more than ${MAX_KEYS} of its keys since; verify it as a whole`)
  else if (isWhole && keys.includes(WHOLE_TABLE)) await walk.step(context, moment)
  else await walk.compareOnly(context, moment, keys)
}
