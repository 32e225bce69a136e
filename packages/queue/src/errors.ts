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

/** By the code with which Redis begins a refusal: https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  NOAUTH: { code: 'cannot-connect', what: 'asks for a password', remedy: NO_PASSWORD },
  WRONGPASS: { code: 'cannot-connect', what: 'refuses this user and password', remedy: NO_PASSWORD },
  DENIED: {
    code: 'cannot-connect',
    what: 'answers its own host only (protected mode)',
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
    remedy: 'make room on its disk and see its log; BGSAVE tries again at once',
  },
  LOADING: {
    code: 'unavailable',
    what: 'is loading its data',
    remedy: 'nothing: it is tried again until Redis has started',
  },
  READONLY: { code: 'unavailable', what: 'is a replica', remedy: READ_ONLY },
  MASTERDOWN: { code: 'unavailable', what: 'is a replica that has lost its primary', remedy: READ_ONLY },
  NOREPLICAS: {
    code: 'unavailable',
    what: 'has too few replicas to take writes',
    remedy: 'start its replicas, or lower min-replicas-to-write',
  },
  BUSY: { code: 'unavailable', what: 'is busy with a script', remedy: 'SCRIPT KILL, if it does not end by itself' },
  CLUSTERDOWN: { code: 'unavailable', what: 'is a cluster that is down', remedy: 'CLUSTER INFO on one of its nodes' },
  MOVED: {
    code: 'configuration',
    what: 'is a cluster, which the queues were not made for',
    remedy: 'name a single server, or one behind Sentinel, in REDIS_URL',
  },
}
const NAMES = Object.keys(REFUSALS).join('|')

/**
 * What of Redis's own refusal, or of the connection's end, a person has to know. Its text may quote anything, so only the
 * code is taken from it.
 */
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

/** null: neither Redis nor we have refused anything, or by a code that says nothing to us. */
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

/** In brackets: the code of a refusal, or of the connection's end as `ECONNREFUSED`. */
export function reasonOf(given: unknown): string {
  const error = rootOf(given)
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  const reason = refusalCode(error) ?? code
  return reason === '' ? '' : ` (${reason})`
}

/** What came first, where the driver has tried several times. */
function rootOf(error: unknown): unknown {
  if (!(error instanceof Error && 'previousErrors' in error && Array.isArray(error.previousErrors))) return error
  const [first] = error.previousErrors as unknown[]
  return first === undefined ? error : rootOf(first)
}

/** The code of a refusal by Redis itself; null: it is none. */
function refusalCode(given: unknown): string | null {
  const error = rootOf(given)
  if (!(error instanceof Error)) return null
  const [word] = /^[A-Z]{3,}(?= )/.exec(error.message) ?? []
  if (word === undefined) return null
  if (Object.hasOwn(REFUSALS, word)) return word
  // Before Redis 7 a script's error begins with ERR and has the code of the command that failed further on.
  if (error.message.startsWith('ERR ACL failure in script')) return 'NOPERM'
  const [inner] = new RegExp(`(?<=: )(?:${NAMES})(?= )`).exec(error.message) ?? []
  return inner ?? word
}

export function removedJob(queue: string, { id, why }: { readonly id: string; readonly why: string }): SyncError {
  return new SyncError('job-refused', `Redis: job ${shownId(id)} of the queue ${queue} was removed: ${why}`)
}

/** Ours are numbers; anybody may have chosen another one. */
export function shownId(id: string | undefined): string {
  return id !== undefined && /^\d{1,20}$/.test(id) ? id : '[other id]'
}
