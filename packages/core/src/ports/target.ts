import type { TableBroken } from '../errors.js'
import type { Finding } from '../model/finding.js'
import type { Edge, IndexPlan, TableMapping, TableObjects } from '../model/mapping.js'
import type { TargetTableName } from '../names.js'
import type { TargetCutover } from './cutover.js'
import type { TargetTransaction } from './target-transaction.js'

export interface ConstraintState {
  readonly table: TargetTableName
  readonly name: string
  readonly kind: 'foreign-key' | 'unique' | 'check' | 'index'
  readonly state: 'validated' | 'not-valid' | 'suspended'
  readonly detail: string | null
  /** True: planned from the source; false: the user's own, which stays on record until the user re-creates it. */
  readonly owned: boolean
}

/** An object that we created, by its table's name in the target. */
export interface OutdatedObject {
  readonly table: TargetTableName
  readonly kind: string
  readonly name: string
}

/** A table with the objects that it has once it is open. */
export interface TargetDefinition {
  readonly table: TableMapping
  readonly objects: TableObjects
  /** Source columns of its foreign keys, including those to parents that are not carried. */
  readonly foreignKeyColumns: readonly (readonly string[])[]
  readonly foreignKeys: readonly { readonly edge: Edge; readonly parent: Pick<TargetDefinition, 'table' | 'objects'> }[]
}

/** Indexes of a table whose rows were copied and that is about to open. */
export interface FirstIndexes extends Pick<TargetDefinition, 'table' | 'foreignKeyColumns'> {
  readonly plain: readonly IndexPlan[]
}

/** A foreign key between two tables of the target. */
export interface ForeignKeyEnds {
  readonly child: TableMapping
  readonly parent: TableMapping
  readonly edge: Edge
}

/** What the target does with rows of one table besides storing them. */
export interface TableHindrance {
  readonly table: string
  /** Why the table would not store rows as given; null: no obstacle is known. */
  readonly broken: TableBroken | null
  /** Names of its enabled triggers: rows are compared after they have fired. */
  readonly triggers: readonly string[]
}

/** Who holds a lock, as far as our account may see. */
export interface LockHolder {
  /** For a person: its process and its role. */
  readonly who: string
  /** null: a prepared transaction. */
  readonly pid: number | null
  /** Age of its transaction; null: our account may not see it. */
  readonly seconds: number | null
  /** Changes whenever the holder starts or ends a statement. */
  readonly moved: string | null
}

/** What the plan has and the target lacks. */
export interface Unbuilt {
  /** Tables without one of their planned indexes, UNIQUEs or CHECKs. */
  readonly tables: ReadonlySet<TargetTableName>
  /** The foreign key is missing, or not validated. */
  isForeignKeyDue(child: TableMapping, edge: Edge): boolean
}

/** Definitions of the target's tables; each method runs short transactions of its own with a lock_timeout. */
export interface TargetTables {
  /** All tables that are carried: a trigger that writes into one of them breaks its own table. */
  carries(tables: readonly TableMapping[]): void
  /** Examines all of these tables at once; omits those without a hindrance. */
  hindrances(tables: readonly TableMapping[]): Promise<TableHindrance[]>
  /** Names of those of these tables that exist. */
  existing(tables: readonly TableMapping[]): Promise<ReadonlySet<TargetTableName>>
  hasRows(table: TableMapping): Promise<boolean>
  /** Returns sentences about what an existing table lacks to hold this mapping; empty if it fits. */
  differences(table: TableMapping): Promise<string[]>
  /** Creates columns, defaults, comments and CHECKs; no index. Many tables share a transaction; an error names its table. */
  create(definitions: readonly Pick<TargetDefinition, 'table' | 'objects'>[]): Promise<void>
  /**
   * Adapts the columns of a table that is about to be copied again to the mapping, and drops objects of ours that prevent it.
   * Returns the statements that a person must run, in order: if an object of the user's depends on a column, if `wait` leaves
   * type changes to a person, and if PostgreSQL refuses one.
   */
  adapt(table: TableMapping, objects: TableObjects, how: { readonly wait: boolean }): Promise<string[]>
  /** Drops our UNIQUEs and foreign keys on and to a table whose rows are about to be merged; they are rebuilt once it is open. */
  loosen(table: TableMapping, objects: TableObjects, edges: readonly Edge[]): Promise<void>
  /** Sets NOT NULL and adds the counter of changed columns that had to wait for their rows. */
  finish(table: TableMapping, objects: TableObjects): Promise<void>
  /** Statements that create these tables in an empty schema as a first copy would: tables first, foreign keys last. */
  statements(definitions: readonly TargetDefinition[]): string[]
}

