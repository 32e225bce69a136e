import type { Session } from './connection/session.js'
import { INSTANCE_TABLE, WATERMARK_TABLE, type SourceSettings } from './settings.js'
import { idIn, inTransaction, MALFORMED_UNSYNCED, recordPurged } from './snapshot/acknowledge.js'
import * as sql from './sql.js'

/** Entries per transaction: few, so that the application's inserts never wait for a purge. */
const BATCH = 2_000
/** Longer than any first copy takes. */
const COPY_WATERMARK_DAYS = 90

export interface PurgeRequest {
  readonly olderThanDays: number
  readonly dryRun: boolean
  readonly signal: AbortSignal
}

/**
 * Removes entries that were acknowledged longer ago than this. Records the highest drain among them: the log cannot bring
 * forward a target restored to a state before it. Returns the number of entries.
 */
export async function purge(session: Session, settings: SourceSettings, request: PurgeRequest): Promise<number> {
  const log = sql.name(settings.auditTable)
  const before = `NOW() - INTERVAL ${sql.integer(request.olderThanDays)} DAY`
  const old = `(synced = 1 AND synced_at < ${before} OR ${MALFORMED_UNSYNCED} AND created_at < ${before})`
  if (request.dryRun) {
    const [row] = await session.rows(`SELECT COUNT(*) FROM ${log} WHERE ${old}`)
    return Number(row?.[0] ?? 0)
  }
  // A forged entry may name a drain that never ran.
  const lastDrain = `(SELECT last_drain FROM ${sql.name(INSTANCE_TABLE)} WHERE owner = ${sql.text(settings.instance)})`
  let removed = 0
  for (let after = 0n; !request.signal.aborted; ) {
    const rows = await session.rows(
      `SELECT id, IF(drain_no <= ${lastDrain}, drain_no, 0) FROM ${log} FORCE INDEX (PRIMARY) WHERE id > ${sql.integer(after)} AND ${old} ORDER BY id LIMIT ${BATCH}`,
    )
    if (rows.length === 0) break
    const ids = rows.map(([id]) => BigInt(id ?? 0))
    await removeBatch(session, settings, { ids, drain: Math.max(...rows.map(([, drain]) => Number(drain ?? 0))) })
    removed += ids.length
    after = ids.at(-1) ?? after
  }
  await purgeWatermarks(session, settings, request)
  return removed
}

/** Removes the watermarks of equally old drains, with or without entries, and those from which the log cannot bring a target forward. */
async function purgeWatermarks(
  session: Session,
  settings: SourceSettings,
  { olderThanDays, signal }: PurgeRequest,
): Promise<void> {
  const watermarks = `FROM ${sql.name(WATERMARK_TABLE)} WHERE owner = ${sql.text(settings.instance)}`
  const [old] = await session.rows(
    `SELECT COALESCE(MAX(drain_no), 0) ${watermarks} AND marked_at < NOW() - INTERVAL ${sql.integer(olderThanDays)} DAY`,
  )
  await session.run(recordPurged(settings, Number(old?.[0] ?? 0)))
  const [purged] = await session.rows(
    `SELECT purged_drain FROM ${sql.name(INSTANCE_TABLE)} WHERE owner = ${sql.text(settings.instance)}`,
  )
  const useless = `${watermarks} AND (drain_no < ${sql.integer(Number(purged?.[0] ?? 0))} OR drain_no IS NULL AND marked_at < NOW() - INTERVAL ${COPY_WATERMARK_DAYS} DAY)`
  for (let removed = BATCH; removed === BATCH && !signal.aborted; )
    removed = await session.run(`DELETE ${useless} LIMIT ${BATCH}`)
}

async function removeBatch(
  session: Session,
  settings: SourceSettings,
  { ids, drain }: { readonly ids: readonly bigint[]; readonly drain: number },
): Promise<void> {
  await inTransaction(session, async () => {
    await session.run(recordPurged(settings, drain))
    await session.run(
      `DELETE FROM ${sql.name(settings.auditTable)} WHERE ${idIn(ids)} AND (synced = 1 OR ${MALFORMED_UNSYNCED})`,
    )
  })
}
