import type { SourceTableName, TargetTableName } from './names.js'

export type ErrorCode =
  | 'usage'
  | 'configuration'
  | 'cannot-connect'
  | 'lost-connection'
  | 'missing-right'
  | 'not-migrated'
  | 'foreign-audit-table'
  | 'foreign-trigger'
  | 'wrong-owner'
  | 'target-table-missing'
  | 'target-table-differs'
  | 'table-broken'
  | 'lock-timeout'
  | 'unavailable'
  | 'generation-changed'
  | 'truncated-read'
  | 'job-refused'
  | 'xa-prepared'
  | 'cut-over'
  | 'stopped'
  | 'internal'

/**
 * Whether a retry may succeed.
 * never: a person must act first, so even a daemon exits and names the remedy.
 * once-mended: likewise, but the fix needs no restart of ours (a password, a certificate): a command exits, a daemon keeps retrying.
 * transient: the same step may succeed within a minute: a lock, a server that restarts.
 * reload: the work may succeed if it starts over with freshly read definitions and state.
 */
export type Retry = 'never' | 'once-mended' | 'transient' | 'reload'

interface ErrorPolicy {
  readonly retry: Retry
  /** What fails: all work of this process, the work on one table, or one job of a queue, which is discarded. */
  readonly scope: 'all' | 'table' | 'job'
  /** The exit code of a command that fails with this error. */
  readonly exit: 1 | 2 | 3 | 4
}

/** Defines the consequences of each error, and is the only place that does. */
export const ERRORS: Readonly<Record<ErrorCode, ErrorPolicy>> = {
  usage: { retry: 'never', scope: 'all', exit: 2 },
  configuration: { retry: 'never', scope: 'all', exit: 3 },
  'cannot-connect': { retry: 'transient', scope: 'all', exit: 4 },
  'lost-connection': { retry: 'transient', scope: 'all', exit: 1 },
  'missing-right': { retry: 'never', scope: 'table', exit: 1 },
  'not-migrated': { retry: 'never', scope: 'all', exit: 1 },
  'foreign-audit-table': { retry: 'never', scope: 'all', exit: 1 },
  'foreign-trigger': { retry: 'never', scope: 'all', exit: 1 },
  'wrong-owner': { retry: 'never', scope: 'all', exit: 1 },
  'target-table-missing': { retry: 'never', scope: 'table', exit: 1 },
  'target-table-differs': { retry: 'reload', scope: 'table', exit: 1 },
  'table-broken': { retry: 'reload', scope: 'table', exit: 1 },
  'lock-timeout': { retry: 'transient', scope: 'table', exit: 1 },
  // A statement limit or a full tablespace may affect a single table.
  unavailable: { retry: 'transient', scope: 'table', exit: 1 },
  'generation-changed': { retry: 'reload', scope: 'table', exit: 1 },
  'truncated-read': { retry: 'reload', scope: 'table', exit: 1 },
  'job-refused': { retry: 'never', scope: 'job', exit: 1 },
  'xa-prepared': { retry: 'never', scope: 'all', exit: 1 },
  // Ended by an abort of the cutover, after which a daemon goes on following.
  'cut-over': { retry: 'once-mended', scope: 'all', exit: 1 },
  stopped: { retry: 'never', scope: 'all', exit: 1 },
  // An unforeseen failure of a statement may be due to a definition that changed.
  internal: { retry: 'reload', scope: 'table', exit: 1 },
}

/**
 * An error that callers decide by: a stable code, one line that names the place, and a remedy. `cause` keeps the
 * driver's error; it is never printed, since drivers quote row data. The message names the side first: `text` is the
 * rest, for places that show the side on their own.
 */
