import { DAMAGED_LOG, SyncError } from '@mylab-sync/core'
import { createHash } from 'node:crypto'
import type { Session } from '../connection/session.js'
import { readFacts } from '../preflight/check.js'
import { INSTANCE_TABLE, OWN_SESSION, type SourceSettings } from '../settings.js'
import * as sql from '../sql.js'
import { DDL_SESSION, runWithShortLocks } from './install.js'
import { instancePart } from './trigger-text.js'

/**
 * Triggers on the change log itself, which record that another client deleted or changed entries. A deleted pending entry
 * leaves no other trace: its missing id looks like that of a rolled-back transaction. The application only inserts, so they
 * cost it nothing (measured: 4,000 inserts, no difference; neither server opens sync_instance for them); acknowledging and
 * purging check a session variable (under 1 us per row).
 */
interface Guard {
  readonly name: string
  readonly event: 'UPDATE' | 'DELETE'
  readonly body: string
}

const CONTENT = ['id', 'table_name', 'operation', 'row_key', 'old_key', 'flags']
const isPending = (row: 'OLD' | 'NEW'): string => `${row}.synced = 0 AND ${row}.retry_count = 0`

function guardsOf(settings: SourceSettings): Guard[] {
  const name = (event: string): string => `mylab_${instancePart(settings.instance)}log_${event}`
  const note = (change: string): string =>
    `UPDATE ${sql.name(INSTANCE_TABLE)} SET ${change} WHERE owner = ${sql.text(settings.instance)}`
  const damaged = note(`token = ${sql.text(DAMAGED_LOG)}`)
  // The log cannot bring forward a target restored to a state before this drain.
  const purged = note('purged_drain = GREATEST(purged_drain, OLD.drain_no)')
  const isUnread = `OLD.drain_no IS NULL OR ${isPending('OLD')}`
  const isSame = CONTENT.map((column) => `NEW.${column} <=> OLD.${column}`).join(' AND ')
  // Processes of an older version do not set the variable; a drain number identifies their acknowledgements.
  const isKept = `${isSame} AND (${isPending('NEW')} OR NEW.drain_no IS NOT NULL AND (${isUnread} OR NEW.drain_no = OLD.drain_no))`
  const byHand = (condition: string): string =>
    `IF ${OWN_SESSION} IS NULL AND ${condition} THEN IF ${isUnread} THEN ${damaged}; ELSE ${purged}; END IF; END IF`
  return [
    { name: name('au'), event: 'UPDATE', body: byHand(`OLD.id > 0 AND NOT (${isKept})`) },
    { name: name('ad'), event: 'DELETE', body: byHand('TRUE') },
  ]
}

/** Changes when a guard is dropped, moved or re-created, also together with its table; null if one is missing. */
async function fingerprint(session: Session, settings: SourceSettings): Promise<string | null> {
  const guards = guardsOf(settings)
  const rows =
    await session.definitions(`SELECT TRIGGER_NAME, CREATED, DEFINER, SQL_MODE, ACTION_STATEMENT FROM information_schema.TRIGGERS
    WHERE TRIGGER_SCHEMA = ${sql.text(settings.database)} AND EVENT_OBJECT_TABLE = ${sql.text(settings.auditTable)}
    AND TRIGGER_NAME IN (${guards.map(({ name: each }) => sql.text(each)).join(', ')}) ORDER BY 1`)
  if (rows.length < guards.length) return null
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex')
}

/** Compares the current fingerprint with the recorded one; if none is recorded yet, the current one counts as correct. */
async function compare(
  session: Session,
  settings: SourceSettings,
): Promise<{ readonly known: string | null; readonly found: string | null; readonly isSame: boolean }> {
  const known = await knownFingerprint(session, settings)
  const found = await fingerprint(session, settings)
  return { known, found, isSame: found !== null && found === (known ?? found) }
}

/** Whether the guards are those that this installation created. Records guards that were created manually. Also true if the account may create no trigger: nothing is captured then. */
export async function isGuarded(session: Session, settings: SourceSettings): Promise<boolean> {
  const { known, found, isSame } = await compare(session, settings)
  if (found !== null && known === null) await note(session, settings, `guards = ${sql.text(found)}`)
  if (isSame) return true
  const { grants } = await readFacts(session, settings, [])
  return !grants.anywhere('TRIGGER')
}

/** Whether the guards are as recorded; null if this installation has no log yet. Changes nothing. */
export async function areGuardsIntact(session: Session, settings: SourceSettings): Promise<boolean | null> {
  const [log] = await session.rows(
    `SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME = ${sql.text(INSTANCE_TABLE)}`,
  )
  return log === undefined ? null : (await compare(session, settings)).isSame
}

/**
 * Creates the guards. Returns true if they had been replaced: changes of the log in between are unknown. If the account may
 * not create them, the log stays unguarded, as `doctor` reports; tables' triggers need the same right.
 */
export async function createGuards(session: Session, settings: SourceSettings): Promise<boolean> {
  const known = await knownFingerprint(session, settings)
  const isDamaged = known !== null && known !== (await fingerprint(session, settings))
  if (isDamaged) await note(session, settings, `token = ${sql.text(DAMAGED_LOG)}, guards = NULL`)
  await session.run(DDL_SESSION)
  try {
    for (const guard of guardsOf(settings)) await replace(session, settings, guard)
  } catch (error) {
    if (!(error instanceof SyncError && error.code === 'missing-right')) throw error
  }
  const made = await fingerprint(session, settings)
  if (made !== null) await note(session, settings, `guards = ${sql.text(made)}`)
  return isDamaged
}

async function replace(session: Session, { auditTable }: SourceSettings, guard: Guard): Promise<void> {
  for (const statement of statementsOf(guard, auditTable)) await runWithShortLocks(session, statement, auditTable)
}

function statementsOf({ name, event, body }: Guard, auditTable: string): string[] {
  return [
    `DROP TRIGGER IF EXISTS ${sql.name(name)}`,
    `CREATE DEFINER = CURRENT_USER TRIGGER ${sql.name(name)} AFTER ${event} ON ${sql.name(auditTable)} FOR EACH ROW ${body}`,
  ]
}

/** For a manual installation. */
export function guardStatements(settings: SourceSettings): string[] {
  return guardsOf(settings).flatMap((guard) => statementsOf(guard, settings.auditTable))
}

async function knownFingerprint(session: Session, settings: SourceSettings): Promise<string | null> {
  const [row] = await session.rows(
    `SELECT guards FROM ${sql.name(INSTANCE_TABLE)} WHERE owner = ${sql.text(settings.instance)}`,
  )
  return row?.[0] ?? null
}

async function note(session: Session, settings: SourceSettings, change: string): Promise<void> {
  await session.run(`UPDATE ${sql.name(INSTANCE_TABLE)} SET ${change} WHERE owner = ${sql.text(settings.instance)}`)
}
