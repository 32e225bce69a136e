import { SyncError } from '@mylab-sync/core'
import type { Session } from '../connection/session.js'
import { INSTANCE_TABLE, type SourceSettings } from '../settings.js'
import * as sql from '../sql.js'

/** By its comment we know a table of ours; the older PHP package's has none. */
export const MARKER = 'MyLab Database Sync'

/** Reads of what is unsynced name it: with ORDER BY id the servers like to walk the whole log instead. */
export const PENDING_INDEX = 'pending'

export function createAuditTable(auditTable: string): string {
  return `CREATE TABLE IF NOT EXISTS ${sql.name(auditTable)} (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  operation ENUM('INSERT','UPDATE','DELETE') NOT NULL,
  row_key VARCHAR(6500) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  old_key VARCHAR(6500) CHARACTER SET ascii COLLATE ascii_bin NULL,
  flags INT UNSIGNED NOT NULL,
  synced TINYINT(1) NOT NULL DEFAULT 0,
  drain_no BIGINT UNSIGNED NULL,
  retry_count INT NOT NULL DEFAULT 0,
  error_message VARCHAR(1000) NULL,
  created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  synced_at TIMESTAMP NULL DEFAULT NULL,
  KEY ${sql.name(PENDING_INDEX)} (synced, retry_count, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT=${sql.text(`${MARKER}: change log, version 1`)}`
}

export const CREATE_INSTANCE_TABLE = `CREATE TABLE IF NOT EXISTS ${sql.name(INSTANCE_TABLE)} (
  owner VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  last_drain BIGINT UNSIGNED NOT NULL DEFAULT 0,
  purged_drain BIGINT UNSIGNED NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT=${sql.text(`${MARKER}: installations, version 1`)}`

type Presence = 'none' | 'ours' | 'foreign'

async function presence(session: Session, settings: SourceSettings): Promise<Map<string, Presence>> {
  const names = [settings.auditTable, INSTANCE_TABLE]
  const rows = await session.rows(`SELECT TABLE_NAME, TABLE_COMMENT FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME IN (${names.map(sql.text).join(', ')})`)
  const found = new Map<string, Presence>(names.map((name) => [name, 'none']))
  for (const [name, comment] of rows) found.set(name ?? '', (comment ?? '').startsWith(MARKER) ? 'ours' : 'foreign')
  return found
}

function refuseForeign(found: ReadonlyMap<string, Presence>): void {
  for (const [name, kind] of found) {
    if (kind !== 'foreign') continue
    throw new SyncError(
      'foreign-audit-table',
      `source: a table ${name} that this program did not create stands in its place`,
      {
        remedy: `mylab-sync migrate --adopt if it is the older PHP package's; else rename it, or set SYNC_AUDIT_TABLE`,
      },
    )
  }
}

/** Creates what is missing and refuses what is not ours. May be run again at any time. */
export async function migrate(session: Session, settings: SourceSettings): Promise<void> {
  refuseForeign(await presence(session, settings))
  for (const statement of ownTables(settings)) await session.run(statement)
}

/** Our tables and this installation's row. */
export function ownTables(settings: SourceSettings): string[] {
  return [
    createAuditTable(settings.auditTable),
    CREATE_INSTANCE_TABLE,
    `INSERT IGNORE INTO ${sql.name(INSTANCE_TABLE)} (owner) VALUES (${sql.text(settings.instance)})`,
  ]
}

export async function isMigrated(session: Session, settings: SourceSettings): Promise<boolean> {
  const found = await presence(session, settings)
  refuseForeign(found)
  if ([...found.values()].includes('none')) return false
  const rows = await session.rows(
    `SELECT 1 FROM ${sql.name(INSTANCE_TABLE)} WHERE owner = ${sql.text(settings.instance)}`,
  )
  return rows.length > 0
}
