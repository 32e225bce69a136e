import { counted, MAX_OWN_ID, SyncError } from '@mylab-sync/core'
import { ER } from '../connection/error-numbers.js'
import { TRIGGER_SQL_MODE } from '../capture/install.js'
import { nextEntryId } from '../capture/log-ids.js'
import { dropTrigger, type LogWriter, logWriters } from '../capture/log-writers.js'
import { areGuardsIntact } from '../capture/log-guards.js'
import { isOurTrigger, triggerName, TRIGGER_EVENTS } from '../capture/trigger-text.js'
import { errorNumber } from '../connection/errors.js'
import type { Session, TextRow } from '../connection/session.js'
import { MARKER } from '../ddl/own-tables.js'
import { ownTableNames } from '../settings.js'
import * as sql from '../sql.js'
import { type Check, finding, isAtLeast, quotedAccount, someOf } from './check.js'
import { size } from './server.js'

/** Prepared XA transactions contain changes that no trigger saw; on MySQL 8 CREATE TRIGGER waits for them, on other servers it does not. */
export const preparedTransactions: Check = async (facts, session) => {
  const waits = facts.server.vendor === 'mysql' && isAtLeast(facts.server, [8, 0, 0])
  const rows = await orRefused(session.rows('XA RECOVER'))
  if (rows === null || rows.length === 0) return []
  return [
    finding(
      waits ? 'warning' : 'error',
      'source-xa-prepared',
      `${rows.length === 1 ? 'a prepared XA transaction is' : `${rows.length} prepared XA transactions are`} neither committed nor rolled back: ` +
        (waits
          ? 'triggers cannot be created on its tables until then'
          : 'its changes could be committed later without any trigger seeing them'),
      rows.map((row) => `XA ROLLBACK ${xid(row)};`).join(' ') + ' (or XA COMMIT, as its owner decides)',
    ),
  ]
}

/** From the format, the lengths of the two parts, and both parts as one string. */
function xid([format, globalLength, , data]: TextRow): string {
  const bytes = Buffer.from(data ?? '', 'utf8')
  const part = (piece: Buffer): string =>
    /^[\x20-\x7e]*$/.test(piece.toString('latin1')) ? sql.text(piece.toString()) : `X'${piece.toString('hex')}'`
  const global = Number(globalLength ?? 0)
  return `${part(bytes.subarray(0, global))}, ${part(bytes.subarray(global))}, ${format}`
}

interface FoundTrigger {
  readonly name: string
  readonly table: string
  readonly definer: string
  readonly sqlMode: string
  readonly body: string
}

async function triggers(session: Session, database: string): Promise<FoundTrigger[]> {
  const rows = await session.definitions(
    `SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, DEFINER, SQL_MODE, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${sql.text(database)} ORDER BY TRIGGER_NAME`,
  )
  return rows.map(([name, table, definer, sqlMode, body]) => ({
    name: name ?? '',
    table: table ?? '',
    definer: definer ?? '',
    sqlMode: sqlMode ?? '',
    body: body ?? '',
  }))
}

/** A foreign table with the change log's name and the triggers that write to it: those of the older PHP package. */
export const foreignLog: Check = async ({ settings }, session) => {
  const names = ownTableNames(settings)
  const rows = await session.rows(`SELECT TABLE_NAME, TABLE_COMMENT FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME IN (${names.map(sql.text).join(', ')})`)
  const foreign = rows.filter(([, comment]) => !(comment ?? '').startsWith(MARKER)).map(([name]) => name ?? '')
  const found: (readonly [string, LogWriter[]])[] = []
  for (const table of foreign) found.push([table, await logWriters(session, { ...settings, auditTable: table })])
  return found.map(([table, writers]) => {
    const drops = writers.map((writer) => `${dropTrigger(writer, settings)};`)
    // Triggers go first: without their table they would fail every write of the application.
    const rename = `RENAME TABLE ${sql.name(table)} TO ${sql.name(`${table}_old`)};`
    return finding(
      'error',
      'source-foreign-log',
      `a table ${table} that this program did not create has the name of one of its own` +
        (writers.length === 0
          ? ''
          : `, and ${counted(writers.length, 'trigger')} ${writers.length === 1 ? 'writes' : 'write'} to it (the older PHP package's, on ${someOf([...new Set(writers.map((t) => t.table))])})`),
      [...drops, rename].join(' '),
    )
  })
}

/**
 * Schema change tools copy triggers to copies of a table, under other names. On a carried table every entry is then written
 * twice, on another one entries name the wrong table. Both are harmless, but cost every write.
 */
export const strayWriters: Check = async ({ settings }, session) => {
  const isOurs = ({ schema, name, table }: LogWriter): boolean =>
    schema === settings.database &&
    TRIGGER_EVENTS.some((event) => name.startsWith(triggerName(table, event, settings.instance)))
  const [ours] = await session.rows(
    `SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME = ${sql.text(settings.auditTable)} AND TABLE_COMMENT LIKE ${sql.text(`${MARKER}%`)}`,
  )
  const strays = ours === undefined ? [] : (await logWriters(session, settings)).filter((writer) => !isOurs(writer))
  if (strays.length === 0) return []
  const tables = someOf([
    ...new Set(strays.map(({ schema, table }) => (schema === settings.database ? table : `${schema}.${table}`))),
  ])
  return [
    finding(
      'warning',
      'source-stray-triggers',
      `${counted(strays.length, 'trigger')} of other origin ${strays.length === 1 ? 'writes' : 'write'} to the change log, on ${tables}, such as copies left by a schema change tool: the target stays correct, but every write there costs more, and would fail without ${settings.auditTable}`,
      strays.map((writer) => `${dropTrigger(writer, settings)};`).join(' '),
    ),
  ]
}

