import type { CheckPlan, ColumnMapping, Edge, IndexPlan, TableMapping, TableObjects } from '../model/mapping.js'
import type { ReferentialAction, SourceCheck } from '../model/source-table.js'

/**
 * following: drains go on, whether a cutover was begun or not. done: the application writes the target, and nothing of the
 * source is applied any more. taken-back: drains go on, and the rows that the application may have written have yet to be compared.
 */
export type CutoverPhase = 'following' | 'done' | 'taken-back'

export interface CutoverState {
  readonly phase: CutoverPhase
  /** When the phase began, ISO 8601 in UTC; null: no cutover was ever begun. */
  readonly since: string | null
  /** Keys of drains after this one are kept, as far as the bound on kept keys allows; null: those of the latest. */
  readonly keptDrain: number | null
  /** All rows were compared as of that drain, and were equal. */
  readonly isCompared: boolean
  readonly withActions: boolean
}

/** A foreign key of the target between two carried tables, with the actions that the source defines. */
export interface ActingKey {
  readonly edge: Edge
  readonly child: TableMapping
  readonly parent: TableMapping
  readonly onDelete: ReferentialAction
  readonly onUpdate: ReferentialAction
}

/** What a cutover changes of the target's tables. */
export interface CutoverTable {
  readonly table: TableMapping
  readonly objects: TableObjects
  readonly foreignKeys: readonly ActingKey[]
}

/** What the target lacks or does not hold, by the statements that show it or give it. */
export type Missing =
  | { readonly kind: 'foreign-key-action' | 'orphans'; readonly key: ActingKey }
  | { readonly kind: 'case-insensitive-text'; readonly table: TableMapping; readonly columns: readonly ColumnMapping[] }
  | {
      readonly kind: 'on-update' | 'generated-expression' | 'default'
      readonly table: TableMapping
      readonly column: ColumnMapping
    }
  /** `most`: the greatest value; null: any. */
  | {
      readonly kind: 'unsigned'
      readonly table: TableMapping
      readonly column: ColumnMapping
      readonly most: string | null
    }
  | { readonly kind: 'duplicates'; readonly table: TableMapping; readonly index: IndexPlan }
  | { readonly kind: 'violations'; readonly table: TableMapping; readonly check: CheckPlan }
  | { readonly kind: 'check'; readonly table: TableMapping; readonly check: SourceCheck }
  | {
      readonly kind: 'fulltext-index'
      readonly table: TableMapping
      readonly index: string
      readonly columns: readonly ColumnMapping[]
    }

/** The switch, or the way back, in one transaction that holds the drain lock. Whoever begins it disposes of it. */
export interface CutoverTransaction extends AsyncDisposable {
  state(): Promise<CutoverState>
  /**
   * Gives the tables the constraints that an application expects: UNIQUEs and foreign keys that hold at once, foreign keys
   * `withActions` with the source's actions. Throws SyncError lock-timeout if readers of the target hold a table.
   */
  harden(tables: readonly CutoverTable[], how: { readonly withActions: boolean }): Promise<void>
  /** Undoes `harden`; what it drops is built again by control work. */
  loosen(tables: readonly CutoverTable[]): Promise<void>
  enter(phase: CutoverPhase, how?: { readonly withActions: boolean }): Promise<void>
  commit(): Promise<void>
}

/** Following the source, replacing it, and the way back (decision 0014). */
export interface TargetCutover {
  state(): Promise<CutoverState>
  note(progress: Pick<CutoverState, 'keptDrain' | 'isCompared'>): Promise<void>
  /** Forgets a cutover that was begun, or finishes one that was taken back. */
  forget(): Promise<void>
  /**
   * Builds what the switch puts in the place of deferrable UNIQUEs. Blocks no write; returns once all of it stands. Calls `stop`
   * before each build, which throws if the work is to end.
   */
  prepare(tables: readonly CutoverTable[], stop: () => void): Promise<void>
  /** Drops what `prepare` has built. */
  discard(tables: readonly CutoverTable[]): Promise<void>
  begin(how: { readonly waitMs: number }): Promise<CutoverTransaction>
  /** Validates the foreign keys that the switch has made anew; blocks no write. */
  validate(tables: readonly CutoverTable[]): Promise<void>
  /** Of these tables, those with rows that were written since the switch; reads them in full. */
  writtenSince(tables: readonly TableMapping[]): Promise<TableMapping[]>
  statementsFor(missing: Missing): readonly string[]
}

/** What the change log shows of writes, apart from what drains do with it. */
export interface LogLook {
  /** Moves whenever a captured write was tried, also by one that was rolled back. */
  readonly mark: string
  /** Age of the newest entry by the source's clock; null: the log holds none. */
  readonly idleMs: number | null
}

/** Writes of the application to captured tables. */
export interface SourceWrites {
  look(): Promise<LogLook>
  /** What each table's AUTO_INCREMENT would give next, by table; one query. */
  counters(): Promise<ReadonlyMap<string, bigint>>
  /** Whether a transaction that has written is still open; waits up to a second for those that are ending. */
  areOpen(): Promise<boolean>
  isForbidden(): Promise<boolean>
  /** Refuses all captured writes, of every account, until `allow`. Returns once no transaction that has written is open. */
  forbid(): Promise<void>
  allow(): Promise<void>
}
