import { type ErrorCode, SyncError, type SyncErrorOptions, TableBroken, tlsFault } from '@mylab-sync/core'
import { tlsRemedy } from '@mylab-sync/runtime'
import * as sql from '../sql.js'

/** https://mariadb.com/kb/en/mariadb-error-code-reference/ https://dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html */
const NUMBERS: Readonly<Partial<Record<ErrorCode, readonly number[]>>> = {
  // Refused by account, by address or for everybody: 1129 a blocked host, 1524 and 1251 authentication methods, 3032 offline mode.
  'cannot-connect': [
    1040, 1044, 1045, 1049, 1129, 1130, 1135, 1203, 1226, 1251, 1275, 1524, 1698, 1820, 1862, 3032, 3118, 3159, 3878,
    4151,
  ],
  // 1158 to 1161: the server could not complete a read or write on the network.
  'lost-connection': [1053, 1152, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1927, 3169, 4031],
  'missing-right': [1142, 1143, 1227, 1370, 1419],
  'lock-timeout': [1205, 1213, 3572],
  'generation-changed': [1054, 1146, 1176, 1412],
  /*
   * Failures of the whole server, for every account and table: no space (3, 20, 1021, 1114, 1878), no memory or files
   * (5, 23, 1037, 1038, 1041, 1206), read-only (1290, 1792, 1836), a cluster node that is not ready (1047, 3168), and
   * statements ended by the server or by KILL (1028, 1317, 1969, 3024).
   */
  unavailable: [
    1, 3, 5, 20, 23, 1021, 1028, 1037, 1038, 1041, 1047, 1114, 1206, 1290, 1317, 1792, 1836, 1878, 1969, 3024, 3168,
  ],
}
const BY_NUMBER: ReadonlyMap<number, ErrorCode> = new Map(
  (Object.keys(NUMBERS) as ErrorCode[]).flatMap((code) =>
    (NUMBERS[code] ?? []).map((number) => [number, code] as const),
  ),
)

/** ER_GET_ERRNO: its text contains the storage engine's own number; 12, 23, 24 and 28 are the system's for memory, files and space. */
const GET_ERRNO = 1030
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
  13, 29, 1016, 1017, 1018, 1021, 1030, 1031, 1033, 1034, 1035, 1036, 1044, 1045, 1047, 1049, 1114, 1142, 1143, 1168,
  1194, 1195, 1226, 1227, 1286, 1290, 1296, 1317, 1698, 1792, 1812, 1814, 1820, 1836, 1862, 1932, 1969, 3024, 3032,
  3118, 3159, 3168, 3185, 4151,
])

const MORE_CONNECTIONS =
  "raise the limit, the account's MAX_USER_CONNECTIONS or the server's max_connections, or run fewer workers"

const NEW_PASSWORD =
  "give the account a new password (ALTER USER .. IDENTIFIED BY '..'), or one that does not expire (PASSWORD EXPIRE NEVER)"
const UNLOCK = 'let an administrator unlock the account: ALTER USER .. ACCOUNT UNLOCK'

const MORE_SPACE = 'free space on the disk of the source'
const WRITABLE = 'SET GLOBAL read_only = 0 on the source, or name the server of its cluster that is written to'

const REMEDY_BY_NUMBER: ReadonlyMap<number, string> = new Map([
  [3, MORE_SPACE],
  [20, MORE_SPACE],
  [1021, MORE_SPACE],
  [1114, MORE_SPACE],
  [1878, MORE_SPACE],
  [1290, WRITABLE],
  [1836, WRITABLE],
  [3032, 'SET GLOBAL offline_mode = OFF on the source'],
  [1040, MORE_CONNECTIONS],
  [1203, MORE_CONNECTIONS],
  [
    1226,
    'lift the limit that it names (ALTER USER .. WITH MAX_USER_CONNECTIONS 0, MAX_QUERIES_PER_HOUR 0), or run fewer workers',
  ],
  [
    1044,
    'grant the account the rights that docs/operations.md names on this database, or set another one in DB_DATABASE; servers also report this for a database that does not exist',
  ],
  [1820, NEW_PASSWORD],
  [1862, NEW_PASSWORD],
  [3118, UNLOCK],
  [4151, UNLOCK],
  [3159, "DB_SSLMODE=require, or prefer if it is disable; the server's socket (DB_SOCKET) counts as secure too"],
  [
    1045,
    "check user and password of the source, and that the account may connect from this host: an anonymous account ''@'localhost' takes precedence over 'user'@'%'; REQUIRE SSL and REQUIRE X509, and require_secure_transport on MariaDB, are reported the same way: set DB_SSLMODE=require, and DB_SSLCERT and DB_SSLKEY to a client certificate",
  ],
  [
    1665,
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
  return sourceError(found ?? 'internal', text, remedy === undefined ? { cause: error } : { cause: error, remedy })
}

/** As `mapped`, for connecting: a peer that hangs up or does not answer like MySQL or MariaDB is reported as such. */
export function connectError(error: unknown, place: string): SyncError {
  const fault = tlsFault(error)
  if (fault !== null)
    return sourceError('cannot-connect', `connecting to ${place}: TLS failed: ${fault.what} (${fault.code})`, {
      remedy: tlsRemedy(fault.cure, 'DB'),
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
  // 1142 and 1143: the right to read this table; this product's own tables were read before.
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
  if (number === GET_ERRNO && OF_SYSTEM.test(textOf(error))) return 'unavailable'
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
