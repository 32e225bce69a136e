import { createHash } from 'node:crypto'
import { batchesOf, counted, isLockTimeout, SyncError, type TriggerTarget } from '@mylab-sync/core'
import { retry } from '@mylab-sync/runtime'
import { ER } from '../connection/error-numbers.js'
import type { Server } from '../catalog/catalog.js'
import { errorNumber, ofTable, sourceError } from '../connection/errors.js'
import type { Session } from '../connection/session.js'
import { INSTANCE_TABLE, type SourceSettings } from '../settings.js'
import { activeRoles, readAccount } from '../preflight/check.js'
import * as sql from '../sql.js'
import { actAsDefiner } from './definer.js'
import { createTrigger, type TriggerText, triggersOf } from './trigger-text.js'

/** A trigger keeps the sql_mode it was created under: strict, so that no key is truncated, and without NO_ZERO_DATE. */
export const TRIGGER_SQL_MODE = 'STRICT_ALL_TABLES'
/** CREATE TRIGGER waits for open transactions, and every statement on the table queues behind it: hence short waits and many tries. */
export const DDL_SESSION = `SET SESSION sql_mode = '${TRIGGER_SQL_MODE}', lock_wait_timeout = 2`
/** Session settings for a manual installation; a trigger keeps the character set too. */
export const INSTALL_SESSION: readonly string[] = ['SET NAMES utf8mb4 COLLATE utf8mb4_general_ci', DDL_SESSION]
const ATTEMPTS = 30
const PAUSES = { firstMs: 300, longestMs: 1_600 }
/**
 * A waiting definition causes deadlocks: a transaction that has read the table and then writes it is rolled back (1213,
 * measured: 17 in 1,500 transactions). A definition that does not wait causes none, so that is retried first.
 */
const WITHOUT_WAIT_MS = 8_000
const WITHOUT_WAIT_PAUSES = { firstMs: 10, longestMs: 10 }

/** Each takes some milliseconds; the application's statements on its table wait meanwhile, not for the packet. */
const TRIGGERS_PER_PACKET = 30
const KEYS_PER_PACKET = 100
const NONE: ReadonlyMap<string, Existing> = new Map()

interface Existing {
  readonly event: string
  readonly table: string
  readonly body: string
  readonly sqlMode: string
  /** Its creation time, to a hundredth of a second, and its definer: dropping and re-creating the same trigger changes this. */
  readonly identity: string
}

async function existing(
  session: Session,
  database: string,
  wanted: readonly TriggerText[],
): Promise<Map<string, Existing>> {
  const rows =
    await session.definitions(`SELECT TRIGGER_NAME, CONCAT(ACTION_TIMING, ' ', EVENT_MANIPULATION), EVENT_OBJECT_TABLE, ACTION_STATEMENT, SQL_MODE, CONCAT_WS(' ', CREATED, DEFINER)
    FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${sql.text(database)}`)
  const bodies = new Map(wanted.flatMap(({ name, otherName, body }) => [name, otherName].map((each) => [each, body])))
  const found = new Map<string, Existing>()
  for (const [name = '', event, table, shown, sqlMode, identity] of rows) {
    if (name === null) continue
    const body = (shown ?? '').trim()
    const right = bodies.get(name)
    found.set(name, {
      event: event ?? '',
      table: table ?? '',
      body: right !== undefined && right !== body && (await isCreatedWith(session, name, right)) ? right : body,
      sqlMode: sqlMode ?? '',
      identity: identity ?? '',
    })
  }
  return found
}

/**
 * MySQL's catalog shows the body without the escapes of its literals and garbles doubled backticks (9.7: "`c``x`" as
 * "`cc`xx`"); SHOW CREATE TRIGGER shows it as written.
 */
async function isCreatedWith(session: Session, name: string, body: string): Promise<boolean> {
  try {
    const [row] = await session.rows(`SHOW CREATE TRIGGER ${sql.name(name)}`)
    return (row?.[2] ?? '').trim().endsWith(` FOR EACH ROW ${body}`)
  } catch (error) {
    if (errorNumber(error) === ER.TRG_DOES_NOT_EXIST) return false
    throw error
  }
}

function fits(found: Existing | undefined, wanted: TriggerText): boolean {
  return (
    found !== undefined &&
    found.event === `AFTER ${wanted.event}` &&
    found.table === wanted.table &&
    found.body === wanted.body &&
    found.sqlMode === TRIGGER_SQL_MODE
  )
}

/** The existing trigger if exactly one of its two names is taken, and its text is correct. */
function correctTrigger(found: ReadonlyMap<string, Existing>, wanted: TriggerText): Existing | undefined {
  const [first, ...others] = [wanted.name, wanted.otherName].flatMap((name) => found.get(name) ?? [])
  return others.length === 0 && fits(first, wanted) ? first : undefined
}

function fingerprintOf(triggers: readonly Existing[]): string {
  const identities = JSON.stringify(triggers.map((trigger) => trigger.identity))
  return createHash('sha256').update(identities).digest('hex').slice(0, 16)
}

