import type { TableBroken } from '../errors.js'
import type { Finding } from '../model/finding.js'
import type { Edge, TableMapping, TableObjects } from '../model/mapping.js'
import type { TargetTableName } from '../names.js'
import type { TargetTransaction } from './target-transaction.js'

export interface ConstraintState {
  readonly table: TargetTableName
  readonly name: string
  readonly kind: 'foreign-key' | 'unique' | 'check' | 'index'
  readonly state: 'validated' | 'not-valid' | 'suspended'
  readonly detail: string | null
  /** Planned from the source; false: the user's own, which stays on record until the user has re-created it. */
  readonly owned: boolean
}

/** An object that we have made, by the name of its table in the target. */
export interface OutdatedObject {
  readonly table: TargetTableName
  readonly kind: string
  readonly name: string
}

/** A table and all that goes with it once it is open. */
export interface TargetDefinition {
  readonly table: TableMapping
  readonly objects: TableObjects
  /** Source columns of its foreign keys, those to parents that are not carried included. */
  readonly foreignKeyColumns: readonly (readonly string[])[]
  readonly foreignKeys: readonly { readonly edge: Edge; readonly parent: Pick<TargetDefinition, 'table' | 'objects'> }[]
}

/** What the target does with rows of one table beside keeping them. */
export interface TableHindrance {
  readonly table: string
  /** Why the table cannot keep what it is given; null: nothing is known against it. */
  readonly broken: TableBroken | null
  /** Names of its enabled triggers: what they make of rows is compared with what was given. */
  readonly triggers: readonly string[]
}

/** Who holds a lock, as far as our account may see. */
export interface LockHolder {
  /** For a person: its process and its role. */
  readonly who: string
  /** null: a prepared transaction. */
  readonly pid: number | null
  /** Since its transaction began; null: our account may not see. */
  readonly seconds: number | null
  /** Another one whenever it begins or ends a statement. */
  readonly moved: string | null
}

/** Definitions of the target's tables; each method runs short transactions of its own with a lock_timeout. */
export interface TargetTables {
  /** All tables that are carried: a trigger that writes into one of them breaks its own table. */
  carries(tables: readonly TableMapping[]): void
  /** Looks at all of these tables at once; one without any hindrance is absent. */
  hindrances(tables: readonly TableMapping[]): Promise<TableHindrance[]>
  exists(table: TableMapping): Promise<boolean>
  hasRows(table: TableMapping): Promise<boolean>
  /** What an existing table lacks to hold this mapping, as sentences; empty when it fits. */
  differences(table: TableMapping): Promise<string[]>
  /** Creates columns, defaults, comments and CHECKs; no index. */
  create(table: TableMapping, objects: TableObjects): Promise<void>
  /**
   * Adapts the columns of a table that is about to be copied again to the mapping, and drops objects of ours that prevent it.
   * Returns the statements that a person must run, in order: if an object of the user's depends on a column, if `wait` leaves
   * type changes to a person, and if PostgreSQL refuses one.
   */
  adapt(table: TableMapping, objects: TableObjects, how: { readonly wait: boolean }): Promise<string[]>
  /** Drops our UNIQUEs and foreign keys on and to a table whose rows are about to be merged; they are built again when it is open. */
  loosen(table: TableMapping, objects: TableObjects, edges: readonly Edge[]): Promise<void>
  /** Sets NOT NULL and adds the counter where a changed column had to wait for its rows. */
  finish(table: TableMapping, objects: TableObjects): Promise<void>
  /** The statements that make these tables in an empty schema: what a first copy would build, tables first, foreign keys last. */
  statements(definitions: readonly TargetDefinition[]): string[]
}

