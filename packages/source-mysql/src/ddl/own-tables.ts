import { DAMAGED_LOG, SyncError } from '@mylab-sync/core'
import { sourceError } from '../connection/errors.js'
import type { Session } from '../connection/session.js'
import { INSTANCE_TABLE, WATERMARK_TABLE, ownTableNames, type SourceSettings } from '../settings.js'
import { inTransaction, markMalformedBefore } from '../snapshot/acknowledge.js'
import * as sql from '../sql.js'

/** Tables of this product are recognised by this comment; those of the older PHP package have none. */
export const MARKER = 'MyLab Database Sync'

/** Reads of pending entries force this index: with ORDER BY id the servers tend to scan the whole log instead. */
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

const ASCII = 'CHARACTER SET ascii COLLATE ascii_bin NULL'
/** Columns added later: the last drain's token, the installation's log, the log's seal, and the fingerprint of its guards. */
const LATER_COLUMNS: ReadonlyMap<string, string> = new Map([
  ['token', `VARCHAR(36) ${ASCII}`],
  ['log', 'VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL'],
  ['seal', `VARCHAR(36) ${ASCII}`],
  ['guards', `VARCHAR(64) ${ASCII}`],
])

export const CREATE_INSTANCE_TABLE = `CREATE TABLE IF NOT EXISTS ${sql.name(INSTANCE_TABLE)} (
  owner VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  last_drain BIGINT UNSIGNED NOT NULL DEFAULT 0,
  purged_drain BIGINT UNSIGNED NOT NULL DEFAULT 0,
  ${[...LATER_COLUMNS].map(([name, type]) => `${name} ${type}`).join(',\n  ')}
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT=${sql.text(`${MARKER}: installations, version 1`)}`

/**
 * Watermarks of drains, with their numbers, and of copies. A source that goes back in time loses its latest commits, so a
 * watermark that still exists proves that everything read before it still exists too.
 */
const CREATE_WATERMARK_TABLE = `CREATE TABLE IF NOT EXISTS ${sql.name(WATERMARK_TABLE)} (
  owner VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  token VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  drain_no BIGINT UNSIGNED NULL,
  marked_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (owner, token),
  KEY drains (owner, drain_no)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT=${sql.text(`${MARKER}: marks of drains and copies, version 1`)}`

/** Only the change log is missing. Processes keep retrying, since the table may return; until then every write of the application fails. */
export function logGone(settings: SourceSettings, cause: unknown): SyncError {
  return sourceError('generation-changed', `the change log ${settings.auditTable} is missing`, {
    cause,
    remedy: 'mylab-sync migrate; until then every write to the tables fails',
  })
}

type Presence = 'none' | 'ours' | 'foreign'

async function presence(session: Session, settings: SourceSettings): Promise<Map<string, Presence>> {
  const names = ownTableNames(settings)
  const rows = await session.rows(`SELECT TABLE_NAME, TABLE_COMMENT FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME IN (${names.map(sql.text).join(', ')})`)
  const found = new Map<string, Presence>(names.map((name) => [name, 'none']))
  for (const [name, comment] of rows) found.set(name ?? '', (comment ?? '').startsWith(MARKER) ? 'ours' : 'foreign')
  return found
}

function refuseForeign(found: ReadonlyMap<string, Presence>): void {
  for (const [name, kind] of found) {
    if (kind !== 'foreign') continue
    throw sourceError('foreign-audit-table', `a table ${name} that this program did not create already exists`, {
      remedy: `mylab-sync migrate --adopt if it is the older PHP package's; else rename it, or set SYNC_AUDIT_TABLE`,
    })
  }
}

/**
 * Creates missing tables and refuses foreign ones. Idempotent. If the remaining tables show that this installation lost one,
 * its change log included, everything is read again.
 */
