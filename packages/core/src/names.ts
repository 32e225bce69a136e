declare const SIDE: unique symbol

/** A table's name in the target, which may differ from its name in the source. */
export type TargetTableName = string & { readonly [SIDE]: 'target' }

/**
 * A table's name in the source. Accepts any string but a TargetTableName: code with a target's name must look its table up.
 * `length` is declared since no string would be assignable to a type with only optional properties.
 */
export type SourceTableName = string & { readonly length: number; readonly [SIDE]?: never }

/** Typed tokens of a row's key columns, joined by commas (DESIGN 3.1). */
export type RowKey = string

/** Addresses a whole table that has no key. In a table with a key it identifies the row whose key is the empty string. */
export const WHOLE_TABLE: RowKey = ''

/** The drain number of keys that a copy parked or quarantined. The first drain is 1. */
export const NO_DRAIN = 0
