import type { TableBroken } from '../errors.js'
import type { HexDigits } from '../hex-digits.js'
import type { Finding } from '../model/finding.js'
import type { Edge, IndexPlan, SanitisingRule, TableMapping, TableObjects } from '../model/mapping.js'
import type { TableState } from '../model/life-cycle.js'
import type { DrainName, RowKey, KeyRange } from './source.js'

/** One converted row: PostgreSQL text input per mapped column. */
export interface TargetRow {
  readonly key: RowKey
  readonly values: readonly (Buffer | HexDigits | null)[]
}

export interface RefusedRow {
  readonly key: RowKey
  readonly code: string
  /** Names table, column or constraint; never a value. */
  readonly message: string
}

/** Values by which children may reference a row through other columns than its key, as tokens of `edge.parentKey`. */
export interface ReferencedValues {
  /** The edge, by its child and its name. */
  readonly child: string
  readonly edge: string
  readonly tokens: readonly string[]
}

/** A refused row as it was read: it is tried again when it has changed, or when somebody asks for it. */
export interface QuarantinedRow extends RefusedRow {
  readonly operation: 'INSERT' | 'UPDATE'
  readonly digest: string
  readonly references: readonly ReferencedValues[]
}

export interface QuarantinedKey {
  readonly table: string
  readonly key: RowKey
  /** null: to be tried again whatever it holds. */
  readonly digest: string | null
  /** The audit entry that stays unsynced for it, if it has one. */
  readonly entry: bigint | null
  readonly message: string
  readonly references: readonly ReferencedValues[]
}

/** One line of show-errors. */
export interface RowError {
  readonly table: string
  readonly key: RowKey
  readonly operation: string
  readonly attempts: number
  readonly code: string
  readonly message: string
  /** ISO 8601 in UTC. */
  readonly at: string
}

/** A reference to a row of an open parent that may have changed rows of a child table that is not open. */
export interface ParkedParent extends ReferencedValues {
  readonly drain: number
}

export interface SanitisedCount {
  readonly table: string
  readonly column: string
  readonly rule: SanitisingRule
  readonly rows: number
  readonly sampleKeys: readonly RowKey[]
}

/** One row a table. */
export interface TableProgress {
  readonly table: string
  readonly state: TableState
  readonly rowsCopied: number
  readonly rowsFailed: number
  readonly estimatedRows: number
  /** Identity of the definition and storage that the target's rows are of; null: not read yet. */
  readonly generation: string | null
  /** Of a table without triggers: moves with its content. */
  readonly contentSign: string | null
  /** Somebody has asked for a copy that has not begun. */
  readonly asked: boolean
  /** Rows may be there already: chunks are merged into them, and what the source lacks is looked for at the end. */
  readonly inPlace: boolean
  /** Upper bound of the last planned chunk; `planned` says that no chunk is left to plan. */
  readonly planBound: RowKey | null
  readonly planned: boolean
  /** Most rows in a chunk, as its copy was asked for; null: as many as bytes allow. */
  readonly chunkRows: number | null
  /** False: its copy began without triggers, as it was asked for; what has changed since is unknown. */
  readonly captured: boolean
  /** Of the triggers that have kept its changes since its copy began; null: not read yet. */
  readonly captureSign: string | null
  /** Counts the copies of the table: one that is begun anew is another one. */
  readonly copyNumber: number
  readonly problem: string | null
  /** Number of the drain that opened it last; 0: none has. */
  readonly openedDrain: number
  readonly verifiedAt: string | null
}

export interface Chunk extends KeyRange {
  readonly table: string
  readonly number: number
  readonly inPlace: boolean
  /** The table's, as its chunks were planned; null: not read yet. */
  readonly generation: string | null
}

export interface ParkedKey {
  readonly table: string
  readonly key: RowKey
  readonly drain: number
  readonly start: boolean
}

export interface ConstraintState {
  readonly table: string
  readonly name: string
  readonly kind: 'foreign-key' | 'unique' | 'check' | 'index'
  readonly state: 'validated' | 'not-valid' | 'suspended'
  readonly detail: string | null
}

/** An object that we have made, by the name of its table in the target. */
export interface OutdatedObject {
  readonly table: string
  readonly kind: string
  readonly name: string
}