export async function migrate(session: Session, settings: SourceSettings, token: string): Promise<void> {
  const found = await presence(session, settings)
  refuseForeign(found)
  const isThere = (table: string): boolean => found.get(table) === 'ours'
  if (isThere(INSTANCE_TABLE)) {
    const missing = await missingColumns(session, settings)
    const added = missing.map((name) => `ADD COLUMN ${name} ${LATER_COLUMNS.get(name)}`)
    if (added.length > 0) await session.run(`ALTER TABLE ${sql.name(INSTANCE_TABLE)} ${added.join(', ')}`)
    await refuseShared(session, settings)
  }
  const isKnown = async (table: string): Promise<boolean> =>
    isThere(table) && (await session.rows(`SELECT 1 FROM ${sql.name(table)} ${ownerIs(settings)} LIMIT 1`)).length > 0
  const hasLog = isThere(settings.auditTable)
  const hasRow = await isKnown(INSTANCE_TABLE)
  const isDamaged = hasRow ? !hasLog : hasLog || (await isKnown(WATERMARK_TABLE))
  for (const statement of ownTables(settings, isDamaged ? DAMAGED_LOG : token)) await session.run(statement)
  if (hasLog)
    await inTransaction(session, async () => void (await session.run(markMalformedBefore(settings.auditTable))))
  if (isDamaged)
    await session.run(
      `UPDATE ${sql.name(INSTANCE_TABLE)} SET token = ${sql.text(DAMAGED_LOG)}, seal = NULL ${ownerIs(settings)}`,
    )
}

function ownerIs(settings: SourceSettings): string {
  return `WHERE owner = ${sql.text(settings.instance)}`
}

/** Creates the tables and this installation's row; a new row starts at `token`. */
export function ownTables(settings: SourceSettings, token: string): string[] {
  const row = `(owner, log, token) VALUES (${sql.text(settings.instance)}, ${sql.text(settings.auditTable)}, ${sql.text(token)})`
  return [
    createAuditTable(settings.auditTable),
    CREATE_INSTANCE_TABLE,
    CREATE_WATERMARK_TABLE,
    `INSERT INTO ${sql.name(INSTANCE_TABLE)} ${row} ON DUPLICATE KEY UPDATE log = VALUES(log)`,
    // An older version recorded only its last drain.
    `INSERT IGNORE INTO ${sql.name(WATERMARK_TABLE)} (owner, drain_no, token) SELECT owner, last_drain, token FROM ${sql.name(INSTANCE_TABLE)} ${ownerIs(settings)} AND last_drain > 0 AND token NOT IN ('', ${sql.text(DAMAGED_LOG)})`,
  ]
}

/** Two installations on one log would acknowledge entries that the other has not read. */
async function refuseShared(session: Session, settings: SourceSettings): Promise<void> {
  const [other] = await session.rows(
    `SELECT owner FROM ${sql.name(INSTANCE_TABLE)} WHERE log = ${sql.text(settings.auditTable)} AND owner <> ${sql.text(settings.instance)} LIMIT 1`,
  )
  if (other === undefined) return
  throw sourceError(
    'foreign-audit-table',
    `${settings.auditTable} is the change log of the installation ${other[0] ?? ''}`,
    { remedy: `set SYNC_AUDIT_TABLE to a separate name for the installation ${settings.instance}` },
  )
}

/** Columns of sync_instance that an older version did not create. */
async function missingColumns(session: Session, settings: SourceSettings): Promise<string[]> {
  const rows = await session.rows(`SELECT COLUMN_NAME FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME = ${sql.text(INSTANCE_TABLE)}`)
  const there = new Set(rows.map(([name]) => name))
  return [...LATER_COLUMNS.keys()].filter((name) => !there.has(name))
}

/** Whether sync_instance names each installation's log; an older version did not record it. */
export async function namesLogs(session: Session, settings: SourceSettings): Promise<boolean> {
  return !(await missingColumns(session, settings)).includes('log')
}

export async function isMigrated(session: Session, settings: SourceSettings): Promise<boolean> {
  const found = await presence(session, settings)
  refuseForeign(found)
  if ([...found.values()].includes('none') || (await missingColumns(session, settings)).length > 0) return false
  await refuseShared(session, settings)
  const rows = await session.rows(`SELECT 1 FROM ${sql.name(INSTANCE_TABLE)} ${ownerIs(settings)}`)
  return rows.length > 0
}