/** Keys, indexes and constraints of the target's tables; each method runs short transactions of its own with a lock_timeout. */
export interface TargetConstraints {
  /**
   * Builds the sync key's index. Deletes rows of an older key that violate it: the copy that follows brings the source's. With
   * `wait`, or if rows hold values of the user's own columns, deletes nothing and returns the statement that a person must run first.
   */
  buildKey(table: TableMapping, how: { readonly wait: boolean }): Promise<string[]>
  /**
   * Builds each table's sync key's index and one on every column set of its foreign keys, named after the table; keeps existing ones. Where
   * `plain` gives them, also its indexes that are not UNIQUE, except those that PostgreSQL refuses: `buildIndexes` says why. Small
   * tables share a transaction; an error names its table.
   */
  buildKeyIndexes(tables: readonly FirstIndexes[]): Promise<void>
  /** Builds the other indexes and UNIQUEs. Records those that cannot be built in sync_constraint, and returns a sentence for each. */
  buildIndexes(table: TableMapping, objects: TableObjects): Promise<string[]>
  /** Rebuilds suspended CHECKs that all rows satisfy now, as the source defines them now. */
  buildChecks(table: TableMapping, objects: TableObjects): Promise<void>
  /**
   * Adds foreign keys NOT VALID, then validates them. With orphans a text edge is suspended and not created; any other stays NOT
   * VALID and is listed. Those that no row violates share transactions.
   */
  buildForeignKeys(foreignKeys: readonly ForeignKeyEnds[]): Promise<ConstraintState[]>
  /** Drops a violated constraint in its own short transaction and records it as suspended; one that is not `planned` stays on record. */
  suspend(
    violated: {
      readonly table: TargetTableName
      readonly constraint: string
      readonly kind: ConstraintState['kind']
      /** The table's schema; undefined: the schema of the carried tables. */
      readonly schema?: string | undefined
    },
    planned: boolean,
  ): Promise<void>
  /** Removes the records of our suspended objects of this table that are no longer planned. */
  forget(table: TableMapping, planned: readonly string[]): Promise<void>
  /** What of these tables is still to be built, in one look at all of them. */
  unbuilt(definitions: readonly TargetDefinition[]): Promise<Unbuilt>
  all(): Promise<ConstraintState[]>
  /** Our indexes that were left out because values are too long for them. */
  leftOutIndexes(): Promise<readonly Pick<OutdatedObject, 'table' | 'name'>[]>
}

/** The sequence, an identity's or another, that gives the numbers of an INSERT without a value. */
export interface CounterState {
  readonly kind: 'counts'
  /** Its name with the schema, quoted where necessary. */
  readonly sequence: string
  /** The number that it would have given next. */
  readonly before: bigint
  /** The number that it gives next now, or would with `dryRun`. */
  readonly next: bigint
  /** `next` is higher than the sequence can give: an INSERT without a value fails. */
  readonly isExhausted: boolean
}

/** The column takes its numbers from no sequence that ascends; the statements give it one. */
export interface MissingCounter {
  readonly kind: 'missing'
  readonly statements: readonly string[]
}

/** Objects that we created, as recorded at their creation, and the counters of AUTO_INCREMENT columns, whoever created them. */
export interface CreatedObjects {
  /** Returns objects that the source has redefined or dropped, and tables with objects to be created once they are open. */
  due(definitions: readonly TargetDefinition[]): Promise<{
    readonly outdated: readonly OutdatedObject[]
    /** Names in the target. */
    readonly unfinished: ReadonlySet<string>
    readonly unknown: ReadonlySet<string>
  }>
  drop(outdated: readonly OutdatedObject[]): Promise<void>
  /** Records existing objects with a planned name as created as planned; for a table without any record. */
  adopt(definition: TargetDefinition): Promise<void>
  /**
   * Sets the counter of the table's AUTO_INCREMENT column so that it gives neither a number below `least` nor one that a row
   * has. A sequence that other columns may use too is never set back.
   */
  setCounter(
    table: TableMapping,
    objects: TableObjects,
    how: { readonly least: bigint; readonly dryRun: boolean },
  ): Promise<CounterState | MissingCounter>
}

/** Work on the target as a server, and on our state as a whole. */
export interface TargetAdmin {
  /** Product and version, as the server reports them. */
  version(): Promise<string>
  migrate(): Promise<void>
  migrated(): Promise<boolean>
  /** Statements that remove our state from the target: our tables by name, and the schema if nothing else is left in it. */
  uninstallStatements(): Promise<string[]>
  /** Objects of others in the state schema, which keep it from being dropped; at most twenty. */
  leftInState(): Promise<string[]>
  /** Throws SyncError missing-right if the role may not run `uninstallStatements`. */
  requireUninstallRights(): Promise<void>
  run(statements: readonly string[]): Promise<void>
  /** Finds what prevents carrying these tables: the server, its settings, our rights. Changes nothing. */
  preflight(tables: readonly TableMapping[]): Promise<Finding[]>
  /** How far the server's clock is ahead of this host's. */
  clockAheadMs(): Promise<number>
}

export interface Target {
  readonly tables: TargetTables
  readonly constraints: TargetConstraints
  readonly created: CreatedObjects
  readonly cutover: TargetCutover
  readonly admin: TargetAdmin
  begin(options?: { readonly asynchronousCommit?: boolean }): Promise<TargetTransaction>
  /**
   * BEGIN with the drain lock, on a table that only our role may lock. Returns null at once if another drain runs. Throws
   * SyncError cut-over once the application writes the target, as `beginExclusive` does.
   */
  beginDrain(): Promise<TargetTransaction | null>
  /** As above, but waits for the lock up to `waitMs`; throws SyncError lock-timeout. */
  beginDrain(how: { readonly waitMs: number }): Promise<TargetTransaction>
  /** BEGIN at REPEATABLE READ: all reads see the target as of the first one. */
  beginSnapshot(): Promise<TargetTransaction>
  /** The holder of the lock for drains, or for this work; null if it is free. */
  lockHolder(work: 'drain' | 'maintain' | 'verify'): Promise<LockHolder | null>
  /**
   * BEGIN with a lock of this name, for work that two processes must not do at once; null if another process holds it.
   * Work named after a table may share its lock with other tables. The transaction may be idle for as long as the work takes.
   */
  beginExclusive(work: string): Promise<TargetTransaction | null>
  close(): Promise<void>
}
