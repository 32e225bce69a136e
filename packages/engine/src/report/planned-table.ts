import type { NotCarried } from '@mylab-sync/core'

export interface PlannedColumn {
  readonly name: string
  readonly targetName: string
  readonly sourceType: string
  readonly type: string
  readonly notNull: boolean
  readonly default: string | null
  readonly rules: readonly { readonly rule: string; readonly outcome: string }[]
}

export interface PlannedForeignKey {
  readonly name: string
  readonly columns: readonly string[]
  readonly parent: string
  readonly parentColumns: readonly string[]
  /** The source's action on the child's rows; the target only checks. */
  readonly onDelete: string
  readonly onUpdate: string
  /** Why the foreign key is not carried; null: it is. */
  readonly notCarried: string | null
}

export interface PlannedTable {
  readonly table: string
  readonly targetName: string
  readonly estimatedRows: number
  readonly estimatedBytes: number
  readonly carried: 'live' | 'recopied'
  /** Why the table is not carried row by row; null: it is. */
  readonly why: string | null
  readonly key: readonly string[] | null
  readonly columns: readonly PlannedColumn[]
  readonly foreignKeys: readonly PlannedForeignKey[]
  readonly indexes: readonly { readonly name: string; readonly unique: boolean; readonly parts: readonly string[] }[]
  readonly checks: readonly { readonly name: string; readonly expression: string }[]
  readonly identity: string | null
  readonly notCarried: readonly NotCarried[]
}
