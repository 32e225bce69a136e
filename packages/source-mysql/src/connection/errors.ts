import { type ErrorCode, SyncError, type SyncErrorOptions, TableBroken, tlsFault } from '@mylab-sync/core'
import { tlsRemedy } from '@mylab-sync/runtime'
import * as sql from '../sql.js'
import { ER } from './error-numbers.js'

/** Refused by account, address or authentication method: every retry is refused until a person changes these. */
const REFUSALS: readonly number[] = [
  ER.DBACCESS_DENIED_ERROR,
  ER.ACCESS_DENIED_ERROR,
  ER.BAD_DB_ERROR,
  ER.HOST_IS_BLOCKED,
  ER.HOST_NOT_PRIVILEGED,
  ER.NOT_SUPPORTED_AUTH_MODE,
  ER.SERVER_IS_IN_SECURE_AUTH_MODE,
  ER.PLUGIN_IS_NOT_LOADED,
  ER.ACCESS_DENIED_NO_PASSWORD_ERROR,
  ER.MUST_CHANGE_PASSWORD,
  ER.MUST_CHANGE_PASSWORD_LOGIN,
  ER.ACCOUNT_HAS_BEEN_LOCKED,
  ER.SECURE_TRANSPORT_REQUIRED,
  ER.ACCOUNT_BLOCKED_BY_PASSWORD_LOCK,
  ER.MARIADB_ACCOUNT_HAS_BEEN_LOCKED,
]

const NUMBERS: Readonly<Partial<Record<ErrorCode, readonly number[]>>> = {
  'cannot-connect': [
    ...REFUSALS,
    ER.CON_COUNT_ERROR,
    ER.CANT_CREATE_THREAD,
    ER.TOO_MANY_USER_CONNECTIONS,
    ER.USER_LIMIT_REACHED,
    ER.SERVER_OFFLINE_MODE,
  ],
  // The network errors among them: the server could not complete a read or write.
  'lost-connection': [
    ER.SERVER_SHUTDOWN,
    ER.ABORTING_CONNECTION,
    ER.NET_PACKETS_OUT_OF_ORDER,
    ER.NET_UNCOMPRESS_ERROR,
    ER.NET_READ_ERROR,
    ER.NET_READ_INTERRUPTED,
    ER.NET_ERROR_ON_WRITE,
    ER.NET_WRITE_INTERRUPTED,
    ER.NEW_ABORTING_CONNECTION,
    ER.MARIADB_CONNECTION_KILLED,
    ER.SESSION_WAS_KILLED,
    ER.CLIENT_INTERACTION_TIMEOUT,
  ],
  'missing-right': [
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
    ER.PROCACCESS_DENIED_ERROR,
    ER.BINLOG_CREATE_ROUTINE_NEED_SUPER,
  ],
  'lock-timeout': [ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK, ER.LOCK_NOWAIT],
  'generation-changed': [ER.BAD_FIELD_ERROR, ER.NO_SUCH_TABLE, ER.KEY_DOES_NOT_EXIST, ER.TABLE_DEF_CHANGED],
  // Failures of the whole server, for every account and table.
  unavailable: [
    // no space
    ER.EE_WRITE,
    ER.EE_DISK_FULL,
    ER.DISK_FULL,
    ER.RECORD_FILE_FULL,
    ER.TEMP_FILE_WRITE_FAILURE,
    // no memory or files
    ER.EE_CANT_CREATE_FILE,
    ER.EE_OUT_OF_MEMORY,
    ER.EE_OUT_OF_FILE_RESOURCES,
    ER.OUTOFMEMORY,
    ER.OUT_OF_SORTMEMORY,
    ER.OUT_OF_RESOURCES,
    ER.LOCK_TABLE_FULL,
    // read-only
    ER.OPTION_PREVENTS_STATEMENT,
    ER.CANT_EXECUTE_IN_READ_ONLY_TRANSACTION,
    ER.READ_ONLY_MODE,
    // a cluster node that is not ready
    ER.UNKNOWN_COM_ERROR,
    ER.SERVER_ISNT_AVAILABLE,
    // statements ended by the server or by KILL
    ER.FILSORT_ABORT,
    ER.QUERY_INTERRUPTED,
    ER.MARIADB_STATEMENT_TIMEOUT,
    ER.QUERY_TIMEOUT,
  ],
}
const BY_NUMBER: ReadonlyMap<number, ErrorCode> = new Map(
  (Object.keys(NUMBERS) as ErrorCode[]).flatMap((code) =>
    (NUMBERS[code] ?? []).map((number) => [number, code] as const),
  ),
)

