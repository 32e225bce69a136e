import type { DrainRange, RowKey } from '@mylab-sync/core'
import { type Findings, noFindings } from './findings.js'

/**
 * The position and findings of a walk over one table: plain data of bounded size, so that it can be stored as JSON and
 * another process can continue it.
 */
export interface WalkState {
  readonly table: string
  /** The table's generation at the walk's start. Under another one keys and values have another meaning, so the walk starts over. */
  generation: string | null
  /** rows: the source's rows are compared; surplus: the target's are looked for at the source. */
  phase: 'rows' | 'surplus' | 'done'
  /** In phase `rows`, keys up to and including this one are compared. */
  lower: RowKey | null
  /** In phase `surplus`, the target's key up to which it has looked, as texts. */
  after: readonly string[] | null
  /** Rows of the source that were compared. */
  rows: number
  findings: Findings
  /** Rows of the source that the target holds too, as far as moments exempt none; null if that is not known. */
  expected: number | null
  /** Both servers order the keys of all ranges so far alike, so that these covered the target's surplus rows. */
  isOrdered: boolean
  /** Consecutive moments of use to no walk, whose drains carried the table as a whole, so that it could not be compared at them. */
  carried: number
  /** Consecutive moments that proved nothing because of an error or a change of its definition. */
  failures: number
  /** How many moments its steps took, and which one the latest was. */
  moments: number
  latest: string | null
  /** The earliest and the latest moment of its steps, ISO 8601 in UTC by the source's clock. */
  span: { readonly since: string; readonly until: string } | null
  /** The drains at whose moments its steps were taken, from the first to the last. */
  drains: DrainRange | null
  /** The digest of the rows that digests have proved so far; its sums as digits. */
  proven: { readonly rows: number; readonly sums: readonly [string, string] }
  /** Why the table was not compared; null while nothing speaks against it. */
  notCompared: string | null
}

export function newWalkState(table: string): WalkState {
  return {
    table,
    generation: null,
    phase: 'rows',
    lower: null,
    after: null,
    rows: 0,
    findings: noFindings(),
    expected: 0,
    isOrdered: true,
    carried: 0,
    failures: 0,
    moments: 0,
    latest: null,
    span: null,
    drains: null,
    proven: { rows: 0, sums: ['0', '0'] },
    notCompared: null,
  }
}