export type UpsertOutcome =
  | { readonly kind: 'done'; readonly refused: readonly RefusedRow[] }
  /** UNIQUEs that cannot wait are held by these rows of the target; nothing of the batch was written. */
  | { readonly kind: 'held'; readonly holders: readonly UniqueHolder[] }

/** A row of the target, and the UNIQUE in which it holds a wanted value. */
export interface UniqueHolder {
  readonly key: RowKey
  readonly unique: string
}

/** Reads and writes inside one target transaction; every method runs in it. Ended by exactly one of commit and rollback. */
export interface TargetTransaction {
  commit(): Promise<void>
  /** Safe to call after a failure or a lost connection. */
  rollback(): Promise<void>

  // state
  progress(): Promise<Map<string, TableProgress>>
  setProgress(table: string, change: Partial<Omit<TableProgress, 'table'>>): Promise<void>
  /** Only where none is noted. */
  adoptCaptureSign(table: string, sign: string): Promise<void>
  /** Row locks of these tables' progress rows, held to the end; false when another holds one. */
  lockProgress(tables: readonly string[]): Promise<boolean>
  /** Of these tables, at most so many that have chunks left to plan. */
  unplanned(tables: readonly string[], limit: number): Promise<TableProgress[]>
  /** Appends open chunks after those of the table: the first from `lower` on, each up to its bound, null being the end. */
  addChunks(table: string, lower: RowKey | null, bounds: readonly (RowKey | null)[]): Promise<void>
  /** Takes one open chunk, `only` this number if it is given, by its row lock (FOR UPDATE SKIP LOCKED), or null. */
  takeChunk(tables: readonly string[], only?: number): Promise<Chunk | null>
  chunkDone(chunk: Chunk, rows: number, failed: number): Promise<void>
  openChunks(table: string): Promise<number>
  /** Of these tables, whose chunks are all planned, those whose chunks leave out a range of keys: somebody has deleted rows of the state. */
  gappedChunks(tables: readonly string[]): Promise<string[]>
  /** The first open chunks of each table, at most `perTable`: all first ones in the order of `tables`, then all second ones. */
  openChunkNumbers(
    tables: readonly string[],
    perTable: number,
  ): Promise<{ readonly table: string; readonly chunk: number }[]>
  /** Forgets chunks, parked and quarantined keys of a table that is about to be read as a whole. */
  forgetCopy(table: string): Promise<void>
  park(keys: readonly ParkedKey[]): Promise<void>
  /** Parked (not quarantined) keys of these tables, at most `limit`. */
  parked(tables: readonly string[], limit: number): Promise<ParkedKey[]>
  countParked(tables: readonly string[]): Promise<number>
  /** The same by table; a table without any is absent. */
  parkedCounts(): Promise<ReadonlyMap<string, number>>
  /** Deletes exactly these rows (table, key, drain). */
  unpark(keys: readonly ParkedKey[]): Promise<void>
  /** Keeps these start keys for the day when their child table opens. */
  parkParents(parents: readonly ParkedParent[]): Promise<void>
  parkedParents(children: readonly string[]): Promise<ParkedParent[]>
  unparkParents(children: readonly string[]): Promise<void>
  /** Quarantines these rows, or counts one more attempt. */
  quarantine(table: string, rows: readonly QuarantinedRow[], drain: number): Promise<void>
  quarantined(): Promise<QuarantinedKey[]>
  countQuarantined(): Promise<ReadonlyMap<string, number>>
  /** Notes which audit entries stay unsynced for quarantined keys. */
  holdEntries(held: readonly { readonly table: string; readonly key: RowKey; readonly entry: bigint }[]): Promise<void>
  releaseQuarantined(table: string, keys: readonly RowKey[]): Promise<void>
  /** The next drain tries all quarantined keys of these tables again. Returns how many. */
  retryQuarantined(tables: readonly string[]): Promise<number>
  /** What is quarantined now (`history`: all that ever was), newest first. */
  errors(of: {
    readonly tables: readonly string[]
    readonly limit: number
    readonly history: boolean
  }): Promise<RowError[]>
  addSanitised(counts: readonly SanitisedCount[]): Promise<void>
  lastDrain(): Promise<{
    readonly number: number
    readonly token: string
    readonly consistentAsOf: string | null
    readonly identity: string | null
  }>
  /** Copies of these tables rest on what the source showed before this mark. */
  noteCopyMark(tables: readonly string[], token: string): Promise<void>
  /** Of these tables the marks that their copies rest on, by table; those of a copy that drains have long left behind are forgotten. A table without any is left out. */
  copyMarks(tables: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>
  /** The drains whose keys are kept, and the one before them; ascending. */
  keptDrains(): Promise<DrainName[]>
  recordDrain(drain: {
    readonly number: number
    readonly token: string
    readonly consistentAsOf: string
    readonly identity: string
  }): Promise<void>
  recordDrainKeys(
    drain: number,
    keys: readonly { readonly table: string; readonly key: RowKey; readonly start: boolean }[],
  ): Promise<void>
  /** Those of these keys that this drain has recorded. */
  recordedKeys(drain: number, table: string, keys: readonly RowKey[]): Promise<ReadonlySet<RowKey>>
  /** The keys of all drains after this one are still kept. */
  keepsDrainsAfter(drain: number): Promise<boolean>
  /** The keys of these tables that drains after this one have carried are parked again. */
  parkDrainKeysAfter(drain: number, tables: readonly string[]): Promise<void>

  // data
  /** Streams rows with COPY into a table that nobody else writes. A refused row raises the batch's error inside a savepoint, which is rolled back. */
  copyRows(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<number>
  /** As copyRows, into rows that are there: a row of the same key is overwritten. Raised too where a UNIQUE is violated. */
  mergeRows(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<number>
  /** As copyRows, row by row where needed: what is refused alone is returned, the rest is in. */
  insertRows(table: TableMapping, rows: readonly TargetRow[]): Promise<readonly RefusedRow[]>
  deleteKeys(table: TableMapping, keys: readonly RowKey[]): Promise<void>
  /** INSERT .. ON CONFLICT DO UPDATE where something differs; `uniques` are those that cannot be deferred. */
  upsertRows(table: TableMapping, rows: readonly TargetRow[], uniques: readonly IndexPlan[]): Promise<UpsertOutcome>
  /** Makes a table without a key equal to these rows as a multiset, writing only the difference; what is refused alone is returned. */
  replaceTable(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<readonly RefusedRow[]>
  /** Texts of the referenced columns of the parent's rows that the target holds now. */
  referencedValues(parent: TableMapping, edge: Edge, keys: readonly RowKey[]): Promise<(readonly string[])[]>
  /** Keys of the children that reference one of these value lists (texts of `edge.parentKey`) in the target, page by page. */
  childKeys(child: TableMapping, edge: Edge, values: readonly (readonly string[])[]): AsyncIterable<RowKey[]>
  /** The first and the last key of a table in the target's order, and a few from anywhere. */
  sampleKeys(table: TableMapping): Promise<RowKey[]>
  /** Keys of the children, without NULL in the edge's columns, that match no parent byte for byte. */
  orphanKeys(child: TableMapping, parent: TableMapping, edge: Edge): AsyncIterable<RowKey[]>
  /** Names of the foreign keys of ours that are validated now. */
  validatedForeignKeys(): Promise<ReadonlySet<string>>
  /** Checks all deferred constraints now, inside a savepoint. Throws ConstraintViolated, or TableBroken for a trigger of the user's. */
  checkConstraints(): Promise<void>
  countRows(table: TableMapping): Promise<number>
  /** Keys of the target's rows in the target's own order, after the given texts of the key columns; for tables with a key. */
  keysAfter(table: TableMapping, after: readonly string[] | null, limit: number): Promise<KeyPage>
  /** Deletes these rows, which no key of the source names. */
  deleteStrays(table: TableMapping, strays: KeyPage['strays']): Promise<void>
}

export interface KeyPage {
  readonly keys: readonly RowKey[]
  /** Texts of rows whose key is none that the source's type can give: left over from another type, or not of the source. */
  readonly strays: readonly (readonly string[])[]
  /** Where the next page begins; null: this was the last. */
  readonly next: readonly string[] | null
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

export interface Target {
  /** All tables that are carried: a trigger that writes into one of them breaks its own table. */
  carries(tables: readonly TableMapping[]): void
  /** Looks at all of these tables at once; one without any hindrance is absent. */
  hindrances(tables: readonly TableMapping[]): Promise<TableHindrance[]>
  migrate(): Promise<void>
  migrated(): Promise<boolean>
  begin(options?: { readonly asynchronousCommit?: boolean }): Promise<TargetTransaction>
  /** BEGIN and the lock that drains take, of a table that only we may lock; null, at once, when another drain runs. */
  beginDrain(): Promise<TargetTransaction | null>
  /** As beginDrain, but waits for the lock up to `deadlineMs`; throws SyncError lock-timeout. */
  beginDrainWaiting(deadlineMs: number): Promise<TargetTransaction>
  /** Who holds the lock of a drain; null: nobody does. */
  drainHolder(): Promise<LockHolder | null>
  /**
   * BEGIN and a lock of this name, for what two processes must not do at once; null when another one does.
   * Work that is named by a table shares its lock with a part of the others. The transaction may stand idle for as long as the work takes.
   */
  beginExclusive(work: string): Promise<TargetTransaction | null>

  // definitions; each its own short transactions with a lock_timeout
  tableExists(table: TableMapping): Promise<boolean>
  hasRows(table: TableMapping): Promise<boolean>
  /** What an existing table lacks to hold this mapping, as sentences; empty when it fits. */
  differences(table: TableMapping): Promise<string[]>
  /** Columns, defaults, comments and CHECKs; no index. */
  createTable(table: TableMapping, objects: TableObjects): Promise<void>
  /**
   * Makes the columns of a table that is about to be copied again what the mapping says, and drops what of ours stands in
   * the way. Returns the statements that are left to a human, in their order: where an object of the user's depends on a
   * column, where `wait` keeps changes of type for a human, and where PostgreSQL refuses one.
   */
  adaptTable(table: TableMapping, objects: TableObjects, how: { readonly wait: boolean }): Promise<string[]>
  /** Drops our UNIQUEs and foreign keys on and to a table whose rows are about to be merged; they are built again when it is open. */
  loosenTable(table: TableMapping, objects: TableObjects, edges: readonly Edge[]): Promise<void>
  /**
   * The sync key's index. Rows of an older key that do not hold it go, before a copy that brings the source's; with `wait`,
   * and where they hold values of the user's own columns, the statement that a human has to run first is returned.
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
      readonly table: string
      readonly constraint: string
      readonly kind: ConstraintState['kind']
      /** Of the table; undefined: among ours. */
      readonly schema?: string | undefined
    },
    planned: boolean,
  ): Promise<void>
  /** Forgets what of ours was suspended on this table and is not planned any more. */
  forgetConstraints(table: TableMapping, planned: readonly string[]): Promise<void>
  constraints(): Promise<ConstraintState[]>
  /** Indexes of ours that values of their tables do not fit into. */
  leftOutIndexes(): Promise<readonly Pick<OutdatedObject, 'table' | 'name'>[]>
  /** What of our own making the source defines otherwise or not at all any more, and tables with work left for when they are open. */
  objectsDue(definitions: readonly TargetDefinition[]): Promise<{
    readonly outdated: readonly OutdatedObject[]
    /** Names in the target. */
    readonly unfinished: ReadonlySet<string>
    readonly unknown: ReadonlySet<string>
  }>
  dropObjects(outdated: readonly OutdatedObject[]): Promise<void>
  /** Takes what stands under a planned name for made as it is planned; of a table that nothing is known of. */
  adoptObjects(definition: TargetDefinition): Promise<void>
  /** Sets NOT NULL and adds the counter where a changed column had to wait for its rows. */
  finishTable(table: TableMapping, objects: TableObjects): Promise<void>
  /** What takes our state off the target: our own tables by name, and its schema where nothing of others is left in it. */
  uninstallStatements(): Promise<string[]>
  /** What others have in the state schema, for which it stays; at most twenty. */
  leftInState(): Promise<string[]>
  /** Throws SyncError missing-right where the role may not run them. */
  mayUninstall(): Promise<void>
  run(statements: readonly string[]): Promise<void>
  /** The statements that make these tables in an empty schema: what a first copy would build, tables first, foreign keys last. */
  statements(definitions: readonly TargetDefinition[]): string[]
  /** What of the server, its settings and our rights stands in the way of carrying these tables. Changes nothing. */
  preflight(tables: readonly TableMapping[]): Promise<Finding[]>
  /** How far the server's clock is ahead of this host's. */
  clockAheadMs(): Promise<number>
  close(): Promise<void>
}
