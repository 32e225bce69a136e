import type { HexDigits } from '../hex-digits.js'
import type { Edge, IndexPlan, SanitisingRule, TableMapping } from '../model/mapping.js'
import type { TableEvent, TableState } from '../model/life-cycle.js'
import type { RowKey, SourceTableName } from '../names.js'
import type { DrainName, KeyRange } from './source.js'
import type { VerificationStore } from './verification-store.js'

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

/** A refused row as it was read. It is retried when it changes, or on request. */
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
  readonly contentFingerprint: string | null
  /** A copy was requested and has not started. */
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
  readonly captureFingerprint: string | null
  /** Counts the copies of the table: one that is begun anew is another one. */
  readonly copyNumber: number
  readonly problem: string | null
  /** The table continues only after a person has run the statements in `problem`. */
  readonly waits: boolean
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

export type UpsertOutcome =
  | { readonly kind: 'done'; readonly refused: readonly RefusedRow[] }
  /** UNIQUEs that cannot wait are held by these rows of the target; nothing of the batch was written. */
  | { readonly kind: 'held'; readonly holders: readonly UniqueHolder[] }

/** A row of the target, and the UNIQUE in which it holds a wanted value. */
export interface UniqueHolder {
  readonly key: RowKey
  readonly unique: string
}

export type ProgressChange = Partial<Omit<TableProgress, 'table' | 'state'>>

/** What is known of each table of the installation. */
export interface TableStore {
  all(): Promise<Map<string, TableProgress>>
  /**
   * The only way to another state: the one that the event leads to from the table's present state, together with `change`.
   * Returns it, or null with nothing written where the event is not allowed. A table without a row is `discovered`.
   */
  step(table: SourceTableName, event: TableEvent, change?: ProgressChange): Promise<TableState | null>
  /** Writes only what differs. A new `problem` resets `waits` unless the change sets it. */
  patch(table: SourceTableName, change: ProgressChange): Promise<void>
  /** Sets the fingerprint only if none is recorded. */
  adoptCaptureFingerprint(table: string, sign: string): Promise<void>
  /** Row locks of these tables, held to the end; false when another transaction holds one. */
  lock(tables: readonly string[]): Promise<boolean>
  /** Of these tables, at most so many that have chunks left to plan. */
  unplanned(tables: readonly string[], limit: number): Promise<TableProgress[]>
}

/** Key ranges of the tables that are being copied. */
export interface ChunkStore {
  /** Appends pending chunks after those of the table: the first from `lower` on, each up to its bound, null being the end. */
  add(table: string, lower: RowKey | null, bounds: readonly (RowKey | null)[]): Promise<void>
  /** Takes one pending chunk, `only` this number if it is given, by its row lock (FOR UPDATE SKIP LOCKED), or null. */
  take(tables: readonly string[], only?: number): Promise<Chunk | null>
  done(chunk: Chunk, rows: number, failed: number): Promise<void>
  countPending(table: string): Promise<number>
  /** The first pending chunks of each table, at most `perTable`: all first ones in the order of `tables`, then all second ones. */
  pending(tables: readonly string[], perTable: number): Promise<{ readonly table: string; readonly chunk: number }[]>
  /** Of these tables, whose chunks are all planned, those whose chunks leave out a range of keys: rows of the state were deleted. */
  gapped(tables: readonly string[]): Promise<string[]>
  /** Forgets chunks, parked and quarantined keys of a table that is about to be read as a whole. */
  forgetCopy(table: SourceTableName): Promise<void>
}

