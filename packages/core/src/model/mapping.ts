import type { HexDigits } from '../hex-digits.js'
import type { TargetTableName } from '../names.js'
import type { SourceColumn, SourceTable } from './source-table.js'

/** The rules of TYPES section 2 that alter a value and are counted. */
export type SanitisingRule =
  | 'zero-date'
  | 'partial-date'
  | 'nul-byte'
  | 'nul-escape'
  | 'invalid-json'
  | 'invalid-text'
  | 'not-boolean'
  | 'enum-error'

/** How the source hands a column out, in symbols; `source-mysql` renders each as a SELECT expression. */
export type ReadRule =
  | 'plain' // col
  | 'number' // col + 0: ZEROFILL would print its zeros
  | 'double' // col * 1e0: the text protocol gives a FLOAT without a scale only 6 digits
  | 'bits' // LPAD(BIN(col + 0), precision, '0')
  | 'enum' // CONCAT(col + 0, ':', col): index 0 differs from a member ''

/**
 * The kinds of token that a key column is written as, by the trigger and by every SELECT alike (ASCII, never a comma).
 * integer: digits of `col + 0` (also BIT, YEAR, ENUM and SET by number) · decimal: `col + 0` or plain digits · bits: 16 hexadecimal
 * digits of FLOAT and DOUBLE as a double, little-endian (MySQL's text of a double ends after 22 characters, so some name no row) ·
 * digits: FLOAT(M,D) and DOUBLE(M,D) as the server shows them · temporal: CAST(col AS CHAR) · timestamp: text
 * 'YYYY-MM-DD hh:mm:ss[.f]' in UTC whatever the session's time zone · text: HEX of the bytes in the column's own character set ·
 * binary: HEX · quoted: CAST(col AS CHAR) of UUID, INET4, INET6.
 */
export type TokenRule =
  | 'integer'
  | 'decimal'
  | 'bits'
  | 'digits'
  | 'temporal'
  | 'timestamp'
  | 'text'
  | 'binary'
  | 'quoted'

/** Where a conversion reports that it altered a value. */
export type Note = (rule: SanitisingRule) => void

/** Bytes as the source hands them out -> bytes of PostgreSQL's text input. Throws ValueRefused; null where NULL replaces the value. */
export type Convert = (value: Buffer, note: Note) => Buffer | HexDigits | null

export interface ColumnMapping {
  readonly source: SourceColumn
  /** Name in the target. */
  readonly name: string
  /** As format_type() prints it: `character varying(30)`. */
  readonly type: string
  /** The type to cast text to without losing length or precision checks: `varchar` for varchar(30), `varbit` for bit(8). */
  readonly castType: string
  readonly notNull: boolean
  /** Text columns of a key. */
  readonly collateC: boolean
  readonly read: ReadRule
  /** null: the bytes pass as they are. */
  readonly convert: Convert | null
  /** What `convert` makes of a value that is part of a key or referenced, where type and read do not tell; a fact of the table's generation. */
  readonly standIn: string | null
}

/** Token <-> target text of one column that is part of a key or of a foreign key. */
export interface KeyColumn {
  readonly column: ColumnMapping
  readonly rule: TokenRule
  /** The target's text of the token's value. Throws ValueRefused when the value cannot stand in the target. */
  toTarget(token: string): string
  /** The token of a target value as PostgreSQL prints it (ISO dates, postgres intervals, hex bytea). */
  fromTarget(text: string): string
}

/** A set of columns by which rows are addressed: a table's sync key, the referenced or the referencing columns of an edge. */
export interface KeyMapping {
  readonly columns: readonly KeyColumn[]
  /** Number of this key's layout (names and token rules), written to each change entry; 31 bits. */
  readonly layout: number
  /** Both servers order these keys alike, so that ranges may be used on the target. */
  readonly sameOrder: boolean
}

export interface TableMapping {
  readonly source: SourceTable
  readonly name: TargetTableName
  readonly columns: readonly ColumnMapping[]
  /** null: no row-level key; the table is carried as a whole. */
  readonly key: KeyMapping | null
}

export interface Refusal {
  readonly table: string
  readonly column: string | null
  readonly reason: string
  readonly remedy: string
}

/** An index, constraint or default that the target gets, or why not. Names are the target's; `sql` texts are complete clauses. */
export interface IndexPlan {
  readonly name: string
  readonly unique: boolean
  /** SQL of each part, quoted: `"a"`, `left("t", 3)`, `"b" DESC`. */
  readonly parts: readonly string[]
  /** Source columns; used to find holders of unique values. */
  readonly columns: readonly string[]
  /** A UNIQUE constraint of plain columns, DEFERRABLE INITIALLY DEFERRED; false: a plain unique index or an immediate constraint. */
  readonly deferrable: boolean
}

export interface CheckPlan {
  readonly name: string
  readonly expression: string
}

/** Kinds of what the target does not get, by which they are counted. */
export type NotCarriedKind =
  | 'case-insensitive-text'
  | 'check'
  | 'default'
  | 'expression-index'
  | 'foreign-key'
  | 'foreign-key-action'
  | 'fulltext-index'
  | 'generated-expression'
  | 'history'
  | 'index'
  | 'on-update'
  | 'partitions'
  | 'spatial-index'

/** Something of a table that the target never gets, known from the definition alone. */
export interface NotCarried {
  readonly kind: NotCarriedKind
  /** Kind and name: `FULLTEXT INDEX story`. */
  readonly object: string
  readonly reason: string
}

export interface TableObjects {
  readonly indexes: readonly IndexPlan[]
  readonly checks: readonly CheckPlan[]
  /** Target column name -> SQL of its DEFAULT. */
  readonly defaults: ReadonlyMap<string, string>
  readonly identity: string | null
  /** Of an AUTO_INCREMENT column whose type can be no identity: its DEFAULT is the next value of this sequence. */
  readonly sequence: { readonly column: string; readonly name: string } | null
  readonly notCarried: readonly NotCarried[]
}

/** A foreign key between two mapped tables, with codecs for both ends. */
export interface Edge {
  readonly name: string
  readonly child: string
  readonly parent: string
  readonly childKey: KeyMapping
  readonly parentKey: KeyMapping
  readonly action: boolean
  /** Referenced columns all belong to the parent's sync key: their values can be read off its row key. */
  readonly byKey: boolean
  /** The child's columns overlap its own key or a key that another action edge references. */
  readonly overlapping: boolean
  /** A text column whose collation may equate different bytes. */
  readonly text: boolean
  /** No parent with a row of its own in the target: triggers only. */
  readonly captureOnlyParent: boolean
  /** Why the target can have no such foreign key; null: it is to have one. */
  readonly notCarried: string | null
}