export class SyncError extends Error {
  override readonly name = 'SyncError'
  readonly code: ErrorCode
  /** The server named at the start of the message; null if none is. */
  readonly side: 'source' | 'target' | null
  readonly text: string
  readonly remedy: string | null
  /** The code's entry in ERRORS, unless the thrower set another one. */
  readonly retry: Retry
  constructor(code: ErrorCode, text: string, { side, remedy, retry, cause }: SyncErrorOptions = {}) {
    super(side === undefined ? text : `${side}: ${text}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.side = side ?? null
    this.text = text
    this.remedy = remedy ?? null
    this.retry = retry ?? ERRORS[code].retry
  }
}

export interface SyncErrorOptions {
  readonly side?: 'source' | 'target'
  readonly remedy?: string
  readonly retry?: Retry
  readonly cause?: unknown
}

/** A retry of the same step may succeed. */
export function isTransient(error: unknown): error is SyncError {
  return error instanceof SyncError && error.retry === 'transient'
}

/** Repeating the work may succeed without anyone's help. */
export function isRetryable(error: unknown): error is SyncError {
  return isTransient(error) || (error instanceof SyncError && error.retry === 'reload')
}

/** Daemons and workers keep retrying such an error, so fixing its cause needs no restart. A defect of ours ends them. */
export function isSurvivable(error: unknown): error is SyncError {
  return error instanceof SyncError && error.retry !== 'never'
}

/** The error affects the work on every table, not only on the current one. */
export function concernsAll(error: unknown): error is SyncError {
  return error instanceof SyncError && ERRORS[error.code].scope === 'all'
}

export function isLockTimeout(error: unknown): error is SyncError {
  return error instanceof SyncError && error.code === 'lock-timeout'
}

/** The work stopped on request. */
export function isStopped(error: unknown): error is SyncError {
  return error instanceof SyncError && error.code === 'stopped'
}

/** A table of the target is missing or was altered there: its source table `table` must be set aside and copied again. */
export class TargetTableUnfit extends SyncError {
  readonly table: SourceTableName
  constructor(table: SourceTableName, code: string, cause: unknown) {
    super('target-table-differs', `table ${table} no longer exists in the target, or was altered there (${code})`, {
      cause,
    })
    this.table = table
  }
}

/**
 * One table cannot continue, and neither a retry nor a new copy would help: the table becomes `broken` with this message
 * and remedy as its problem, and the work is repeated without it. The message contains no row data.
 */
export class TableBroken extends SyncError {
  readonly table: SourceTableName
  readonly reason: string

  constructor(table: SourceTableName, reason: string, options: { remedy: string; cause?: unknown }) {
    super('table-broken', `table ${table}: ${reason}`, options)
    this.table = table
    this.reason = reason
  }
}

/** The application writes the target by now, so nothing of ours may change its tables. */
export function cutOver(since: string | null): SyncError {
  return new SyncError('cut-over', `the application was cut over to PostgreSQL at ${since ?? 'an unknown time'}`, {
    remedy: 'stop this process: nothing is applied any more; mylab-sync cutover --abort goes back to following',
  })
}

/** Two rows of one table have keys that are equal in the target; writing either would lose the other. */
export function keysAlike(table: SourceTableName, cause?: unknown): TableBroken {
  return new TableBroken(table, 'two of its rows have keys that are equal in the target', {
    remedy: `change one of the two (a FLOAT(M,D) or DOUBLE(M,D) may store digits that it does not show), then: mylab-sync initial --force --table ${table}`,
    cause,
  })
}

/** A value that the value rules refuse: its row is quarantined. The message contains no value. */
export class ValueRefused extends Error {
  override readonly name = 'ValueRefused'
  readonly rule: string
  readonly column: string
  constructor(column: string, rule: string) {
    super(`column ${column}: ${rule}`)
    this.column = column
    this.rule = rule
  }
}

/** Source rows violate a constraint, or a value is too long for an index: the drain rolls back, suspends the constraint and starts over. */
export class ConstraintViolated extends Error {
  override readonly name = 'ConstraintViolated'
  readonly table: TargetTableName
  readonly constraint: string
  readonly kind: 'foreign-key' | 'unique' | 'check' | 'index'
  /** The table's schema, if the server named it; undefined: the schema of the carried tables. */
  readonly schema: string | undefined
  constructor(
    table: TargetTableName,
    constraint: string,
    kind: 'foreign-key' | 'unique' | 'check' | 'index',
    schema?: string,
  ) {
    super(`constraint ${constraint} of table ${table} does not hold`)
    this.schema = schema
    this.table = table
    this.constraint = constraint
    this.kind = kind
  }
}

/** A row that was read without its key has to be altered or refused, which is recorded by its key: it has to be read again with it. */
export class KeysNeeded extends Error {
  override readonly name = 'KeysNeeded'
}

/** PostgreSQL rejects a row of a batch (class 22, 54 or 23502), so the batch must be written row by row. Contains no value. */
export class BatchRefused extends Error {
  override readonly name = 'BatchRefused'
  readonly code: string
  constructor(code: string) {
    super(`a row of the batch was rejected (${code})`)
    this.code = code
  }
}
