import {
  BatchRefused,
  ConstraintViolated,
  KeysNeeded,
  type ErrorCode,
  keysAlike,
  SyncError,
  type SyncErrorOptions,
  TableBroken,
  TargetTableUnfit,
  type TableMapping,
  type TargetTableName,
  tlsFault,
  ValueRefused,
} from '@mylab-sync/core'
import { tlsRemedy } from '@mylab-sync/runtime'
import pg from 'pg'
import { SQLSTATE } from './sql-states.js'

const LOST = new Set([
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ECONNREFUSED',
  SQLSTATE.ADMIN_SHUTDOWN,
  SQLSTATE.CRASH_SHUTDOWN,
  SQLSTATE.CANNOT_CONNECT_NOW,
  SQLSTATE.IDLE_SESSION_TIMEOUT,
  SQLSTATE.TRANSACTION_TIMEOUT,
  SQLSTATE.CONNECTION_FAILURE,
  SQLSTATE.CONNECTION_DOES_NOT_EXIST,
  SQLSTATE.CLIENT_UNABLE_TO_ESTABLISH_CONNECTION,
  SQLSTATE.IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
])
/** Besides the classes connection (08), authorization (28), resources (53) and operator intervention (57). */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  SQLSTATE.INVALID_CATALOG_NAME,
  SQLSTATE.OBJECT_NOT_IN_PREREQUISITE_STATE,
])

/** An error whose message starts with `target: `. */
export function targetError(code: ErrorCode, text: string, options: Omit<SyncErrorOptions, 'side'> = {}): SyncError {
  return new SyncError(code, text, { ...options, side: 'target' })
}