/** As the port's. */
export async function triggerFingerprints(
  session: Session,
  settings: SourceSettings,
  targets: readonly TriggerTarget[],
): Promise<Map<string, string>> {
  const wanted = targets.map((target) => ({ table: target.table, triggers: triggersOf(target, settings) }))
  const found = await existing(
    session,
    settings.database,
    wanted.flatMap(({ triggers }) => triggers),
  )
  const fingerprints = new Map<string, string>()
  for (const { table, triggers } of wanted) {
    const right = triggers.flatMap((trigger) => correctTrigger(found, trigger) ?? [])
    if (right.length === triggers.length) fingerprints.set(table, fingerprintOf(right))
  }
  return fingerprints
}

/** The installing connection; it must not be used for anything else afterwards. */
export interface Installer {
  readonly session: Session
  readonly settings: SourceSettings
  readonly server: Server
}

export async function installTriggers(
  installer: Installer,
  targets: readonly TriggerTarget[],
  options: { readonly recreate: boolean; readonly done?: (table: string) => void },
): Promise<number> {
  const { session, settings } = installer
  await session.run(DDL_SESSION)
  const hasRoles = (await activeRoles(session)) !== null
  await asDefiner(installer, async () => {
    if (hasRoles) await tryKeys(session, targets)
    await tryInsert(session, settings)
  })
  const wanted = targets.flatMap((target) => triggersOf(target, settings))
  const found = await existing(session, settings.database, wanted)
  let right = 0
  const done = ({ table }: TriggerText): void => {
    right += 1
    options.done?.(table)
  }
  await asDefiner(installer, async () => {
    const isNew = ({ name, otherName }: TriggerText): boolean => !found.has(name) && !found.has(otherName)
    await createNew(installer, wanted.filter(isNew), done)
    for (const trigger of wanted.filter((each) => !isNew(each))) {
      if (options.recreate || !correctTrigger(found, trigger)) await replaceOn(installer, trigger, found)
      done(trigger)
    }
  })
  await refusePrepared(installer)
  return right
}

/** Creates triggers whose names are free, in few round trips; one whose table is in use waits for it as `replace` does. */
async function createNew(
  installer: Installer,
  triggers: readonly TriggerText[],
  done: (trigger: TriggerText) => void,
): Promise<void> {
  const { session, server } = installer
  for (const batch of batchesOf(triggers, TRIGGERS_PER_PACKET)) {
    let left = batch
    while (left.length > 0) {
      await canRunWithoutWait(session)
      const statements = left.map((trigger) => createTrigger(trigger, trigger.name, server.vendor === 'mariadb'))
      const { ran, error } = await session.runAll(statements)
      if (!session.broken) await session.run(DDL_SESSION)
      left.slice(0, ran).forEach(done)
      const refused = left[ran]
      left = left.slice(ran + 1)
      if (refused === undefined) continue
      if (!isLockTimeout(error)) throw refusalOf(refused.table, error)
      await replaceOn(installer, refused, NONE)
      done(refused)
    }
  }
}

/** Names a table that accepts no trigger; a missing right concerns the whole database. */
function refusalOf(table: string, error: unknown): unknown {
  return error instanceof SyncError && error.code === 'missing-right' ? error : ofTable(table, error)
}

/** As `replace`. Throws TableBroken if the table accepts no trigger; a missing right concerns the whole database and is passed on. */
async function replaceOn(...[installer, wanted, found]: Parameters<typeof replace>): Promise<void> {
  try {
    await replace(installer, wanted, found)
  } catch (error) {
    throw refusalOf(wanted.table, error)
  }
}

/** Replaces a trigger without a gap: on a server without OR REPLACE the new one is created before the old one is dropped. */
async function replace(installer: Installer, wanted: TriggerText, found: ReadonlyMap<string, Existing>): Promise<void> {
  const { session, server } = installer
  const elsewhere = (name: string): boolean =>
    found.get(name)?.table !== undefined && found.get(name)?.table !== wanted.table
  const old = [wanted.name, wanted.otherName].filter((name) => found.has(name))
  if (server.vendor === 'mariadb') {
    // OR REPLACE does not move a trigger to another table.
    if (elsewhere(wanted.name))
      await runWithShortLocks(session, `DROP TRIGGER IF EXISTS ${sql.name(wanted.name)}`, wanted.table)
    await runWithShortLocks(session, createTrigger(wanted, wanted.name, true), wanted.table)
    if (found.has(wanted.otherName))
      await runWithShortLocks(session, `DROP TRIGGER IF EXISTS ${sql.name(wanted.otherName)}`, wanted.table)
    return
  }
  const free = [wanted.name, wanted.otherName].find((name) => !found.has(name))
  if (free === undefined)
    await runWithShortLocks(session, `DROP TRIGGER IF EXISTS ${sql.name(wanted.otherName)}`, wanted.table)
  const name = free ?? wanted.otherName
  await runWithShortLocks(session, createTrigger(wanted, name, false), wanted.table)
  for (const other of old) {
    if (other !== name) await runWithShortLocks(session, `DROP TRIGGER IF EXISTS ${sql.name(other)}`, wanted.table)
  }
}

