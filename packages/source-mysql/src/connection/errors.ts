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

const REMEDIES: Readonly<Partial<Record<ErrorCode, string>>> = {
  'cannot-connect': 'check host, port, user, password and database of the source',
  'missing-right':
    'grant the source user SELECT, INSERT, UPDATE, DELETE, CREATE, TRIGGER on the database (and SUPER or log_bin_trust_function_creators=1 with a binary log)',
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

/** What a driver error means to us. The driver's text may quote row data and is kept as `cause` only. */
export function mapped(error: unknown, doing: string): SyncError {
  if (error instanceof SyncError) return error
  const number = errorNumber(error)
  const code = property(error, 'code')
  const found =
    (number === undefined ? undefined : BY_NUMBER.get(number)) ??
    (typeof code === 'string' ? BY_CODE.get(code) : undefined)
  const label = typeof code === 'string' ? code : 'unknown error'
  const remedy = found === undefined ? undefined : REMEDIES[found]
  const what = found === 'lock-timeout' ? `a lock was not got in time, ${label}` : label
  const message = `source: ${doing}: ${what}${number === undefined ? '' : ` (${number})`}`
  return new SyncError(found ?? 'internal', message, remedy === undefined ? { cause: error } : { cause: error, remedy })
}
