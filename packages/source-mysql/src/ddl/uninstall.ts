import { isOurTrigger, isTriggerOf } from '../capture/trigger-text.js'
import type { Session } from '../connection/session.js'
import { INSTANCE_TABLE, type SourceSettings } from '../settings.js'
import * as sql from '../sql.js'
import { requireDrop } from './require-drop.js'

/**
 * Triggers first, so that no write of the application meets a missing table. Where another installation uses the
 * tables of ours, only this one's triggers and row go.
 */
export async function uninstallStatements(session: Session, settings: SourceSettings): Promise<string[]> {
  const triggers = await session.rows(
    `SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${sql.text(settings.database)} ORDER BY 1`,
  )
  const names = triggers.map(([name]) => name ?? '').filter(isOurTrigger)
  const mine = names.filter((name) => isTriggerOf(name, settings.instance))
  const tables = await ourTables(session, settings)
  const statements = mine.map((name) => `DROP TRIGGER IF EXISTS ${sql.name(name)}`)
  const shared = names.length > mine.length || (await otherOwners(session, settings, tables)) > 0
  if (!shared) return [...statements, ...tables.map((table) => `DROP TABLE IF EXISTS ${sql.name(table)}`)]
  if (!tables.includes(INSTANCE_TABLE)) return statements
  return [...statements, `DELETE FROM ${sql.name(INSTANCE_TABLE)} WHERE owner = ${sql.text(settings.instance)}`]
}

/** Triggers need TRIGGER, which capture needs too; the right to drop tables is one that nothing else needs. */
export async function mayUninstall(session: Session, settings: SourceSettings): Promise<void> {
  const dropped = (await uninstallStatements(session, settings)).some((statement) => statement.startsWith('DROP TABLE'))
  if (dropped) await requireDrop(session, settings, await ourTables(session, settings))
}

async function ourTables(session: Session, settings: SourceSettings): Promise<string[]> {
  const wanted = [settings.auditTable, INSTANCE_TABLE]
  const rows = await session.rows(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME IN (${wanted.map(sql.text).join(', ')}) ORDER BY 1`,
  )
  return rows.map(([name]) => name ?? '')
}

async function otherOwners(session: Session, settings: SourceSettings, tables: readonly string[]): Promise<number> {
  if (!tables.includes(INSTANCE_TABLE)) return 0
  const [row] = await session.rows(
    `SELECT COUNT(*) FROM ${sql.name(INSTANCE_TABLE)} WHERE owner <> ${sql.text(settings.instance)}`,
  )
  return Number(row?.[0] ?? 0)
}