/** Runs one definition: first repeatedly without waiting for its lock, then with short waits. Throws SyncError lock-timeout. */
export async function runWithShortLocks(
  session: Session,
  statement: string,
  table: string,
  attempts = ATTEMPTS,
): Promise<void> {
  if (await ranWithoutWait(session, statement)) return
  try {
    await retry(() => session.run(statement), { ...PAUSES, attempts, isRetryable: isLockTimeout })
  } catch (error) {
    if (!isLockTimeout(error)) throw error
    throw sourceError(
      'lock-timeout',
      `table ${table} is in use by a long transaction; its definition could not be changed`,
      {
        cause: error,
        remedy: 'end the long transaction on that table, or try again at a quieter time',
      },
    )
  }
}

async function canRunWithoutWait(session: Session): Promise<boolean> {
  try {
    await session.run('SET SESSION lock_wait_timeout = 0')
  } catch (error) {
    // in strict mode a server rejects 0 if it always waits (MySQL: 1 s at least); otherwise it uses its minimum
    if (errorNumber(error) === ER.WRONG_VALUE_FOR_VAR) return false
    throw error
  }
  const [shortest] = await session.rows('SELECT @@SESSION.lock_wait_timeout')
  return shortest?.[0] === '0'
}

/** Returns false if the server always waits, or the table was in use all the time. */
async function ranWithoutWait(session: Session, statement: string): Promise<boolean> {
  try {
    if (!(await canRunWithoutWait(session))) return false
    const signal = AbortSignal.timeout(WITHOUT_WAIT_MS)
    await retry(() => session.run(statement), { ...WITHOUT_WAIT_PAUSES, signal, isRetryable: isLockTimeout })
    return true
  } catch (error) {
    if (isLockTimeout(error)) return false
    throw error
  } finally {
    if (!session.broken) await session.run(DDL_SESSION)
  }
}

/**
 * Runs `work` with the rights that the account's triggers run with. A server checks those when a trigger runs, not when it is
 * created, and every write of the application would fail for a missing one; so each is tried before the first trigger.
 */
async function asDefiner({ session, settings, server }: Installer, work: () => Promise<void>): Promise<void> {
  await actAsDefiner(session, server)
  try {
    await work()
  } catch (error) {
    if (!(error instanceof SyncError) || !DENIED.has(errorNumber(error) ?? 0)) throw error
    const { name, grants } = await readAccount(session, server, settings.database)
    throw sourceError(
      'missing-right',
      `${error.text}; triggers run with the rights of ${name}, without roles that only a session activates`,
      {
        cause: error,
        remedy: `GRANT SELECT, INSERT, UPDATE, TRIGGER ON ${grants.place} TO ${name};`,
      },
    )
  }
}

const DENIED: ReadonlySet<number> = new Set([ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR])

/** Reads the key columns, which needs the same rights as the triggers do. */
async function tryKeys(session: Session, targets: readonly TriggerTarget[]): Promise<void> {
  const statements = targets.flatMap(({ table, key }) => {
    const columns = key?.columns.map(({ column }) => sql.name(column.source.name)) ?? []
    return columns.length > 0 ? [`SELECT ${columns.join(', ')} FROM ${sql.name(table)} LIMIT 0`] : []
  })
  for (const packet of batchesOf(statements, KEYS_PER_PACKET)) {
    const { error } = await session.runAll(packet)
    if (error !== null) throw error
  }
}

/** Tries once what the triggers will do: a failure here spares the application one per statement. */
async function tryInsert(session: Session, settings: SourceSettings): Promise<void> {
  await session.run('START TRANSACTION')
  await session.run(
    `INSERT INTO ${sql.name(settings.auditTable)} (table_name, operation, row_key, old_key, flags) VALUES ('', 'UPDATE', '', NULL, 0)`,
  )
  // The same as the log's guards.
  await session.run(`UPDATE ${sql.name(INSTANCE_TABLE)} SET token = token, purged_drain = purged_drain WHERE FALSE`)
  await session.run('ROLLBACK')
}

/** A prepared XA transaction may still commit changes that no trigger saw (MySQL 5.7, MariaDB; on MySQL 8 CREATE TRIGGER waits for it). */
async function refusePrepared(installer: Installer): Promise<void> {
  try {
    const rows = await installer.session.rows('XA RECOVER')
    if (rows.length === 0) return
    throw sourceError(
      'xa-prepared',
      `${counted(rows.length, 'prepared XA transaction')} may hold changes that no trigger saw`,
      {
        remedy: 'commit or roll back what XA RECOVER lists, then install again',
      },
    )
  } catch (error) {
    const waits = installer.server.vendor === 'mysql' && Number.parseInt(installer.server.version, 10) >= 8
    if (waits && error instanceof SyncError && error.code !== 'xa-prepared' && error.code !== 'lost-connection') return
    throw error
  }
}
