import { sourceError } from '../connection/errors.js'
import { DDL_SESSION, runWithShortLocks } from '../capture/install.js'
import { dropTrigger, logWriters } from '../capture/log-writers.js'
import { isOlderPackages, KEPT } from '../catalog/older-package.js'
import type { Session } from '../connection/session.js'
import { ownTableNames, type SourceSettings } from '../settings.js'
import * as sql from '../sql.js'
import { MARKER } from './own-tables.js'
import { requireDrop } from './require-right.js'

export interface Adopted {
  readonly triggers: number
  /** The log's new name; null if there was nothing to take over. */
  readonly log: string | null
  /** Number of entries that the older package had not carried. */
  readonly pending: number
}

/**
 * Takes over from the older package: drops the triggers that write to its log, then renames the log. Triggers go first:
 * without their table they would fail every write of the application. Refuses a table that is not its log.
 */
export async function adopt(session: Session, settings: SourceSettings): Promise<Adopted> {
  const { auditTable, database } = settings
  const [found] = await session.rows(`SELECT TABLE_COMMENT FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = ${sql.text(database)} AND TABLE_NAME = ${sql.text(auditTable)}`)
  if (!found || (found[0] ?? '').startsWith(MARKER)) return { triggers: 0, log: null, pending: 0 }
  const columns = await session.rows(`SELECT COLUMN_NAME FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = ${sql.text(database)} AND TABLE_NAME = ${sql.text(auditTable)}`)
  if (!isOlderPackages({ name: '', comment: '', columns: columns.map(([name]) => ({ name: name ?? '' })) }, settings))
    throw sourceError('foreign-audit-table', `table ${auditTable} is not the older package's log`, {
      remedy: `rename it, or set SYNC_AUDIT_TABLE to another name`,
    })
  // RENAME TABLE needs DROP
  await requireDrop(session, settings, [auditTable])
  const writers = await logWriters(session, settings)
  await session.run(DDL_SESSION)
  for (const writer of writers) await runWithShortLocks(session, dropTrigger(writer, settings), writer.table)
  const [counts] = await session.rows(`SELECT COUNT(*) FROM ${sql.name(auditTable)} WHERE synced = 0`)
  const log = await freeName(session, settings)
  await runWithShortLocks(session, `RENAME TABLE ${sql.name(auditTable)} TO ${sql.name(log)}`, auditTable)
  await runWithShortLocks(session, `ALTER TABLE ${sql.name(log)} COMMENT = ${sql.text(KEPT)}`, log)
  return { triggers: writers.length, log, pending: Number(counts?.[0] ?? 0) }
}

async function freeName(session: Session, settings: SourceSettings): Promise<string> {
  const { auditTable, database } = settings
  const rows = await session.rows(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${sql.text(database)}`,
  )
  const taken = new Set([...rows.map(([name]) => name ?? ''), ...ownTableNames(settings)])
  for (let n = 1; ; n++) {
    const name = `${auditTable}_old${n === 1 ? '' : n}`
    if (!taken.has(name)) return name
  }
}
