import { type ErrorCode, SyncError, tlsReason } from '@mylab-sync/core'

interface Refusal {
  readonly code: ErrorCode
  readonly what: string
  readonly remedy: string
}

const NO_PASSWORD = 'set REDIS_PASSWORD, or user and password in REDIS_URL'
const TLS_REMEDY =
  'give Redis a certificate for the host of REDIS_URL, name its authority in REDIS_TLS_CA, and ours, where it asks for one, in REDIS_TLS_CERT and REDIS_TLS_KEY'
const READ_ONLY = 'name the primary in REDIS_URL; replicas take no writes'

/**
 * Keyed by the code that starts a Redis error reply:
 * https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
 */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  NOAUTH: { code: 'cannot-connect', what: 'asks for a password', remedy: NO_PASSWORD },
  WRONGPASS: { code: 'cannot-connect', what: 'refuses this user and password', remedy: NO_PASSWORD },
  DENIED: {
    code: 'cannot-connect',
    what: 'accepts connections from its own host only (protected mode)',
    remedy: 'give Redis a password (requirepass, or an ACL user), or bind it to a private address',
  },
  NOPERM: {
    code: 'missing-right',
    what: 'denies this user a command or a key of the queues',
    remedy: 'the ACL SETUSER line of docs/operations.md; ACL LOG shows what was denied',
  },
  OOM: {
    code: 'unavailable',
    what: 'has used its maxmemory and takes no jobs',
    remedy: 'CONFIG SET maxmemory to more than it uses now (INFO memory), with maxmemory-policy noeviction',
  },
  WRONGTYPE: {
    code: 'unavailable',
    what: 'holds a key of the queues that is of another type',
    remedy:
      'another program uses these keys: give this one a SYNC_QUEUE_PREFIX of its own, or remove the keys; the queues are filled again',
  },
  MISCONF: {
    code: 'unavailable',
    what: 'cannot save to its disk and takes no writes until it can',
    remedy: 'free space on its disk and see its log; BGSAVE tries again at once',
  },
  LOADING: {
    code: 'unavailable',
    what: 'is loading its data',
    remedy: 'nothing: it is retried until Redis has started',
  },
  READONLY: { code: 'unavailable', what: 'is a replica', remedy: READ_ONLY },
  MASTERDOWN: { code: 'unavailable', what: 'is a replica that has lost its primary', remedy: READ_ONLY },
  NOREPLICAS: {
    code: 'unavailable',
    what: 'has too few replicas to take writes',
    remedy: 'start its replicas, or lower min-replicas-to-write',
  },
  BUSY: { code: 'unavailable', what: 'is busy with a script', remedy: 'SCRIPT KILL, if it does not end on its own' },
  CLUSTERDOWN: { code: 'unavailable', what: 'is a cluster that is down', remedy: 'CLUSTER INFO on one of its nodes' },
  MOVED: {
    code: 'configuration',
    what: 'is a cluster, which the queues do not support',
    remedy: 'name a single server, or one behind Sentinel, in REDIS_URL',
  },
}
const NAMES = Object.keys(REFUSALS).join('|')

/** Maps an error of Redis or of the connection to one of ours. Uses only its code: the text may quote anything. */
export function redisError(error: unknown, place: string): SyncError {
  if (error instanceof SyncError) return error
  return (
    refusal(error, place) ??
    new SyncError('lost-connection', `Redis at ${place} does not answer${reasonOf(error)}`, {
      remedy: 'see that Redis runs and that REDIS_URL names it',
      cause: error,
    })
  )
}

/** Returns null if the error is not a refusal by either side, or has an unknown code. */
export function refusal(error: unknown, place: string): SyncError | null {
  const reason = tlsReason(rootOf(error))
  if (reason !== null)
    return new SyncError('cannot-connect', `Redis at ${place}: ${reason}${reasonOf(error)}`, {
      remedy: TLS_REMEDY,
      cause: error,
    })
  const code = refusalCode(error)
  const known = code === null ? undefined : REFUSALS[code]
  if (known === undefined) return null
  return new SyncError(known.code, `Redis at ${place} ${known.what} (${code})`, { remedy: known.remedy, cause: error })
}

/** In brackets: the code of a refusal or of a connection error, such as `ECONNREFUSED`. */
export function reasonOf(given: unknown): string {
  const error = rootOf(given)
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  const reason = refusalCode(error) ?? code
  return reason === '' ? '' : ` (${reason})`
}

/** The first error, if the driver tried several times. */
function rootOf(error: unknown): unknown {
  if (!(error instanceof Error && 'previousErrors' in error && Array.isArray(error.previousErrors))) return error
  const [first] = error.previousErrors as unknown[]
  return first === undefined ? error : rootOf(first)
}

/** The code of a Redis error reply, or null. */
function refusalCode(given: unknown): string | null {
  const error = rootOf(given)
  if (!(error instanceof Error)) return null
  const [word] = /^[A-Z]{3,}(?= )/.exec(error.message) ?? []
  if (word === undefined) return null
  if (Object.hasOwn(REFUSALS, word)) return word
  // Before Redis 7 an error of a script begins with ERR; the code of the failed command comes later in the text.
  if (error.message.startsWith('ERR ACL failure in script')) return 'NOPERM'
  const [inner] = new RegExp(`(?<=: )(?:${NAMES})(?= )`).exec(error.message) ?? []
  return inner ?? word
}

export function removedJob(queue: string, { id, why }: { readonly id: string; readonly why: string }): SyncError {
  return new SyncError('job-refused', `Redis: job ${shownId(id)} of the queue ${queue} was removed: ${why}`)
}

export function mendedKey(queue: string, what: string): SyncError {
  return new SyncError('job-refused', `Redis: a key of the queue ${queue} was repaired: ${what}`)
}

/** BullMQ's ids are numbers; any other id is arbitrary text that any client may have written. */
export function shownId(id: string | undefined): string {
  return id !== undefined && /^\d{1,20}$/.test(id) ? id : '[other id]'
}
