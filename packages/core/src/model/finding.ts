import type { ErrorCode } from '../errors.js'

/** error: the product cannot work, or data would be wrong; warning: it works, with the named drawback; note: worth knowing. */
export type Severity = 'error' | 'warning' | 'note'

/** One result of a check: what was found, why it matters, and the statement or setting that fixes it. */
export interface Finding {
  /** Stable, for scripts: `source-right-missing`. */
  readonly code: FindingCode
  readonly severity: Severity
  readonly side: 'source' | 'target' | 'redis' | 'host'
  readonly cause: string
  readonly remedy: string
}

/** An error in a check keeps its own code. */
export type FindingCode =
  | ErrorCode
  | 'capture-only-parents'
  | 'clock-difference'
  | 'line-unencrypted'
  | 'line-unverified'
  | 'no-table'
  | 'redis-eviction'
  | 'redis-queue-held'
  | 'source-binlog-format'
  | 'source-column-charset'
  | 'source-connection-charset'
  | 'source-database-charset'
  | 'source-engine'
  | 'source-foreign-key-mode'
  | 'source-foreign-log'
  | 'source-keyless-table'
  | 'source-log-guards'
  | 'source-log-ids'
  | 'source-log-size'
  | 'source-max-allowed-packet'
  | 'source-process-missing'
  | 'source-read-only'
  | 'source-right-missing'
  | 'source-sql-mode'
  | 'source-stray-triggers'
  | 'source-table-name-case'
  | 'source-trigger-creators'
  | 'source-trigger-definer'
  | 'source-trigger-mode'
  | 'source-unseen'
  | 'source-version'
  | 'source-xa-prepared'
  | 'table-refused'
  | 'target-connections'
  | 'target-encoding'
  | 'target-lock-held'
  | 'target-name-taken'
  | 'target-not-owner'
  | 'target-pooler'
  | 'target-read-only'
  | 'target-replication-role'
  | 'target-right-missing'
  | 'target-rows-not-kept'
  | 'target-schema-open'
  | 'target-table-differs'
  | 'target-table-not-empty'
  | 'target-triggers'
  | 'target-triggers-granted'
  | 'target-unseen'
  | 'target-version'