/** The text of GET_ERRNO contains the storage engine's own number; 12, 23, 24 and 28 are the system's for memory, files and space. */
const OF_SYSTEM = /^Got error (12|23|24|28)\b/

const BY_CODE: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ['ECONNREFUSED', 'cannot-connect'],
  ['ENOTFOUND', 'cannot-connect'],
  ['EAI_AGAIN', 'cannot-connect'],
  ['EHOSTUNREACH', 'cannot-connect'],
  ['ENETUNREACH', 'cannot-connect'],
  ['ENOENT', 'cannot-connect'],
  ['ETIMEDOUT', 'cannot-connect'],
  ['PROTOCOL_CONNECTION_LOST', 'lost-connection'],
  ['PROTOCOL_SEQUENCE_TIMEOUT', 'lost-connection'],
  ['ECONNRESET', 'lost-connection'],
  ['EPIPE', 'lost-connection'],
])

/**
 * Errors whose text names only account, database, table and file. People need it: the server picks the account by the host
 * it sees, and only the text names that account, or the missing file. Every other text may quote row data.
 */
const QUOTABLE: ReadonlySet<number> = new Set([
  ER.EE_STAT,
  ER.EE_FILE_NOT_FOUND,
  ER.CANT_OPEN_FILE,
  ER.FILE_NOT_FOUND,
  ER.CANT_READ_DIR,
  ER.DISK_FULL,
  ER.GET_ERRNO,
  ER.ILLEGAL_HA,
  ER.NOT_FORM_FILE,
  ER.NOT_KEYFILE,
  ER.OLD_KEYFILE,
  ER.OPEN_AS_READONLY,
  ER.DBACCESS_DENIED_ERROR,
  ER.ACCESS_DENIED_ERROR,
  ER.UNKNOWN_COM_ERROR,
  ER.BAD_DB_ERROR,
  ER.RECORD_FILE_FULL,
  ER.TABLEACCESS_DENIED_ERROR,
  ER.COLUMNACCESS_DENIED_ERROR,
  ER.WRONG_MRG_TABLE,
  ER.CRASHED_ON_USAGE,
  ER.CRASHED_ON_REPAIR,
  ER.USER_LIMIT_REACHED,
  ER.SPECIFIC_ACCESS_DENIED_ERROR,
  ER.UNKNOWN_STORAGE_ENGINE,
  ER.OPTION_PREVENTS_STATEMENT,
  ER.GET_ERRMSG,
  ER.QUERY_INTERRUPTED,
  ER.ACCESS_DENIED_NO_PASSWORD_ERROR,
  ER.CANT_EXECUTE_IN_READ_ONLY_TRANSACTION,
  ER.TABLESPACE_MISSING,
  ER.TABLESPACE_DISCARDED,
  ER.MUST_CHANGE_PASSWORD,
  ER.READ_ONLY_MODE,
  ER.MUST_CHANGE_PASSWORD_LOGIN,
  ER.MARIADB_NO_SUCH_TABLE_IN_ENGINE,
  ER.MARIADB_STATEMENT_TIMEOUT,
  ER.QUERY_TIMEOUT,
  ER.SERVER_OFFLINE_MODE,
  ER.ACCOUNT_HAS_BEEN_LOCKED,
  ER.SECURE_TRANSPORT_REQUIRED,
  ER.SERVER_ISNT_AVAILABLE,
  ER.CANNOT_FIND_KEY_IN_KEYRING,
  ER.MARIADB_ACCOUNT_HAS_BEEN_LOCKED,
])

const MORE_CONNECTIONS =
  "raise the limit, the account's MAX_USER_CONNECTIONS or the server's max_connections, or run fewer workers"

const NEW_PASSWORD =
  "give the account a new password (ALTER USER .. IDENTIFIED BY '..'), or one that does not expire (PASSWORD EXPIRE NEVER)"
const UNLOCK = 'let an administrator unlock the account: ALTER USER .. ACCOUNT UNLOCK'