/** Without guards, entries deleted manually go unnoticed; the next maintenance re-creates the guards and copies all tables again. */
export const logGuards: Check = async ({ settings }, session) => {
  if ((await areGuardsIntact(session, settings)) !== false) return []
  return [
    finding(
      'warning',
      'source-log-guards',
      `the triggers that detect manual changes to ${settings.auditTable} are missing or were replaced: changes to the log meanwhile are unknown, so all tables are copied again in place`,
      'mylab-sync setup-triggers',
    ),
  ]
}

/** Triggers run with the rights of their definer: without that account every write of the application fails (1449). */
export const definers: Check = async (facts, session) => {
  const ours = (await triggers(session, facts.settings.database)).filter((trigger) => isOurTrigger(trigger.name))
  const others = new Set(
    ours.map((trigger) => trigger.definer).filter((definer) => quotedAccount(definer) !== facts.account),
  )
  if (others.size === 0) return []
  const accounts = await orRefused(session.rows("SELECT CONCAT(User, '@', Host) FROM mysql.user"))
  const known = accounts === null ? null : new Set(accounts.map(([account]) => account))
  return [...others].flatMap((definer) => {
    if (known?.has(definer)) return []
    const tables = someOf([...new Set(ours.filter((t) => t.definer === definer).map((t) => t.table))])
    return known === null
      ? finding(
          'warning',
          'source-trigger-definer',
          `the triggers of ${tables} belong to ${quotedAccount(definer)}, not to ${facts.account}; if that account is dropped, every write to these tables fails (error 1449)`,
          'mylab-sync setup-triggers --drop',
        )
      : finding(
          'error',
          'source-trigger-definer',
          `the triggers of ${tables} belong to ${quotedAccount(definer)}, an account that does not exist: every write to these tables fails (error 1449)`,
          'mylab-sync setup-triggers --drop',
        )
  })
}

/** A trigger keeps the sql_mode it was created under; a lax one would truncate keys. */
export const triggerModes: Check = async ({ settings }, session) => {
  const lax = (await triggers(session, settings.database)).filter(
    (trigger) => isOurTrigger(trigger.name) && trigger.sqlMode !== TRIGGER_SQL_MODE,
  )
  if (lax.length === 0) return []
  return [
    finding(
      'error',
      'source-trigger-mode',
      `triggers of ${someOf([...new Set(lax.map((trigger) => trigger.table))])} were created under another sql_mode than ${TRIGGER_SQL_MODE}, so they could write a truncated key`,
      'mylab-sync setup-triggers --drop',
    ),
  ]
}

/** After the highest possible id every write of the application fails. */
export const logIds: Check = async ({ settings }, session) => {
  const next = await nextEntryId(session, settings)
  if (next === null || next <= MAX_OWN_ID) return []
  return [
    finding(
      'error',
      'source-log-ids',
      `the next entry of the change log ${settings.auditTable} would have the id ${next}: a client with write access to a captured table or to the log has chosen an id (SET insert_id), and after the highest possible id every write of the application fails (error 1467)`,
      'mylab-sync database --once renumbers these entries and lowers the counter, as a daemon and workers do within about 10 s; then find out which client it was',
    ),
  ]
}

const LARGE_LOG = 256 * 2 ** 20
const HUGE_LOG = 4 * 2 ** 30

export const logSize: Check = async ({ settings }, session) => {
  const [row] =
    await session.rows(`SELECT DATA_LENGTH + INDEX_LENGTH + DATA_FREE, TABLE_ROWS FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME = ${sql.text(settings.auditTable)} AND TABLE_COMMENT LIKE ${sql.text(`${MARKER}%`)}`)
  return sizeFinding(settings.auditTable, Number(row?.[0] ?? 0), Number(row?.[1] ?? 0))
}

export function sizeFinding(table: string, bytes: number, rows: number): ReturnType<typeof finding>[] {
  if (bytes < LARGE_LOG) return []
  return [
    finding(
      bytes < HUGE_LOG ? 'note' : 'warning',
      'source-log-size',
      `the change log ${table} takes ${size(bytes)} of the source's disk (~${rows} entries)`,
      'mylab-sync cleanup --days 7, from cron, or let the scheduler do it; mylab-sync database applies pending entries',
    ),
  ]
}

/** Null if the account may not read it. */
async function orRefused(rows: Promise<TextRow[]>): Promise<TextRow[] | null> {
  try {
    return await rows
  } catch (error) {
    if (error instanceof SyncError && error.code === 'missing-right') return null
    // MySQL 8 says so for XA RECOVER without XA_RECOVER_ADMIN
    if (errorNumber(error) === ER.XAER_RMERR) return null
    throw error
  }
}
