import type { ColumnRules } from './options.js'

/** What a conversion needs to know about its column. */
export interface ValueContext {
  readonly column: string
  /** Part of a sync key or an action edge, or referencing such a column: no two values may become equal. */
  readonly strict: boolean
  /** Part of the table's own sync key, so never NULL. */
  readonly inKey: boolean
  /** Whether this column, or the one it references, may be NULL. */
  readonly nullable: boolean
  readonly rules: ColumnRules
}
