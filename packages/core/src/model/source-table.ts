/** A column from the source's catalog. `dataType` is lower case without length; `columnType` is the server's full text. */
export interface SourceColumn {
  readonly name: string
  readonly dataType: string
  readonly columnType: string
  readonly unsigned: boolean
  readonly zerofill: boolean
  readonly nullable: boolean
  /** CHARACTER_MAXIMUM_LENGTH: characters of a text type, bytes of a binary one. */
  readonly length: number | null
  readonly precision: number | null
  readonly scale: number | null
  /** Fractional digits of TIME, DATETIME and TIMESTAMP. */
  readonly fraction: number
  readonly charset: string | null
  readonly collation: string | null
  /** Members of an ENUM or SET in definition order, unquoted. */
  readonly members: readonly string[] | null
  /** MySQL's JSON, or MariaDB's LONGTEXT with a json_valid CHECK. */
  readonly json: boolean
  readonly generated: 'stored' | 'virtual' | null
  /** A generated column's expression as the server prints it; null for other columns. */
  readonly expression: string | null
  readonly invisible: boolean
  readonly autoIncrement: boolean
  readonly defaultValue: ColumnDefault
  readonly onUpdate: boolean
  readonly comment: string
}

export type ColumnDefault =
  | { readonly kind: 'none' }
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'bytes'; readonly hex: string }
  | { readonly kind: 'current-timestamp' }
  | { readonly kind: 'expression'; readonly text: string }

export interface IndexPart {
  /** null: the part is an expression. */
  readonly column: string | null
  readonly prefix: number | null
  readonly descending: boolean
}

export interface SourceIndex {
  readonly name: string
  readonly unique: boolean
  /** False: INVISIBLE (MySQL) or IGNORED (MariaDB); still enforces uniqueness, but statements must not name it. */
  readonly visible: boolean
  readonly kind: 'btree' | 'fulltext' | 'spatial' | 'other'
  readonly parts: readonly IndexPart[]
}

export type ReferentialAction = 'NO ACTION' | 'RESTRICT' | 'CASCADE' | 'SET NULL' | 'SET DEFAULT'

export interface SourceForeignKey {
  readonly name: string
  readonly columns: readonly string[]
  /** null: the same database. */
  readonly parentDatabase: string | null
  readonly parent: string
  readonly parentColumns: readonly string[]
  readonly onDelete: ReferentialAction
  readonly onUpdate: ReferentialAction
}

export interface SourceCheck {
  readonly name: string
  readonly expression: string
}

/** Why the server can read no row of a table, and the remedy. */
export interface TableFault {
  readonly reason: string
  readonly remedy: string
}

export interface SourceTable {
  readonly name: string
  readonly engine: string
  readonly systemVersioned: boolean
  readonly columns: readonly SourceColumn[]
  readonly primaryKey: readonly string[] | null
  /** The primary key is not included. */
  readonly indexes: readonly SourceIndex[]
  readonly foreignKeys: readonly SourceForeignKey[]
  readonly checks: readonly SourceCheck[]
  readonly comment: string
  readonly estimatedRows: number
  readonly estimatedBytes: number
  /** null: no read of it has failed. */
  readonly fault: TableFault | null
}

export interface SourceCatalog {
  readonly vendor: 'mariadb' | 'mysql'
  readonly version: string
  readonly database: string
  readonly tables: readonly SourceTable[]
  /** Tables of the older package, which are never carried. */
  readonly olderPackage: readonly string[]
}

/** A database's objects other than tables; none is carried. */
export interface OtherObjects {
  /** Counts; null if this account may not see them, or the server cannot list them. The product's own triggers are excluded. */
  readonly counts: Readonly<Record<'views' | 'routines' | 'events' | 'triggers' | 'sequences', number | null>>
  /** What the account may not see, with the GRANT for each. */
  readonly notVisible: readonly { readonly objects: 'routines' | 'events' | 'triggers'; readonly grant: string }[]
  /** What the server cannot list, with its error's name and number. */
  readonly notListed: readonly {
    readonly objects: 'views' | 'routines' | 'events' | 'triggers' | 'sequences' | 'partitions'
    readonly reason: string
  }[]
  readonly partitionedTables: readonly string[]
}

/** An object of the application beside its tables. */
export interface ApplicationObject {
  readonly kind: 'view' | 'procedure' | 'function' | 'event' | 'trigger' | 'sequence'
  readonly name: string
  /** The table of a trigger; null for other objects. */
  readonly table: string | null
  /** The source's statement that prints its definition. */
  readonly shownBy: string
}

/** True if the source changes child rows through this foreign key without firing a trigger. */
export function isActionEdge({ onDelete, onUpdate }: Pick<SourceForeignKey, 'onDelete' | 'onUpdate'>): boolean {
  return changesRows(onDelete) || changesRows(onUpdate)
}

/** False for an action that only refuses. */
export function changesRows(action: ReferentialAction): boolean {
  return action !== 'NO ACTION' && action !== 'RESTRICT'
}
