import { counted } from '@mylab-sync/core'
import { sourceError } from '../connection/errors.js'
import { dropTrigger, type LogWriter, logWriters } from '../capture/log-writers.js'
import { isOurTrigger, isTriggerOf } from '../capture/trigger-text.js'
import type { Session } from '../connection/session.js'
import { namesLogs } from './own-tables.js'
import { INSTANCE_TABLE, WATERMARK_TABLE, ownTableNames, type SourceSettings } from '../settings.js'
import * as sql from '../sql.js'
import { requireDrop } from './require-right.js'

/**
 * Drops triggers first, so that no write of the application fails on a missing table: all triggers that write to this
 * installation's log, in any database and under any name. If other installations remain, only this one's triggers, log and row
 * are removed. Throws SyncError foreign-trigger, before anything is removed, if a trigger that names the log does other work too.
 */
export async function uninstallStatements(session: Session, settings: SourceSettings): Promise<string[]> {
  const triggers = await session.definitions(
    `SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${sql.text(settings.database)} ORDER BY 1`,
  )
  const writers = await logWriters(session, settings)
  refuseForeignTriggers(writers, settings)
  const isWriter = new Set(writers.filter(({ schema }) => schema === settings.database).map(({ name }) => name))
  const names = triggers.map(([name]) => name ?? '').filter((name) => isOurTrigger(name) && !isWriter.has(name))
  const broken = names.filter((name) => isTriggerOf(name, settings.instance))
  const tables = await ourTables(session, settings)
  const statements = [
    ...writers.map((writer) => dropTrigger(writer, settings)),
    ...broken.map((name) => `DROP TRIGGER IF EXISTS ${sql.name(name)}`),
  ]
  const others = await otherLogs(session, settings, tables)
  const drop = (table: string): string => `DROP TABLE IF EXISTS ${sql.name(table)}`
  if (names.length === broken.length && others.length === 0) return [...statements, ...tables.map(drop)]
  // An older version did not record whose log it is.
  if (others.length > 0 && !others.some((log) => log === null || log === settings.auditTable))
    statements.push(drop(settings.auditTable))
  const shared = [INSTANCE_TABLE, WATERMARK_TABLE].filter((table) => tables.includes(table))
  const forget = (table: string): string =>
    `DELETE FROM ${sql.name(table)} WHERE owner = ${sql.text(settings.instance)}`
  return [...statements, ...shared.map(forget)]
}

/** The other work of such a trigger belongs to the application. */
function refuseForeignTriggers(writers: readonly LogWriter[], settings: SourceSettings): void {
  const foreign = writers.filter(({ onlyLogs }) => !onlyLogs)
  if (foreign.length === 0) return
  const shown = foreign.map(({ schema, name, table }) => `${schema}.${name} on ${table}`).join(', ')
  throw sourceError(
    'foreign-trigger',
    `${counted(foreign.length, 'trigger')} of another program would fail every write without ${settings.auditTable}: ${shown}; nothing was removed`,
    {
      remedy: `remove ${settings.auditTable} from their text, or: ${foreign.map((writer) => `${dropTrigger(writer, settings)};`).join(' ')}`,
    },
  )
}

/** Checks only DROP on tables: dropping triggers needs TRIGGER, which capture needs anyway. */
export async function requireUninstall(session: Session, settings: SourceSettings): Promise<void> {
  const dropped = (await uninstallStatements(session, settings)).some((statement) => statement.startsWith('DROP TABLE'))
  if (dropped) await requireDrop(session, settings, await ourTables(session, settings))
}

async function ourTables(session: Session, settings: SourceSettings): Promise<string[]> {
  const wanted = ownTableNames(settings)
  const rows = await session.rows(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME IN (${wanted.map(sql.text).join(', ')}) ORDER BY 1`,
  )
  return rows.map(([name]) => name ?? '')
}

/** The change logs of other installations; null if not recorded. */
async function otherLogs(
  session: Session,
  settings: SourceSettings,
  tables: readonly string[],
): Promise<(string | null)[]> {
  if (!tables.includes(INSTANCE_TABLE)) return []
  const others = `FROM ${sql.name(INSTANCE_TABLE)} WHERE owner <> ${sql.text(settings.instance)}`
  const noted = await namesLogs(session, settings)
  return (await session.rows(`SELECT ${noted ? 'log' : 'NULL'} ${others}`)).map(([log]) => log ?? null)
}
