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

/** How a column is read, as a symbol; `source-mysql` renders each as a SELECT expression. */
export type ReadRule =
  | 'plain' // col
  | 'number' // col + 0: otherwise ZEROFILL prints leading zeros
  | 'double' // col * 1e0: the text protocol prints only 6 digits of a FLOAT without a scale
  | 'bits' // LPAD(BIN(col + 0), precision, '0')
  | 'enum' // CONCAT(col + 0, ':', col): index 0 differs from a member ''

/**
 * How a column's value is written in the text of its row that both servers digest; each side renders the symbol. Texts that are
 * equal are of values that are equal; values that are equal may have different texts, and are compared by value then.
 * number: digits · boolean: 0 or 1 · double: 16 hexadecimal digits of the value as a double · bits: binary digits · temporal: as
 * CAST AS CHAR without the zeros that end a fraction, a TIMESTAMP in UTC and with +00 · temporal-or-null: the same, a zero date
 * being NULL · text: length in bytes, a colon, the text in UTF-8 · hash: SHA-256 of the bytes, of text in UTF-8 · member: an
 * ENUM's label as text · list: a SET as an array literal, as text · uuid: 32 hexadecimal digits · address: with its prefix length.
 */
export type DigestRule =
  | 'number'
  | 'boolean'
  | 'double'
  | 'bits'
  | 'temporal'
  | 'temporal-or-null'
  | 'text'
  | 'hash'
  | 'member'
  | 'list'
  | 'uuid'
  | 'address'

/**
 * The kinds of token for a key column, written alike by the trigger and by every SELECT (ASCII, never a comma).
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

/** Called by a conversion that altered a value. */
export type Note = (rule: SanitisingRule) => void

/** Converts the source's bytes to PostgreSQL's text input; null if NULL replaces the value. Throws ValueRefused. */
export type Convert = (value: Buffer, note: Note) => Buffer | HexDigits | null

/**
 * What `Convert` does to most values of a column, so that they can be written without calling it. A value that does not fit the
 * description is converted: calling the conversion is always right.
 * same: the bytes pass unchanged · text: unchanged if they are UTF-8 without U+0000 · json: as text, without a backslash ·
 * digits: unchanged if there are fewer than 19 · boolean: 0 and 1 become `false` and `true` · member: `number:label` becomes the
 * label if the number is not 0 and the label is such text · hex: `\\x` and two digits a byte · date: a real day from year 1 on, not
 * that of `except`, passes with `suffix` · convert: nothing is known.
 */
export type Passage =
  | { readonly kind: 'same' | 'text' | 'json' | 'digits' | 'boolean' | 'member' | 'hex' | 'convert' }
  | { readonly kind: 'date'; readonly suffix: string; readonly except: string | null }

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
  /** null: the bytes pass unchanged. */
  readonly convert: Convert | null
  readonly passage: Passage
  /** The value that `convert` substitutes in a key or a referenced column, if type and read rule do not imply it; part of the table's generation. */
  readonly standIn: string | null
  /** null: no text that both servers write proves the value. */
  readonly digest: DigestRule | null
}

/** Token <-> target text of one column that is part of a key or of a foreign key. */
export interface KeyColumn {
  readonly column: ColumnMapping
  readonly rule: TokenRule
  /** The target's text of the token's value. Throws ValueRefused if the target cannot store the value. */
  toTarget(token: string): string
  /** The token of a value as PostgreSQL prints it (ISO dates, postgres intervals, hex bytea). */
  fromTarget(text: string): string
}

/** Columns that identify rows: a table's sync key, or the referenced or referencing columns of an edge. */
export interface KeyMapping {
  readonly columns: readonly KeyColumn[]
  /** A 31-bit number for this key's layout (names and token rules), written to each change entry. */
  readonly layout: number
  /** Both servers order these keys alike, so ranges may be used on the target. */
  readonly sameOrder: boolean
}

export interface TableMapping {
  readonly source: SourceTable
  readonly name: TargetTableName
  readonly columns: readonly ColumnMapping[]
  /** null: no row-level key, so the table is carried as a whole. */
  readonly key: KeyMapping | null
}

export interface Refusal {
  readonly table: string
  readonly column: string | null
  readonly reason: string
  readonly remedy: string
}

/** An index or UNIQUE constraint that the target gets, under its name there. */
export interface IndexPlan {
  readonly name: string
  readonly unique: boolean
  /** SQL of each part, quoted: `"a"`, `left("t", 3)`, `"b" DESC`. */
  readonly parts: readonly string[]
  /** Source columns, for finding the rows that hold a unique value. */
  readonly columns: readonly string[]
  /** True: a UNIQUE constraint over plain columns, DEFERRABLE INITIALLY DEFERRED; false: a unique index or an immediate constraint. */
  readonly deferrable: boolean
}

export interface CheckPlan {
  readonly name: string
  readonly expression: string
}

/** Kinds of objects that the target does not get; reports count by kind. */
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

/** A part of a table that the target never gets, known from the definition alone. */
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
  /** For an AUTO_INCREMENT column whose type cannot be an identity: its DEFAULT is this sequence's next value. */
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
  /** All referenced columns belong to the parent's sync key, so its row key contains their values. */
  readonly byKey: boolean
  /** The child's columns overlap its own key or a key that another action edge references. */
  readonly overlapping: boolean
  /** Contains a text column whose collation may equate different bytes. */
  readonly text: boolean
  /** The parent has triggers only, and no rows in the target. */
  readonly captureOnlyParent: boolean
  /** Why the target cannot have this foreign key; null if it gets it. */
  readonly notCarried: string | null
}
