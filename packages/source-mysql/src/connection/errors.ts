import { type ErrorCode, SyncError } from '@mylab-sync/core'

const BY_NUMBER: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [1040, 'cannot-connect'],
  [1044, 'cannot-connect'],
  [1045, 'cannot-connect'],
  [1049, 'cannot-connect'],
  [1130, 'cannot-connect'],
  [1203, 'cannot-connect'],
  [1226, 'cannot-connect'],
  [1698, 'cannot-connect'],
  [1862, 'cannot-connect'],
  [3118, 'cannot-connect'],
  [4151, 'cannot-connect'],
  [1053, 'lost-connection'],
  [1927, 'lost-connection'],
  [4031, 'lost-connection'],
  [1142, 'missing-right'],
  [1143, 'missing-right'],
  [1227, 'missing-right'],
  [1370, 'missing-right'],
  [1419, 'missing-right'],
  [1205, 'lock-timeout'],
  [1213, 'lock-timeout'],
  [3572, 'lock-timeout'],
  [1412, 'generation-changed'],
  [1146, 'generation-changed'],
  [1054, 'generation-changed'],
])

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
 * Refusals that the server words by account, database and table alone: whom it took us for is what a person has to know,
 * since the account is found by the host that the server sees. Every other text may quote row data.
 */
const QUOTABLE: ReadonlySet<number> = new Set([1044, 1045, 1049, 1142, 1143, 1226, 1227, 1698])

const MORE_CONNECTIONS =
  "raise the limit, the account's MAX_USER_CONNECTIONS or the server's max_connections, or run fewer workers"

const REMEDY_BY_NUMBER: ReadonlyMap<number, string> = new Map([
  [1040, MORE_CONNECTIONS],
  [1203, MORE_CONNECTIONS],
  [1226, MORE_CONNECTIONS],
  [
    1045,
    "check user and password of the source, and that the account may come from this host: an anonymous account ''@'localhost' is taken before 'user'@'%', and one with REQUIRE SSL is refused",
  ],
  [
    1665,
    "SET GLOBAL binlog_format = 'MIXED'; and the same setting in the server's configuration file; sessions that are open keep the old one",
  ],
])

const REMEDIES: Readonly<Partial<Record<ErrorCode, string>>> = {
  'cannot-connect': 'check DB_HOST, DB_PORT, DB_DATABASE, DB_USERNAME and DB_PASSWORD, and that the server runs',
  'missing-right':
    'mylab-sync doctor names each missing right and its GRANT (1419: SET GLOBAL log_bin_trust_function_creators = 1)',
  'lock-timeout': 'a long transaction of another session holds a lock; try again',
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

/** What a driver error means to us. The driver's text may quote row data: it is kept as `cause`, and shown where it cannot. */
export function mapped(error: unknown, doing: string): SyncError {
  if (error instanceof SyncError) return error
  const number = errorNumber(error)
  const code = property(error, 'code')
  const found =
    (number === undefined ? undefined : BY_NUMBER.get(number)) ??
    (typeof code === 'string' ? BY_CODE.get(code) : undefined)
  const label = typeof code === 'string' ? code : 'unknown error'
  const remedy = remedyOf(number, found)
  const what = found === 'lock-timeout' ? `a lock was not got in time, ${label}` : label
  const message = `source: ${doing}: ${what}${number === undefined ? '' : ` (${number})`}${quoted(error, number)}`
  return new SyncError(found ?? 'internal', message, remedy === undefined ? { cause: error } : { cause: error, remedy })
}

function remedyOf(number: number | undefined, code: ErrorCode | undefined): string | undefined {
  return REMEDY_BY_NUMBER.get(number ?? 0) ?? (code === undefined ? undefined : REMEDIES[code])
}

function quoted(error: unknown, number: number | undefined): string {
  const text = property(error, 'message')
  return number !== undefined && QUOTABLE.has(number) && typeof text === 'string' ? `: ${text}` : ''
}
