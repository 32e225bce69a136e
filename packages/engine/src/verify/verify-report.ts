import type { DrainRange } from '@mylab-sync/core'
import type { Model } from '../model/model.js'
import type { DifferenceKind } from './findings.js'
import type { TableWalk } from './table-walk.js'

/** One column of a row that differs, as each side shows it. */
export interface FoundValue {
  readonly column: string
  /** Bytes that are no text as 0x and hexadecimal digits. */
  readonly source: string | null
  readonly target: string | null
}

export interface FoundKey {
  /** The text of each key column. */
  readonly key: readonly string[]
  readonly kind: DifferenceKind
  readonly columns: readonly string[]
  /** By differing column; only if the request asks for them. */
  readonly values?: readonly FoundValue[]
}

export interface VerifiedTable {
  readonly table: string
  /** Rows of the source that were compared. */
  readonly rows: number
  readonly equal: boolean
  /** The earliest moment at which a part of it was compared. */
  readonly verifiedSince: string | null
  /** The drains of these moments: what they applied is in both databases; null: it was not compared. */
  readonly drains: DrainRange | null
  /** The digest of its rows, whose sums are digits; null unless digests proved every row and every column of all of it. */
  readonly digest: { readonly rows: number; readonly sums: readonly [string, string] } | null
  /** The latest moment that the comparison holds for, ISO 8601 in UTC; null: it was not compared. */
  readonly verifiedAt: string | null
  readonly missing: number
  readonly surplus: number
  readonly different: number
  /** Rows that the target refused, which are not compared. */
  readonly quarantined: number
  /** The first ones; the counts are whole. */
  readonly keys: readonly FoundKey[]
  /** Why it was not compared; null if it was. */
  readonly notCompared: string | null
}

export interface VerifyReport {
  /** Every table was compared and none differs, except for quarantined rows. */
  readonly equal: boolean
  /** The earliest moment that a table's comparison holds for. */
  readonly consistentAsOf: string | null
  readonly tables: readonly VerifiedTable[]
  /** The share of each table's rows that was to be compared; null: all of them. */
  readonly sample: number | null
  /** Only keys that drains carried from this time on were compared: `from` is later than asked for where older ones are no longer kept; null: all keys. */
  readonly since: { readonly asked: string; readonly from: string } | null
}

/** A verification in progress. */
export interface Verification {
  model: Model
  quarantined: ReadonlyMap<string, number>
  readonly walks: readonly TableWalk[]
}