const MORE_SPACE = 'free space on the disk of the source'
const WRITABLE = 'SET GLOBAL read_only = 0 on the source, or name the server of its cluster that is written to'

const REMEDY_BY_NUMBER: ReadonlyMap<number, string> = new Map([
  [ER.EE_WRITE, MORE_SPACE],
  [ER.EE_DISK_FULL, MORE_SPACE],
  [ER.DISK_FULL, MORE_SPACE],
  [ER.RECORD_FILE_FULL, MORE_SPACE],
  [ER.TEMP_FILE_WRITE_FAILURE, MORE_SPACE],
  [ER.OPTION_PREVENTS_STATEMENT, WRITABLE],
  [ER.READ_ONLY_MODE, WRITABLE],
  [ER.SERVER_OFFLINE_MODE, 'SET GLOBAL offline_mode = OFF on the source'],
  [ER.CON_COUNT_ERROR, MORE_CONNECTIONS],
  [ER.TOO_MANY_USER_CONNECTIONS, MORE_CONNECTIONS],
  [
    ER.USER_LIMIT_REACHED,
    'lift the limit that it names (ALTER USER .. WITH MAX_USER_CONNECTIONS 0, MAX_QUERIES_PER_HOUR 0), or run fewer workers',
  ],
  [
    ER.DBACCESS_DENIED_ERROR,
    'grant the account the rights that docs/operations.md names on this database, or set another one in DB_DATABASE; servers also report this for a database that does not exist',
  ],
  [ER.MUST_CHANGE_PASSWORD, NEW_PASSWORD],
  [ER.MUST_CHANGE_PASSWORD_LOGIN, NEW_PASSWORD],
  [ER.ACCOUNT_HAS_BEEN_LOCKED, UNLOCK],
  [ER.MARIADB_ACCOUNT_HAS_BEEN_LOCKED, UNLOCK],
  [
    ER.SECURE_TRANSPORT_REQUIRED,
    "DB_SSLMODE=require, or prefer if it is disable; the server's socket (DB_SOCKET) counts as secure too",
  ],
  [
    ER.ACCESS_DENIED_ERROR,
    "check user and password of the source, and that the account may connect from this host: an anonymous account ''@'localhost' takes precedence over 'user'@'%'; REQUIRE SSL and REQUIRE X509, and require_secure_transport on MariaDB, are reported the same way: set DB_SSLMODE=require, and DB_SSLCERT and DB_SSLKEY to a client certificate",
  ],
  [
    ER.BINLOG_STMT_MODE_AND_ROW_ENGINE,
    "SET GLOBAL binlog_format = 'MIXED'; and the same setting in the server's configuration file; open sessions keep the old one",
  ],
])

const REMEDIES: Readonly<Partial<Record<ErrorCode, string>>> = {
  'cannot-connect': 'check DB_HOST, DB_PORT, DB_DATABASE, DB_USERNAME and DB_PASSWORD, and that the server runs',
  'missing-right':
    'mylab-sync doctor names each missing right and its GRANT (1419: SET GLOBAL log_bin_trust_function_creators = 1)',
  'lock-timeout': 'a long transaction of another session holds a lock; try again',
  unavailable: 'the cause is a state of the source server; try again when it has passed',
}

function property(error: unknown, key: string): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, key) : undefined
}

/** The server's error number, or undefined. */
export function errorNumber(error: unknown): number | undefined {
  const cause = error instanceof SyncError ? error.cause : error
  const number = property(cause, 'errno')
  return typeof number === 'number' && number > 0 ? number : undefined
}

/** An error whose message starts with `source: `. */
export function sourceError(code: ErrorCode, text: string, options: Omit<SyncErrorOptions, 'side'> = {}): SyncError {
  return new SyncError(code, text, { ...options, side: 'source' })
}

/** Maps a driver error to a code. The driver's text may quote row data, so it is kept as `cause` and shown only if it cannot. */
export function mapped(error: unknown, doing: string): SyncError {
  if (error instanceof SyncError) return error
  const found = codeOf(error)
  const remedy = remedyOf(errorNumber(error), found)
  const what = found === 'lock-timeout' ? `timed out waiting for a lock, ${labelOf(error)}` : labelOf(error)
  const text = `${doing}: ${what}${wordsOf(error)}`
  return sourceError(found ?? 'internal', text, {
    cause: error,
    ...(remedy === undefined ? {} : { remedy }),
    ...(REFUSALS.includes(errorNumber(error) ?? 0) ? { retry: 'once-mended' } : {}),
  })
}

