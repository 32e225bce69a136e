import type { RowKey, SourceTableName } from '../names.js'

/** ISO 8601 in UTC, by the source's clock: each row of the table was compared at a moment between the two. */
export interface VerifiedMoments {
  readonly since: string
  readonly until: string
}

/** The state of verification of one table. */
export interface TableVerification {
  readonly table: string
  /** Where the walk of the current pass continues; null: the next step starts a pass. */
  readonly walk: string | null
  /** The table was opened again since the last step: its rows were read again, so what had differed is not known. */
  readonly isReopened: boolean
  /** Moments of the last full pass, whatever it found; null: none has ended. */
  readonly passed: VerifiedMoments | null
  /** Moments of the last full pass that found all rows equal. */
  readonly verified: VerifiedMoments | null
  /** Counts the commands that have replaced what was known. */
  readonly replaced: number
  /** Rows that differ, as far as they are known. */
  readonly differing: number
  /** Rows that differed and were repaired, since the installation. */
  readonly repaired: number
}

export interface DifferingKey {
  /** null: a row of the target that no key of the source can name. */
  readonly key: RowKey | null
  /** The text of each key column. */
  readonly texts: readonly string[]
  readonly kind: 'missing' | 'surplus' | 'different'
  /** Names of the source's columns that differ. */
  readonly columns: readonly string[]
}

/** The outcome of one step of one table's walk. */
export interface VerificationStep {
  readonly table: SourceTableName
  /** null: the pass has ended. */
  readonly walk: string | null
  /** `replaced` as it was when the step began: after a later command its outcome is outdated, and dropped. */
  readonly replaced: number
  /** Whether this step started the pass. */
  readonly isFirst: boolean
  /** Rows that this step has found to differ. */
  readonly found: readonly DifferingKey[]
  /** How many rows the pass so far has left as differing; more than its keys where rows have none. */
  readonly differing: number
  /** Moments of the pass, if it has ended. */
  readonly passed: VerifiedMoments | null
  /** The pass has ended early: the table could not be compared, and what was known of it stays. */
  readonly notCompared: boolean
}

/** The outcome of a command that has compared a table as a whole. */
export type WholeComparison = Pick<VerificationStep, 'table' | 'found' | 'differing'> & {
  readonly repaired: number
  readonly passed: VerifiedMoments
}

/** The pace that all processes share. */
export interface VerifyPace {
  /** Until the next step may begin, by the target's clock; 0: now. */
  readonly waitMs: number
  /** Figures of the last step; 0: there was none. */
  readonly stepMs: number
  readonly pauseMs: number
  /** Sums over the steps of the last hours, and the time that they spread over, pauses included. */
  readonly workedMs: number
  readonly spanMs: number
  readonly rows: number
}

/** The progress of background verification, and the findings of it and of the commands. */
export interface VerificationStore {
  /** By table; tables that were never compared are omitted. */
  all(): Promise<ReadonlyMap<string, TableVerification>>
  /** Stores the outcome of steps. At the end of a pass only its own findings remain. */
  record(steps: readonly VerificationStep[]): Promise<void>
  /** Replaces the known differences, and ends a pass in progress. */
  replace(outcomes: readonly WholeComparison[]): Promise<void>
  /** At most `limit` keys that differ, of all tables. */
  differing(limit: number): Promise<(DifferingKey & { readonly table: string })[]>
  /** Stores keys of so many rows that differ and that this transaction makes dirty: a call of `settle` must follow, by any process. */
  addTried(table: SourceTableName, keys: readonly DifferingKey[], rows: number): Promise<void>
  tried(): Promise<(DifferingKey & { readonly table: string })[]>
  /** Replaces the table's tried keys by those that still differ. */
  settle(
    table: SourceTableName,
    outcome: { readonly left: readonly DifferingKey[]; readonly repaired: number },
  ): Promise<void>
  /** No table counts as verified any more, until it is compared again. */
  forget(): Promise<void>
  pace(): Promise<VerifyPace>
  keepPace(step: { readonly ms: number; readonly rows: number; readonly pauseMs: number }): Promise<void>
}