/** Keys, indexes and constraints of the target's tables; each method runs short transactions of its own with a lock_timeout. */
export interface TargetConstraints {
  /**
   * Builds the sync key's index. Rows of an older key that do not hold it go, before a copy that brings the source's; with
   * `wait`, and where they hold values of the user's own columns, the statement that a human has to run first is returned.
   */
  buildKey(table: TableMapping, how: { readonly wait: boolean }): Promise<string[]>
  /** The sync key's index and one on every given column set; names from the table. Already there: nothing. */
  buildKeyIndexes(table: TableMapping, foreignKeyColumns: readonly (readonly string[])[]): Promise<void>
  /** The other indexes and UNIQUEs. What cannot be built is recorded in sync_constraint and returned as sentences. */
  buildIndexes(table: TableMapping, objects: TableObjects): Promise<string[]>
  /** CHECKs that were suspended and that all rows hold now, as the source defines them now. */
  buildChecks(table: TableMapping, objects: TableObjects): Promise<void>
  /** NOT VALID, then VALIDATE; a text edge with orphans is recorded as suspended and not created; others stay NOT VALID and are listed. */
  buildForeignKey(child: TableMapping, parent: TableMapping, edge: Edge): Promise<ConstraintState>
  /** Drops a violated constraint in its own short transaction and records it as suspended; one that is not `planned` stays on record. */
  suspend(
    violated: {
      readonly table: TargetTableName
      readonly constraint: string
      readonly kind: ConstraintState['kind']
      /** Of the table; undefined: among ours. */
      readonly schema?: string | undefined
    },
    planned: boolean,
  ): Promise<void>
  /** Removes the records of our suspended objects of this table that are no longer planned. */
  forget(table: TableMapping, planned: readonly string[]): Promise<void>
  all(): Promise<ConstraintState[]>
  /** Indexes of ours that values of their tables do not fit into. */
  leftOutIndexes(): Promise<readonly Pick<OutdatedObject, 'table' | 'name'>[]>
}

/** Objects of our own making, as recorded when they were made. */
export interface CreatedObjects {
  /** Those that the source defines otherwise or not at all any more, and tables with work left for when they are open. */
  due(definitions: readonly TargetDefinition[]): Promise<{
    readonly outdated: readonly OutdatedObject[]
    /** Names in the target. */
    readonly unfinished: ReadonlySet<string>
    readonly unknown: ReadonlySet<string>
  }>
  drop(outdated: readonly OutdatedObject[]): Promise<void>
  /** Takes what exists under a planned name for made as it is planned; of a table that nothing is known of. */
  adopt(definition: TargetDefinition): Promise<void>
}

/** What is done to the target as a server, and to our state as a whole. */
export interface TargetAdmin {
  migrate(): Promise<void>
  migrated(): Promise<boolean>
  /** What takes our state off the target: our own tables by name, and its schema where nothing of others is left in it. */
  uninstallStatements(): Promise<string[]>
  /** What others have in the state schema, for which it stays; at most twenty. */
  leftInState(): Promise<string[]>
  /** Throws SyncError missing-right where the role may not run `uninstallStatements`. */
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
  readonly admin: TargetAdmin
  begin(options?: { readonly asynchronousCommit?: boolean }): Promise<TargetTransaction>
  /** BEGIN and the lock that drains take, of a table that only we may lock; null, at once, when another drain runs. */
  beginDrain(): Promise<TargetTransaction | null>
  /** As above, but waits for the lock up to `waitMs`; throws SyncError lock-timeout. */
  beginDrain(how: { readonly waitMs: number }): Promise<TargetTransaction>
  /** BEGIN at REPEATABLE READ: all reads see the target as of the first one. */
  beginSnapshot(): Promise<TargetTransaction>
  /** The holder of the drain lock; null if it is free. */
  drainHolder(): Promise<LockHolder | null>
  /**
   * BEGIN and a lock of this name, for what two processes must not do at once; null when another one does.
   * Work that is named by a table shares its lock with a part of the others. The transaction may be idle for as long as the work takes.
   */
  beginExclusive(work: string): Promise<TargetTransaction | null>
  close(): Promise<void>
}