/** As `mapped`, for connecting: a peer that hangs up or does not answer like MySQL or MariaDB is reported as such. */
export function connectError(error: unknown, place: string): SyncError {
  const fault = tlsFault(error)
  if (fault !== null)
    return sourceError('cannot-connect', `connecting to ${place}: TLS failed: ${fault.what} (${fault.code})`, {
      remedy: tlsRemedy(fault.cure, 'DB'),
      retry: fault.retry,
      cause: error,
    })
  const found = mapped(error, `connecting to ${place}`)
  const isOther = found.code === 'lost-connection' || (found.code === 'internal' && errorNumber(found) === undefined)
  if (!isOther) return found
  return sourceError('cannot-connect', `${found.text}: the peer is not MySQL or MariaDB, or closed the connection`, {
    cause: error,
    remedy: REMEDIES['cannot-connect'] ?? '',
  })
}

/** Whether an error of a read concerns its table, not the server or the connection. An unknown number counts as the table's. */
export function isOfTable(error: unknown): boolean {
  if (!(error instanceof SyncError)) return false
  if (error.code === 'truncated-read') return true
  // The right to read this table; this product's own tables were read before.
  return (error.code === 'internal' || error.code === 'missing-right') && errorNumber(error) !== undefined
}

/** Maps the error of a read of `table` to TableBroken if it concerns only that table. */
export function ofTable(table: string, error: unknown): unknown {
  if (!(error instanceof SyncError) || error instanceof TableBroken || !isOfTable(error)) return error
  const what = errorNumber(error) === undefined ? error.text : `${labelOf(error)}${wordsOf(error)}`
  const remedy = `${firstRemedy(table, error)}; then mylab-sync initial --table ${table}`
  return new TableBroken(table, `the source cannot read it: ${what}`, { remedy, cause: error })
}

function firstRemedy(table: string, error: SyncError): string {
  if (error.code === 'missing-right') return `GRANT SELECT ON ${sql.name(table)} to the account`
  return error.code === 'truncated-read' && error.remedy !== null ? error.remedy : repairRemedy(table)
}

/** The remedy for a table that the server itself cannot open or read. */
export function repairRemedy(table: string): string {
  return `repair or restore it at the source (CHECK TABLE ${sql.name(table)}), or add it to tables.exclude`
}

/** The error's name and number, without its text. */
export function labelOf(error: unknown): string {
  const code = property(error instanceof SyncError ? error.cause : error, 'code')
  const number = errorNumber(error)
  // The driver has no names for numbers below 1000, which concern files.
  const name = typeof code !== 'string' ? 'unknown error' : code.startsWith('UNKNOWN') ? 'error' : code
  return number === undefined ? name : `${name} (${number})`
}

function codeOf(error: unknown): ErrorCode | undefined {
  const number = errorNumber(error)
  if (number === ER.GET_ERRNO && OF_SYSTEM.test(textOf(error))) return 'unavailable'
  const code = property(error, 'code')
  const byNumber = number === undefined ? undefined : BY_NUMBER.get(number)
  return byNumber ?? (typeof code === 'string' ? byCode(code) : undefined)
}

function byCode(code: string): ErrorCode | undefined {
  // A broken encrypted connection is reported with OpenSSL's codes.
  return BY_CODE.get(code) ?? (/^(ERR_SSL_|EPROTO$)/.test(code) ? 'lost-connection' : undefined)
}

function remedyOf(number: number | undefined, code: ErrorCode | undefined): string | undefined {
  return REMEDY_BY_NUMBER.get(number ?? 0) ?? (code === undefined ? undefined : REMEDIES[code])
}

/** The server's text if it cannot quote row data, else nothing. */
export function wordsOf(error: unknown): string {
  return QUOTABLE.has(errorNumber(error) ?? 0) ? `: ${textOf(error)}` : ''
}

function textOf(error: unknown): string {
  const text = property(error instanceof SyncError ? error.cause : error, 'message')
  return typeof text === 'string' ? text : ''
}
