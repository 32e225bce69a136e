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
  | 'table-refused'
  | 'target-table-missing'
  | 'target-table-differs'
  | 'table-broken'
  | 'target-table-not-empty'
  | 'lock-timeout'
  | 'unavailable'
  | 'generation-changed'
  | 'constraint-violated'
  | 'truncated-read'
  | 'job-refused'
  | 'xa-prepared'
  | 'stopped'
  | 'internal'

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
  constructor(code: ErrorCode, text: string, { side, remedy, cause }: SyncErrorOptions = {}) {
    super(side === undefined ? text : `${side}: ${text}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.side = side ?? null
    this.text = text
    this.remedy = remedy ?? null
  }
}

export interface SyncErrorOptions {
  readonly side?: 'source' | 'target'
  readonly remedy?: string
  readonly cause?: unknown
}

/** A table of the target is gone or is not what we made of it: the table `table` of the source is to be set aside and made again. */
export class TargetTableUnfit extends SyncError {
  readonly table: string
  constructor(table: string, code: string, cause: unknown) {
    super('target-table-differs', `table ${table} is gone in the target or was changed there (${code})`, { cause })
    this.table = table
  }
}

/**
 * One table cannot go on, for a cause that no retry and no new copy removes: the table becomes `broken` with this message
 * and remedy as its problem, and the work is done again without it. The message holds no row data.
 */
export class TableBroken extends SyncError {
  readonly table: string
  readonly reason: string

  constructor(table: string, reason: string, options: { remedy: string; cause?: unknown }) {
    super('table-broken', `table ${table}: ${reason}`, options)
    this.table = table
    this.reason = reason
  }
}

/** Two rows of one table have keys that are one in the target; to write either would lose the other. */
export function keysAlike(table: string, cause?: unknown): TableBroken {
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
  readonly table: string
  readonly constraint: string
  readonly kind: 'foreign-key' | 'unique' | 'check' | 'index'
  /** Where the table is, if the server said so; undefined: among ours. */
  readonly schema: string | undefined
  constructor(table: string, constraint: string, kind: 'foreign-key' | 'unique' | 'check' | 'index', schema?: string) {
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
