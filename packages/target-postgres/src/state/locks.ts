import { type LockHolder, SyncError } from '@mylab-sync/core'
import { createHash } from 'node:crypto'
import { SQLSTATE } from '../sql-states.js'
import type { Database, Row, Session } from '../connection/database.js'
import { codeOf, mapped } from '../errors.js'
import * as sql from '../sql.js'

/** Work that exists once per installation has a lock table of its own; other work shares SHARED tables by its name's hash. */
const OWN = new Set(['drain', 'tick', 'maintain', 'verify'])
const SHARED = 16

/**
 * Only a role that may write to our tables can take these locks; any role that can connect can take an advisory lock.
 * EXCLUSIVE admits readers, including pg_dump. It takes no transaction id, so a lock held for hours does not hold back
 * vacuum, and its statement has no snapshot that CREATE INDEX CONCURRENTLY would wait for.
 */
function lockTable({ settings }: Database, work: string): string {
  const place = OWN.has(work) ? work : String(createHash('sha256').update(work).digest().readUInt32BE(0) % SHARED)
  return `${sql.name(settings.stateSchema)}.sync_lock_${place}`
}

/** The lock of older versions. Also tried first because a refused table lock leaves a line in the server's log. */
function advisory({ settings }: Database, work: string): string {
  return `hashtext(${sql.text(`mylab-sync ${work} ${settings.stateSchema} ${settings.instance}`)})`
}

/** Tries to lock until the end of the session's transaction. Returns false at once if another process holds it; the transaction is then unusable. */
export async function tryLock(session: Session, database: Database, work: string): Promise<boolean> {
  if (!(await tryAdvisory(session, database, work)) && !(await isHeldByStrangers(session, database, work))) return false
  try {
    await session.raw(`LOCK TABLE ${lockTable(database, work)} IN EXCLUSIVE MODE NOWAIT`)
    return true
  } catch (error) {
    if (codeOf(error) === SQLSTATE.LOCK_NOT_AVAILABLE) return false
    throw error
  }
}

/** As `tryLock`, but waits for the session's lock_timeout; throws the driver's error. */
export async function waitForLock(session: Session, database: Database, work: string): Promise<void> {
  await session.raw(`LOCK TABLE ${lockTable(database, work)} IN EXCLUSIVE MODE`)
  if (await tryAdvisory(session, database, work)) return
  if (await isHeldByStrangers(session, database, work)) return
  await session.raw(`SELECT pg_advisory_xact_lock(${advisory(database, work)})`)
}

/** Uses no parameters: the portal of a parametrised statement keeps a snapshot until the next statement. */
async function tryAdvisory(session: Session, database: Database, work: string): Promise<boolean> {
  const { rows } = await session.raw<{ got: boolean }>(
    `SELECT pg_try_advisory_xact_lock(${advisory(database, work)}) AS got`,
  )
  return rows[0]?.got ?? false
}

/** Whether all visible holders lack rights on our tables, so their lock can be ignored. */
async function isHeldByStrangers(session: Session, database: Database, work: string): Promise<boolean> {
  const { rows } = await session.raw<{ strangers: boolean | null }>(
    `SELECT bool_and(NOT pg_has_role(a.usesysid, c.relowner, 'MEMBER')) AS strangers
     FROM (SELECT ${advisory(database, work)}::int8 AS key) k, pg_class c, pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE c.oid = '${lockTable(database, work).replaceAll("'", "''")}'::regclass AND l.locktype = 'advisory' AND l.granted
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND l.classid = (k.key >> 32 & 4294967295)::oid AND l.objid = (k.key & 4294967295)::oid AND l.objsubid = 1`,
  )
  return rows[0]?.strangers ?? false
}

interface HolderRow extends Row {
  readonly pid: number | null
  readonly role: string | null
  readonly application: string | null
  readonly seconds: number | null
  readonly moved: string | null
}

/** The holder of the lock for this work, as far as this account may see; null if it is free. */
export async function lockHolder(database: Database, work: string): Promise<LockHolder | null> {
  const [row] = await database.transaction((session) =>
    session.rows<HolderRow>(
      `SELECT l.pid, a.usename::text AS role, a.application_name AS application, a.state_change::text AS moved,
         extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds
       FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
       WHERE l.locktype = 'relation' AND l.relation = to_regclass($1) AND l.granted AND l.mode <> 'AccessShareLock'
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1`,
      [lockTable(database, work)],
    ),
  )
  if (row === undefined) return null
  const { pid, role, application, seconds, moved } = row
  const named = application ? ` (${application})` : ''
  const who = pid === null ? 'a prepared transaction' : `process ${pid} of ${role ?? 'another role'}${named}`
  return { who, pid, seconds, moved }
}

export function heldBy({ who, seconds }: Pick<LockHolder, 'who' | 'seconds'>): string {
  return seconds === null ? who : `${who}, whose transaction began ${Math.round(seconds)} s ago`
}

/** Names the holder in a lock timeout; returns other errors mapped. The session's transaction must have ended. */
export async function lockFault(database: Database, error: unknown): Promise<Error> {
  const cause = mapped(error)
  if (!(cause instanceof SyncError) || cause.code !== 'lock-timeout') return cause
  const holder = await lockHolder(database, 'drain')
  return new SyncError(
    'lock-timeout',
    `another drain did not end in time${holder === null ? '' : `: ${heldBy(holder)}`}`,
    {
      remedy: 'mylab-sync status',
      cause: error,
    },
  )
}