export function sqlState(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** The same for an error of ours, judged by its cause. */
export function codeOf(error: unknown): string {
  if (error instanceof ConstraintViolated) return VIOLATION_CODES[error.kind]
  return sqlState(error instanceof SyncError ? error.cause : error)
}

/** What an error of a statement concerns: all work, this transaction, one row, or the statement's table. */
type Scope = 'server' | 'transaction' | 'row' | 'table'

/**
 * By SQLSTATE or its class; the longest entry wins. An unforeseen error concerns only the statement's table, so it blocks no
 * other: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const SCOPES: Readonly<Record<string, Scope>> = {
  '08': 'server',
  '22': 'row',
  [SQLSTATE.NOT_NULL_VIOLATION]: 'row',
  '25': 'server',
  '28': 'server',
  '3D': 'server',
  '3F': 'server',
  '40': 'transaction',
  '53': 'server',
  '54': 'row',
  [SQLSTATE.OBJECT_IN_USE]: 'transaction',
  [SQLSTATE.LOCK_NOT_AVAILABLE]: 'transaction',
  '57': 'server',
  [SQLSTATE.QUERY_CANCELED]: 'transaction',
  [SQLSTATE.SYSTEM_ERROR]: 'server',
  [SQLSTATE.IO_ERROR]: 'server',
  F0: 'server',
}

function scopeOf(error: pg.DatabaseError): Scope {
  const code = sqlState(error)
  const scope = SCOPES[code] ?? SCOPES[code.slice(0, 2)] ?? 'table'
  // A function may raise any code. A full disk is believed, an error of the connection or the server is not.
  return isRaised(error) && scope === 'server' && !/^5[38]/.test(code) ? 'table' : scope
}

/** Whether a user's function raised the error, whatever its code. */
function isRaised({ routine }: pg.DatabaseError): boolean {
  return routine === 'exec_stmt_raise'
}

/** Whether a statement inside a user's function caused the error, and not one of ours. */
function isOfFunction(error: pg.DatabaseError): boolean {
  return isRaised(error) || error.internalQuery !== undefined
}

/** Names in an error that the catalog confirms. */
export interface PlaceNames {
  readonly schema?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
  readonly constraint?: string | undefined
}

/**
 * The names in an error, if the server itself raised it. A user's function may put anything into these fields (RAISE .. USING
 * CONSTRAINT = a value of the row), so names of an error with its context are not trusted before they are looked up.
 */
function ownNames(error: pg.DatabaseError): PlaceNames {
  const { where, schema, table, column, constraint } = error
  const isOwn = !isOfFunction(error) && (where === undefined || where.startsWith('COPY '))
  const names: PlaceNames = { schema, table, column, constraint }
  return isOwn ? names : {}
}

/** The names that a user's function supplied, to be looked up before they are reported; null if the server raised the error. */
export function unreadNames(error: unknown): PlaceNames | null {
  const cause = driverError(error)
  if (cause === null || Object.values(ownNames(cause)).some((name) => name !== undefined)) return null
  const { schema, table, column, constraint } = cause
  const names = { schema, table, column, constraint }
  return Object.values(names).some((name) => name !== undefined) ? names : null
}

/** Whether the error is a row of `table` that PostgreSQL cannot store as given. */
export function isRowRefusal(error: unknown, table: Pick<TableMapping, 'name'>): error is pg.DatabaseError {
  if (!(error instanceof pg.DatabaseError) || scopeOf(error) !== 'row') return false
  const { schema, table: at } = error
  return at === undefined || at === table.name || schema?.startsWith('pg_temp') === true
}

/** Name of the violated UNIQUE of `table`; null for other errors. */
export function violatedUnique(error: unknown, table: Pick<TableMapping, 'name'>): string | null {
  if (!(error instanceof pg.DatabaseError) || error.code !== SQLSTATE.UNIQUE_VIOLATION) return null
  const { table: at, constraint } = ownNames(error)
  return at === table.name ? (constraint ?? '') : null
}

/** Why a row is refused, by place only: the driver's own text quotes the row. */
export function refusalMessage(error: unknown, table: string): string {
  const { column, constraint } = error instanceof pg.DatabaseError ? ownNames(error) : {}
  const place = column ? `column ${column}` : constraint ? `constraint ${constraint}` : `table ${table}`
  return `${place}: refused by PostgreSQL`
}

/** Reading the rows for a COPY failed. `cause` is the reader's error, which is passed on unchanged. */
export class RowsFailed extends Error {
  override readonly name = 'RowsFailed'
  constructor(cause: unknown) {
    super('the rows of a COPY could not be read', { cause })
  }
}

const CONNECT_REMEDY =
  'check PGSQL_HOST, PGSQL_PORT, PGSQL_DATABASE, PGSQL_USERNAME and PGSQL_PASSWORD, and that the server runs'
const CONNECT_REMEDIES: Readonly<Record<string, string>> = {
  [SQLSTATE.INVALID_AUTHORIZATION]:
    'add an entry for this user, database and host to pg_hba.conf; an entry hostssl needs PGSQL_SSLMODE=require, hostnossl PGSQL_SSLMODE=disable, and clientcert a certificate of ours: PGSQL_SSLCERT and PGSQL_SSLKEY',
}

const IN_WORDS: Readonly<Record<string, string>> = {
  [SQLSTATE.INVALID_PASSWORD]: 'wrong user or password, ',
  [SQLSTATE.INVALID_AUTHORIZATION]: 'pg_hba.conf admits no such connection, ',
  [SQLSTATE.INVALID_CATALOG_NAME]: 'no such database, ',
  [SQLSTATE.TOO_MANY_CONNECTIONS]: 'too many connections, ',
}

/** No entry of pg_hba.conf matches, possibly because the line is encrypted, or is not. */
export function refusesLine(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === SQLSTATE.INVALID_AUTHORIZATION
}

/** A missing account or database, or a wrong password, will not be right in a minute either. */
function isRefusal(code: string): boolean {
  return code.startsWith('28') || code === SQLSTATE.INVALID_CATALOG_NAME
}

export function connectError(error: unknown, place: string): SyncError {
  const code = sqlState(error)
  const fault = tlsFault(error)
  if (fault !== null)
    return new SyncError('cannot-connect', `target ${place}: TLS failed: ${fault.what} (${fault.code})`, {
      remedy: tlsRemedy(fault.cure, 'PGSQL'),
      retry: fault.retry,
      cause: error,
    })
  if (UNREACHABLE.has(code) || /^(08|28|53|57)/.test(code) || code === '') {
    // Before login there is no row data to quote, so the server's text is safe: it names the missing pg_hba.conf entry, say.
    const said =
      error instanceof pg.DatabaseError || (error instanceof Error && code === '') ? `: ${error.message}` : ''
    const label = code === '' ? '' : ` (${IN_WORDS[code] ?? ''}${code})`
    return new SyncError('cannot-connect', `target ${place}: cannot connect${label}${said}`, {
      remedy: CONNECT_REMEDIES[code] ?? CONNECT_REMEDY,
      ...(isRefusal(code) ? { retry: 'once-mended' } : {}),
      cause: error,
    })
  }
  return new SyncError('internal', `target ${place}: ${code}`, { cause: error })
}

/** The server as a whole fails: no space, memory or files, a configured limit, a failing device. */
const UNAVAILABLE = new Set<string>([
  SQLSTATE.INSUFFICIENT_RESOURCES,
  SQLSTATE.DISK_FULL,
  SQLSTATE.OUT_OF_MEMORY,
  SQLSTATE.CONFIGURATION_LIMIT_EXCEEDED,
  SQLSTATE.SYSTEM_ERROR,
  SQLSTATE.IO_ERROR,
])
const UNAVAILABLE_WORDS: Readonly<Record<string, string>> = {
  [SQLSTATE.DISK_FULL]: 'its disk is full',
  [SQLSTATE.OUT_OF_MEMORY]: 'it is out of memory',
  [SQLSTATE.CONFIGURATION_LIMIT_EXCEEDED]: 'a limit of its configuration is exceeded',
}
const NO_RIGHT = new Set<string>([SQLSTATE.INSUFFICIENT_PRIVILEGE, SQLSTATE.READ_ONLY_SQL_TRANSACTION])
const NOT_THERE = new Set<string>([SQLSTATE.UNDEFINED_TABLE, SQLSTATE.INVALID_SCHEMA_NAME])
const VIOLATIONS: Readonly<Record<string, ConstraintViolated['kind']>> = {
  [SQLSTATE.FOREIGN_KEY_VIOLATION]: 'foreign-key',
  [SQLSTATE.UNIQUE_VIOLATION]: 'unique',
  [SQLSTATE.EXCLUSION_VIOLATION]: 'unique',
  [SQLSTATE.CHECK_VIOLATION]: 'check',
}

const OURS = [SyncError, ConstraintViolated, BatchRefused, KeysNeeded, ValueRefused]

/** Maps a driver's error by its SQLSTATE. The driver's own text quotes row data and stays in `cause`. */
export function mapped(error: unknown): Error {
  if (error instanceof RowsFailed) return error.cause instanceof Error ? error.cause : error
  if (OURS.some((kind) => error instanceof kind)) return error as Error
  // Our own bug; reported as a lost connection it would be retried forever.
  if (error instanceof TypeError || error instanceof RangeError)
    return targetError('internal', `${error.name} in the program`, { cause: error })
  if (!(error instanceof pg.DatabaseError) || (LOST.has(sqlState(error)) && !isRaised(error))) return lost(error)
  return violation(error) ?? bySqlState(error)
}

const VIOLATION_CODES: Readonly<Record<ConstraintViolated['kind'], string>> = {
  'foreign-key': SQLSTATE.FOREIGN_KEY_VIOLATION,
  unique: SQLSTATE.UNIQUE_VIOLATION,
  check: SQLSTATE.CHECK_VIOLATION,
  index: SQLSTATE.PROGRAM_LIMIT_EXCEEDED,
}

function violation(error: pg.DatabaseError): ConstraintViolated | null {
  const { schema, table, constraint } = ownNames(error)
  const kind = VIOLATIONS[sqlState(error)]
  return kind && table && constraint ? new ConstraintViolated(table as TargetTableName, constraint, kind, schema) : null
}

function bySqlState(error: pg.DatabaseError): SyncError {
  const code = sqlState(error)
  const where = placeOf(error)
  if (scopeOf(error) === 'transaction')
    return targetError('lock-timeout', `timed out waiting for a lock (${code})${where}`, { cause: error })
  if (UNAVAILABLE.has(code))
    return targetError('unavailable', `${UNAVAILABLE_WORDS[code] ?? 'the server fails'} (${code})${where}`, {
      remedy: "see the server's log for what must be freed or raised",
      cause: error,
    })
  if (NO_RIGHT.has(code))
    return targetError(
      'missing-right',
      `a right is missing or the database is read-only (${code})${refusedBy(error)}${where}`,
      {
        remedy: 'mylab-sync doctor names each missing right and its GRANT',
        cause: error,
      },
    )
  if (NOT_THERE.has(code))
    return targetError('not-migrated', `a mylab-sync state table is missing (${code})`, {
      remedy: 'mylab-sync migrate',
      cause: error,
    })
  return targetError('internal', `SQLSTATE ${code}${where}`, { cause: error })
}

/** The server's own text of a denied right, which names only objects. */
function refusedBy({ routine, message }: pg.DatabaseError): string {
  return routine === 'aclcheck_error' ? `: ${message}` : ''
}

function lost(cause: unknown): SyncError {
  const code = sqlState(cause)
  return targetError('lost-connection', `the connection was lost${code === '' ? '' : ` (${code})`}`, {
    cause,
  })
}

function placeOf(error: pg.DatabaseError): string {
  const { table, column, constraint } = ownNames(error)
  return [table && ` table ${table}`, column && ` column ${column}`, constraint && ` constraint ${constraint}`]
    .filter(Boolean)
    .join(',')
}

const REFUSALS: Readonly<Record<string, string>> = {
  [SQLSTATE.FEATURE_NOT_SUPPORTED]: 'a view or a rule uses the column',
  [SQLSTATE.DEPENDENT_OBJECTS_STILL_EXIST]: 'other objects depend on it',
  [SQLSTATE.NOT_NULL_VIOLATION]: 'rows hold NULL',
  [SQLSTATE.UNIQUE_VIOLATION]: 'rows hold equal values',
  [SQLSTATE.INSUFFICIENT_PRIVILEGE]: 'the user does not own it',
  [SQLSTATE.WRONG_OBJECT_TYPE]: 'it is not a table',
}

/**
 * Why PostgreSQL refuses the definition of one table, by the code alone; null if other tables would be refused too, or if a
 * retry may succeed.
 */
export function definitionRefusal(error: unknown): string | null {
  if (error instanceof ConstraintViolated) return 'rows do not hold it'
  const cause = driverError(error)
  if (cause === null || sqlState(cause) === SQLSTATE.UNDEFINED_TABLE || !concernsOneTable(cause)) return null
  return `${REFUSALS[sqlState(cause)] ?? 'PostgreSQL refuses it'} (${sqlState(cause)})`
}

/** Whether the server's error is caused by one table. */
export function concernsOneTable(error: unknown): boolean {
  const cause = driverError(error)
  if (cause === null) return false
  const scope = scopeOf(cause)
  return scope === 'table' || scope === 'row'
}

function driverError(error: unknown): pg.DatabaseError | null {
  const cause = error instanceof SyncError ? error.cause : error
  return cause instanceof pg.DatabaseError ? cause : null
}

/** No such table, column or unique index; another type; a view in its place; a deferrable key, or none where a publication needs one. */
const UNFIT = new Set<string>([
  SQLSTATE.UNDEFINED_TABLE,
  SQLSTATE.UNDEFINED_COLUMN,
  SQLSTATE.INVALID_COLUMN_REFERENCE,
  SQLSTATE.DATATYPE_MISMATCH,
  SQLSTATE.UNDEFINED_FUNCTION,
  SQLSTATE.WRONG_OBJECT_TYPE,
  SQLSTATE.OBJECT_NOT_IN_PREREQUISITE_STATE,
])

/** ON CONFLICT would affect one row twice. */
const ROW_TWICE = SQLSTATE.CARDINALITY_VIOLATION

/**
 * Maps the error of a statement that touches only the target's table of `table`. Returns TableBroken if it concerns only that
 * table and a new copy would not help. `read`: the error's names, if they have been looked up.
 */
export function ofTable(table: TableMapping, error: unknown, read?: PlaceNames): Error {
  const cause = driverError(error)
  if (cause === null || error instanceof TableBroken || error instanceof TargetTableUnfit) return mapped(error)
  const code = sqlState(cause)
  if (code === ROW_TWICE && !isOfFunction(cause)) return keysAlike(table.source.name, cause)
  if (UNFIT.has(code) && !isOfFunction(cause)) return new TargetTableUnfit(table.source.name, code, cause)
  const violated = violation(cause)
  if (violated !== null && !isOfStranger(table, cause)) return violated
  const scope = scopeOf(cause)
  return scope === 'server' || scope === 'transaction' ? mapped(error) : broken(table, cause, read)
}

/**
 * The error that a user's function met in a table of its own. Without a function's context it is a foreign key of another
 * table that references this one's rows.
 */
function isOfStranger({ name }: TableMapping, error: pg.DatabaseError): boolean {
  if (error.table === undefined || error.table === name) return false
  return sqlState(error) !== SQLSTATE.FOREIGN_KEY_VIOLATION || error.where !== undefined
}

/** Names only places: the server's own text may contain values. */
function broken(table: TableMapping, error: pg.DatabaseError, names: PlaceNames = ownNames(error)): TableBroken {
  const code = sqlState(error)
  const constraint = names.constraint === undefined ? '' : `, constraint ${names.constraint}`
  const where = names.table === undefined || names.table === table.name ? '' : ` of table ${names.table}`
  const by = isOfFunction(error) ? ' by a function of the target' : ''
  return new TableBroken(table.source.name, `its rows are rejected${by} (SQLSTATE ${code}${constraint}${where})`, {
    remedy: `fix the cause (the server's log has the whole message), then ${copyAgain(table)}`,
    cause: error,
  })
}

/** The command that resumes a table once its cause is fixed. */
export function copyAgain({ source }: TableMapping): string {
  return `mylab-sync resync --table ${source.name}`
}