/** Keys to be read again: those that no slice could close over, and references that wait for a child table to open. */
export interface ParkedKeys {
  park(keys: readonly ParkedKey[]): Promise<void>
  /** Of these tables, at most `limit`; quarantined keys are not among them. */
  read(tables: readonly string[], limit: number): Promise<ParkedKey[]>
  /** By table, of these or of all; a table without any is absent. */
  counts(tables?: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** Of these keys, those that are parked. */
  among(table: string, keys: readonly RowKey[]): Promise<ReadonlySet<RowKey>>
  /** Deletes exactly these rows (table, key, drain). */
  remove(keys: readonly ParkedKey[]): Promise<void>
  /** Keeps these start keys until their child table opens. */
  parkParents(parents: readonly ParkedParent[]): Promise<void>
  readParents(children: readonly string[]): Promise<ParkedParent[]>
  removeParents(children: readonly string[]): Promise<void>
}

/** Rows that the target refused: the dead letters of this installation. */
export interface QuarantineStore {
  /** Quarantines these rows, or counts one more attempt. */
  add(table: string, rows: readonly QuarantinedRow[], drain: number): Promise<void>
  all(): Promise<QuarantinedKey[]>
  counts(): Promise<ReadonlyMap<string, number>>
  /** Records which audit entries stay unsynced for quarantined keys. */
  holdEntries(held: readonly { readonly table: string; readonly key: RowKey; readonly entry: bigint }[]): Promise<void>
  release(table: string, keys: readonly RowKey[]): Promise<void>
  /** Makes the next drain try all quarantined keys of these tables again. Returns how many. */
  retry(tables: readonly string[]): Promise<number>
  /** What is quarantined now (`history`: all that ever was), newest first. */
  errors(of: {
    readonly tables: readonly string[]
    readonly limit: number
    readonly history: boolean
  }): Promise<RowError[]>
  addSanitised(counts: readonly SanitisedCount[]): Promise<void>
}

export interface LastDrain {
  readonly number: number
  readonly token: string
  /** ISO 8601 in UTC. */
  readonly consistentAsOf: string | null
  readonly identity: string | null
}

/** Numbers of drains, both included. */
export interface DrainRange {
  readonly first: number
  readonly last: number
}

/** Which drains have committed, with the keys of the latest, and which watermarks copies depend on. */
export interface DrainHistory {
  last(): Promise<LastDrain>
  /** The drains whose keys are kept, and the one before them; ascending. */
  kept(): Promise<DrainName[]>
  record(drain: LastDrain & { readonly consistentAsOf: string; readonly identity: string }): Promise<void>
  recordKeys(
    drain: number,
    keys: readonly { readonly table: string; readonly key: RowKey; readonly start: boolean }[],
  ): Promise<void>
  /** Those of these keys that one of these drains has recorded. */
  recordedKeys(drains: DrainRange, table: string, keys: readonly RowKey[]): Promise<ReadonlySet<RowKey>>
  /** The keys of all drains after this one are still kept. */
  keepsAfter(drain: number): Promise<boolean>
  /** Parks again the keys of these tables that drains after this one have carried. */
  parkAfter(drain: number, tables: readonly string[]): Promise<void>
  /** Copies of these tables depend on what the source showed before this watermark. */
  addWatermark(tables: readonly string[], token: string): Promise<void>
  /** Watermarks that each table's copy depends on. Pruned with the drain history; tables without any are omitted. */
  watermarks(tables: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>
}

/** How the target's row of a key differs from a given row. */
export interface RowDifference {
  readonly key: RowKey
  readonly kind: 'missing' | 'different'
  /** Names of the columns in the source that differ; empty if the row is missing. */
  readonly columns: readonly string[]
}

/** Rows that only one of two multisets holds. */
export interface MultisetDifference {
  readonly rows: number
  readonly missing: number
  readonly surplus: number
}

/** Writes rows into the target's tables. */
export interface RowWriter {
  /**
   * Streams rows with COPY into a table that has no other writer; with `overwrite` into one that holds rows, replacing those
   * of the same keys. Returns how many. A refused row, and with `overwrite` a violated UNIQUE, raises BatchRefused with
   * nothing written: the batch runs inside a savepoint.
   */
  copy(
    table: TableMapping,
    batches: AsyncIterable<readonly TargetRow[]>,
    how: { readonly overwrite: boolean },
  ): Promise<number>
  /** As `copy`, row by row where needed: returns what is refused alone, and writes the rest. */
  insert(table: TableMapping, rows: readonly TargetRow[]): Promise<readonly RefusedRow[]>
  /** INSERT .. ON CONFLICT DO UPDATE where something differs; `uniques` are those that cannot be deferred. */
  upsert(table: TableMapping, rows: readonly TargetRow[], uniques: readonly IndexPlan[]): Promise<UpsertOutcome>
  delete(table: TableMapping, keys: readonly RowKey[]): Promise<void>
  /** Deletes these rows, which no key of the source names. */
  deleteStrays(table: TableMapping, strays: KeyPage['strays']): Promise<void>
  /** Makes a table without a key equal to these rows as a multiset, writing only the difference; returns what is refused alone. */
  replace(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<readonly RefusedRow[]>
}

/** Reads keys and references of the target's tables. */
export interface RowLookup {
  /** Texts of the referenced columns of the parent's rows that the target holds now. */
  referenced(parent: TableMapping, edge: Edge, keys: readonly RowKey[]): Promise<(readonly string[])[]>
  /** Keys of the children that reference one of these value lists (texts of `edge.parentKey`), page by page. */
  children(child: TableMapping, edge: Edge, values: readonly (readonly string[])[]): AsyncIterable<RowKey[]>
  /** Keys of the children, without NULL in the edge's columns, that match no parent byte for byte. */
  orphans(child: TableMapping, parent: TableMapping, edge: Edge): AsyncIterable<RowKey[]>
  /** The first and the last key of a table in the target's order, and a few from anywhere. */
  sample(table: TableMapping): Promise<RowKey[]>
  /** Keys in the target's own order, after the given texts of the key columns; for tables with a key. */
  keysAfter(table: TableMapping, after: readonly string[] | null, limit: number): Promise<KeyPage>
  count(table: TableMapping): Promise<number>
  /** Compares these rows, each with the target's row of its key, value by value in the target's own types. Equal rows are omitted. */
  compare(table: TableMapping, rows: readonly TargetRow[]): Promise<RowDifference[]>
  /** Of these keys, those that the target holds. */
  present(table: TableMapping, keys: readonly RowKey[]): Promise<RowKey[]>
  /** Compares a table without a key, as a multiset, with these rows. */
  compareWhole(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<MultisetDifference>
  /** Names of our foreign keys that are validated now. */
  validatedKeys(): Promise<ReadonlySet<string>>
}

/**
 * One transaction of the target, of parts by what they touch. Whoever begins it disposes of it, which rolls back what is
 * not committed: safe after a failure or a lost connection, and it never throws.
 */
export interface TargetTransaction extends AsyncDisposable {
  readonly tables: TableStore
  readonly chunks: ChunkStore
  readonly parked: ParkedKeys
  readonly quarantine: QuarantineStore
  readonly history: DrainHistory
  readonly rows: RowWriter
  readonly lookup: RowLookup
  readonly verification: VerificationStore
  /** Checks all deferred constraints now, inside a savepoint. Throws ConstraintViolated, or TableBroken for a trigger of the user's. */
  checkConstraints(): Promise<void>
  commit(): Promise<void>
}

export interface KeyPage {
  readonly keys: readonly RowKey[]
  /** Texts of rows whose key is none that the source's type can give: left over from another type, or not of the source. */
  readonly strays: readonly (readonly string[])[]
  /** Where the next page begins; null: this was the last. */
  readonly next: readonly string[] | null
}
