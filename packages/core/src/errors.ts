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
  | 'stopped'
  | 'internal'

/**
 * Whether another try may succeed.
 * never: a person must act first, so even a daemon ends and says what to do.
 * once-mended: likewise, but mending needs no restart of ours (a password, a certificate): a command ends, a daemon goes on trying.
 * transient: the same step may get through within a minute: a lock, a server that restarts.
 * reload: the work may get through if it begins anew, with definitions and state read again.
 */
export type Retry = 'never' | 'once-mended' | 'transient' | 'reload'

interface ErrorPolicy {
  readonly retry: Retry
  /** What it befalls: all work of this process, the work on one table, or the one job of a queue that is thrown away for it. */
  readonly scope: 'all' | 'table' | 'job'
  /** The exit code of a command that ends by it. */
  readonly exit: 1 | 2 | 3 | 4
}

/** The only place that says what an error means for whoever meets it. */
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
  // A limit on statements, or a full tablespace, may hit one table alone.
  unavailable: { retry: 'transient', scope: 'table', exit: 1 },
  'generation-changed': { retry: 'reload', scope: 'table', exit: 1 },
  'truncated-read': { retry: 'reload', scope: 'table', exit: 1 },
  'job-refused': { retry: 'never', scope: 'job', exit: 1 },
  'xa-prepared': { retry: 'never', scope: 'all', exit: 1 },
  stopped: { retry: 'never', scope: 'all', exit: 1 },
  // An unforeseen failure of a statement may be due to a definition that changed.
  internal: { retry: 'reload', scope: 'table', exit: 1 },
}

/**
 * An error with a decision behind it: a stable code, one line that names the place, and what to do. `cause` keeps the
 * driver's error; it is never printed, since drivers quote row data. The message names the side first: `text` is the
 * rest, for places that show the side on their own.
 */
export class SyncError extends Error {
  override readonly name = 'SyncError'
  readonly code: ErrorCode
  /** The server that the message starts with; null where it starts with none. */
  readonly side: 'source' | 'target' | null
  readonly text: string
  readonly remedy: string | null
  /** As the table says, unless whoever threw it knew better. */
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

/** The same step may get through when it is tried again. */
export function isTransient(error: unknown): error is SyncError {
  return error instanceof SyncError && error.retry === 'transient'
}

/** Nobody has to act: the work may succeed when it is repeated. */
export function isRetryable(error: unknown): error is SyncError {
  return isTransient(error) || (error instanceof SyncError && error.retry === 'reload')
}

/** What follows the source for ever goes on trying: whoever mends the cause need not start it again. A defect of ours ends it. */
export function isSurvivable(error: unknown): error is SyncError {
  return error instanceof SyncError && error.retry !== 'never'
}

/** What befalls the work on one table befalls that on the next one, too. */
export function concernsAll(error: unknown): error is SyncError {
  return error instanceof SyncError && ERRORS[error.code].scope === 'all'
}

export function isLockTimeout(error: unknown): error is SyncError {
  return error instanceof SyncError && error.code === 'lock-timeout'
}

/** The work was asked to stop, and did. */
export function isStopped(error: unknown): error is SyncError {
  return error instanceof SyncError && error.code === 'stopped'
}

/** A table of the target is gone or is not what we made of it: the table `table` of the source is to be set aside and made again. */
export class TargetTableUnfit extends SyncError {
  readonly table: SourceTableName
  constructor(table: SourceTableName, code: string, cause: unknown) {
    super('target-table-differs', `table ${table} is gone in the target or was changed there (${code})`, { cause })
    this.table = table
  }
}

/**
 * One table cannot go on, for a cause that no retry and no new copy removes: the table becomes `broken` with this message
 * and remedy as its problem, and the work is done again without it. The message holds no row data.
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

/** Two rows of one table have keys that are one in the target; to write either would lose the other. */
export function keysAlike(table: SourceTableName, cause?: unknown): TableBroken {
  return new TableBroken(table, 'two of its rows have keys that are one in the target', {
    remedy: `change one of them, as what a FLOAT(M,D) or DOUBLE(M,D) holds beyond the digits that it shows; then: mylab-sync initial --force --table ${table}`,
    cause,
  })
}

/** A value that the rules do not let into the target: its row is quarantined. The message names no value. */
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

/** A constraint that the truth breaks, or an index too narrow for a value of it; the drain is rolled back, the constraint suspended, and the drain done again. */
export class ConstraintViolated extends Error {
  override readonly name = 'ConstraintViolated'
  readonly table: TargetTableName
  readonly constraint: string
  readonly kind: 'foreign-key' | 'unique' | 'check' | 'index'
  /** Where the table is, if the server said so; undefined: among ours. */
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

/** PostgreSQL refuses a row of a batch (class 22, 54 or 23502): the batch has to be written row by row. Carries no value. */
export class BatchRefused extends Error {
  override readonly name = 'BatchRefused'
  readonly code: string
  constructor(code: string) {
    super(`a row of the batch was refused (${code})`)
    this.code = code
  }
}
