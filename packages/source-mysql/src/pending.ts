import type { PendingSummary, PollResult } from '@mylab-sync/core'
import { sourceError } from './connection/errors.js'
import type { Session } from './connection/session.js'
import { INSTANCE_TABLE, type SourceSettings } from './settings.js'
import * as sql from './sql.js'

const UNSYNCED = 'synced = 0 AND retry_count = 0'

/** As the port's. */
export async function poll(session: Session, settings: SourceSettings): Promise<PollResult> {
  const [row] = await session.rows(`SELECT EXISTS (SELECT 1 FROM ${sql.name(settings.auditTable)} WHERE ${UNSYNCED}),
    (SELECT last_drain FROM ${sql.name(INSTANCE_TABLE)} WHERE owner = ${sql.text(settings.instance)})`)
  const lastDrain = row?.[1]
  if (lastDrain === undefined || lastDrain === null)
    throw sourceError('not-migrated', 'this installation does not exist here', { remedy: 'mylab-sync migrate' })
  return { pending: row?.[0] === '1', lastDrain: Number(lastDrain) }
}

export async function pending(session: Session, settings: SourceSettings): Promise<PendingSummary> {
  const log = sql.name(settings.auditTable)
  const tables = (
    await session.rows(
      `SELECT table_name, COUNT(*) FROM ${log} WHERE ${UNSYNCED} GROUP BY table_name ORDER BY table_name`,
    )
  ).map(([table, count]) => ({ table: table ?? '', pending: Number(count) }))
  const [row] = await session.rows(
    `SELECT TIMESTAMPDIFF(MICROSECOND, MIN(created_at), UTC_TIMESTAMP(6)) DIV 1000 FROM ${log} WHERE ${UNSYNCED}`,
  )
  const oldest = row?.[0] ?? null
  return {
    pending: tables.reduce((sum, each) => sum + each.pending, 0),
    oldestMs: oldest === null ? null : Math.max(0, Number(oldest)),
    tables,
  }
}

export async function countSynced(session: Session, settings: SourceSettings): Promise<number> {
  const [row] = await session.rows(`SELECT COUNT(*) FROM ${sql.name(settings.auditTable)} WHERE synced = 1`)
  return Number(row?.[0] ?? 0)
}
