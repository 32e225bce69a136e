import type { ColumnRules } from './options.js'

/** All that a conversion has to know about its column. */
export interface ValueContext {
  readonly column: string
  /** A column of a sync key or of an action edge (or one that follows such a column): no value may become another's. */
  readonly strict: boolean
  /** Part of the table's own sync key, so never NULL. */
  readonly inKey: boolean
  /** Whether the column that this one follows, or itself, may be NULL. */
  readonly nullable: boolean
  readonly rules: ColumnRules
}
