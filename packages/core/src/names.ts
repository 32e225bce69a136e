declare const SIDE: unique symbol

/** A table by its name in the target, which may be another one than in the source. */
export type TargetTableName = string & { readonly [SIDE]: 'target' }

/**
 * A table by its name in the source. Any text passes for one but a name of the target: whoever holds a target's name must
 * look its table up. `length` keeps the type from being one of optional properties alone, which no text would fit.
 */
export type SourceTableName = string & { readonly length: number; readonly [SIDE]?: never }

/** Typed tokens of a row's key columns, joined by commas (DESIGN 3.1). */
export type RowKey = string

/** Addresses a table without a key as a whole. In one with a key it is a row's: the one whose key is the empty text. */
export const WHOLE_TABLE: RowKey = ''

/** In place of a drain's number: what a copy has parked or quarantined. The first drain is 1. */
export const NO_DRAIN = 0
