import type { HexDigits } from '../hex-digits.js'
import type { Edge, IndexPlan, SanitisingRule, TableMapping } from '../model/mapping.js'
import type { TableEvent, TableState } from '../model/life-cycle.js'
import type { RowKey, SourceTableName } from '../names.js'
import type { ReportStore } from './report-store.js'
import type { DigestScope, KeptDrain, KeyRange, KeysOf, RawRow, RowBlock, RowDigest } from './source.js'
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

/** Values by which children may reference a row through columns other than its key, as tokens of `edge.parentKey`. */
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
  /** null: to be retried even if the row is unchanged. */
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

/** The progress of one table. */
export interface TableProgress {
  readonly table: string
  readonly state: TableState
  readonly rowsCopied: number
  readonly rowsFailed: number
  readonly estimatedRows: number
  /** Fingerprint of the definition and storage that the target's rows come from; null: not read yet. */
  readonly generation: string | null
  /** For a table without triggers: changes with its content. */
  readonly contentFingerprint: string | null
  /** A copy was requested and has not started. */
  readonly asked: boolean
  /** The target may already hold rows: chunks are merged into them, and surplus rows are searched for at the end. */
  readonly inPlace: boolean
  /** Upper bound of the last planned chunk; `planned` says that no chunk is left to plan. */
  readonly planBound: RowKey | null
  readonly planned: boolean
  /** Maximum rows per chunk, as its copy was requested; null: bounded by bytes alone. */
  readonly chunkRows: number | null
  /** False: its copy was requested without triggers, so changes since it started are unknown. */
  readonly captured: boolean
  /** Fingerprint of the triggers that have captured its changes since its copy started; null: not read yet. */
  readonly captureFingerprint: string | null
  /** Counts the copies of the table: a restarted copy gets the next number. */
  readonly copyNumber: number
  readonly problem: string | null
  /** The table continues only after a person has run the statements in `problem`. */
  readonly waits: boolean
  /** Number of the drain that opened it last; 0: none. */
  readonly openedDrain: number
}

export interface Chunk extends KeyRange {
  readonly table: string
  readonly number: number
  readonly inPlace: boolean
  /** The table's generation when its chunks were planned; null: not read yet. */
  readonly generation: string | null
}

/** The next chunks of one table: the first starts at `lower`, each ends at its bound; null is the end. */
export interface PlannedChunks {
  readonly table: string
  readonly lower: RowKey | null
  readonly bounds: readonly (RowKey | null)[]
}

/** How many rows of a chunk were written and refused. */
export interface CopiedRows {
  readonly chunk: Chunk
  readonly rows: number
  readonly failed: number
}

export interface ParkedKey {
  readonly table: string
  readonly key: RowKey
  readonly drain: number
  readonly start: boolean
}

/** Rows of one table to be upserted. */
export interface RowsOf {
  readonly table: TableMapping
  readonly rows: readonly TargetRow[]
  /** UNIQUEs that cannot be deferred. */
  readonly uniques: readonly IndexPlan[]
}

export type UpsertOutcome =
  | { readonly kind: 'done'; readonly refused: readonly RefusedRow[] }
  /** These rows of the target hold values of UNIQUEs that cannot be deferred; nothing of the batch was written. */
  | { readonly kind: 'held'; readonly holders: readonly UniqueHolder[] }

/** A row of the target, and the UNIQUE in which it holds a value to be written. */
export interface UniqueHolder {
  readonly key: RowKey
  readonly unique: string
}

export type ProgressChange = Partial<Omit<TableProgress, 'table' | 'state'>>

/** The progress of each table of the installation. */
export interface TableStore {
  all(): Promise<Map<string, TableProgress>>
  /**
   * The only way to change a state: steps to the state that the event leads to from the current one, together with `change`.
   * Returns the new state, or null with nothing written if the event is not allowed. A table without a row is `discovered`.
   */
  step(table: SourceTableName, event: TableEvent, change?: ProgressChange): Promise<TableState | null>
  /** As `step` for each of these tables, whose changes set the same fields, in one statement. Returns the tables that stepped. */
  stepAll(event: TableEvent, changes: ReadonlyMap<SourceTableName, ProgressChange>): Promise<string[]>
  /** Writes only what differs. A new `problem` resets `waits` unless the change sets it. */
  patch(table: SourceTableName, change: ProgressChange): Promise<void>
  /** As `patch` for each of these tables, whose changes set the same fields, in one statement. */
  patchAll(changes: ReadonlyMap<SourceTableName, ProgressChange>): Promise<void>
  /** Sets the fingerprint only if none is recorded. */
  adoptCaptureFingerprint(table: string, sign: string): Promise<void>
  /** Locks the rows of these tables until the end; returns false if another transaction holds one. */
  lock(tables: readonly string[]): Promise<boolean>
  /** Returns at most `limit` of these tables that have chunks left to plan. */
  unplanned(tables: readonly string[], limit: number): Promise<TableProgress[]>
}

/** Key ranges of the tables that are being copied. */
export interface ChunkStore {
  /** Appends pending chunks to those of each table. */
  add(planned: readonly PlannedChunks[]): Promise<void>
  /** Takes one pending chunk, or the one numbered `only`, by its row lock (FOR UPDATE SKIP LOCKED); null if none is free. */
  take(tables: readonly string[], only?: number): Promise<Chunk | null>
  /** Takes pending chunks, each of which is a whole table that was empty before; null if fewer than `least` are free. */
  takeWhole(
    tables: readonly string[],
    bounds: { readonly least: number; readonly most: number },
  ): Promise<Chunk[] | null>
  done(copied: readonly CopiedRows[]): Promise<void>
  countPending(tables: readonly string[]): Promise<number>
  /** The first pending chunks of each table, at most `perTable`: all first ones in the order of `tables`, then all second ones. */
  pending(tables: readonly string[], perTable: number): Promise<{ readonly table: string; readonly chunk: number }[]>
  /** Returns those of these fully planned tables whose chunks leave out a key range: rows of the state were deleted. */
  gapped(tables: readonly string[]): Promise<string[]>
  /** Deletes the chunks, parked and quarantined keys of tables that are about to be read as a whole. */
  forgetCopy(tables: readonly SourceTableName[]): Promise<void>
}

/** Keys to be read again: those that no slice has applied yet, and references that wait for a child table to open. */
export interface ParkedKeys {
  park(keys: readonly ParkedKey[]): Promise<void>
  /** Returns at most `limit` keys of these tables, without quarantined ones. */
  read(tables: readonly string[], limit: number): Promise<ParkedKey[]>
  /** Counts by table, for these or for all; tables without any are omitted. */
  counts(tables?: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** Whether a key of any table in one of these states is parked. */
  isAnyOf(states: readonly TableState[]): Promise<boolean>
  /** Returns those of these keys that are parked. */
  among(table: string, keys: readonly RowKey[]): Promise<ReadonlySet<RowKey>>
  /** Deletes exactly these rows (table, key, drain). */
  remove(keys: readonly ParkedKey[]): Promise<void>
  /** Keeps these start keys until their child table opens. */
  parkParents(parents: readonly ParkedParent[]): Promise<void>
  readParents(children: readonly string[]): Promise<ParkedParent[]>
  removeParents(children: readonly string[]): Promise<void>
}

/** Rows that the target refused: this installation's dead letters. */
export interface QuarantineStore {
  /** Quarantines these rows, or counts one more attempt. */
  add(table: string, rows: readonly QuarantinedRow[], drain: number): Promise<void>
  all(): Promise<QuarantinedKey[]>
  counts(): Promise<ReadonlyMap<string, number>>
  /** Records which audit entries stay unsynced for quarantined keys. */
  holdEntries(held: readonly { readonly table: string; readonly key: RowKey; readonly entry: bigint }[]): Promise<void>
  release(table: string, keys: readonly RowKey[]): Promise<void>
  /** Makes the next drain retry all quarantined keys of these tables. Returns their number. */
  retry(tables: readonly string[]): Promise<number>
  /** Lists errors of rows quarantined now (with `history`, of all that ever were), newest first. */
  errors(of: {
    readonly tables: readonly string[]
    readonly limit: number
    readonly history: boolean
  }): Promise<RowError[]>
  addSanitised(counts: readonly SanitisedCount[]): Promise<void>
  /** Counts by table, column and rule since the installation; without any key. */
  sanitised(): Promise<Omit<SanitisedCount, 'sampleKeys'>[]>
}

export interface LastDrain {
  readonly number: number
  readonly token: string
  /** ISO 8601 in UTC. */
  readonly consistentAsOf: string | null
  readonly identity: string | null
}

/** Drain numbers, both inclusive. */
export interface DrainRange {
  readonly first: number
  readonly last: number
}

/** A place among the keys that are kept of drains: after a drain as a whole, or where a page ended. */
export interface KeptPlace {
  readonly drain: number
  readonly table: string
  readonly indexed: string
}

export interface KeptPage {
  readonly keys: readonly { readonly drain: number; readonly table: string; readonly key: RowKey }[]
  /** null: this was the last. */
  readonly next: KeptPlace | null
}

/** Keys that the latest drains have recorded. */
export interface DrainKeys {
  /** Returns those of these keys that one of these drains recorded. */
  recordedKeys(drains: DrainRange, table: string, keys: readonly RowKey[]): Promise<ReadonlySet<RowKey>>
  /** All keys of this table that these drains have recorded; null if they are more than `limit`. */
  allKeys(drains: DrainRange, table: string, limit: number): Promise<readonly RowKey[] | null>
  /** A page of the keys that drains have recorded, in the order of their drains; a key comes once for each drain. */
  keysAfter(place: KeptPlace, limit: number): Promise<KeptPage>
  /** Whether the keys of all drains after this one are still kept. */
  keepsAfter(drain: number): Promise<boolean>
}

/** Which drains have committed, with the keys of the latest, and which watermarks copies depend on. */
export interface DrainHistory extends DrainKeys {
  last(): Promise<LastDrain>
  /** The drains whose keys are kept, and the one before them; ascending. */
  kept(): Promise<KeptDrain[]>
  record(drain: LastDrain & { readonly consistentAsOf: string; readonly identity: string }): Promise<void>
  recordKeys(
    drain: number,
    keys: readonly { readonly table: string; readonly key: RowKey; readonly start: boolean }[],
  ): Promise<void>
  /** Parks again the keys of these tables that drains after this one applied. */
  parkAfter(drain: number, tables: readonly string[]): Promise<void>
  /** Records that copies of these tables depend on what the source showed before this watermark. */
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

/** Undecoded rows, and the conversion of those that do not pass as their columns' passages say. */
export interface BlockStream {
  /** Whether the blocks hold the rows' keys. */
  readonly keyed: boolean
  readonly blocks: AsyncIterable<RowBlock>
  /** Returns null for a row that is refused, once it has recorded it. Called for rows of keyed blocks only. */
  convert(row: RawRow): TargetRow | null
}

/** Writes rows into the target's tables. */
export interface RowWriter {
  /**
   * Streams rows with COPY into a table that has no other writer; with `overwrite` into one that holds rows, replacing rows
   * with the same keys. Returns their number. A refused row, and with `overwrite` a violated UNIQUE, throws BatchRefused with
   * nothing written: the batch runs inside a savepoint. So does KeysNeeded. `unsaved`: without a savepoint, so that after an
   * error nothing of the transaction can be kept.
   */
  copy(
    table: TableMapping,
    rows: BlockStream,
    how: { readonly overwrite: boolean; readonly unsaved?: boolean },
  ): Promise<number>
  /** As `copy`, but row by row where needed: writes all acceptable rows and returns the refused ones. */
  insert(table: TableMapping, rows: readonly TargetRow[]): Promise<readonly RefusedRow[]>
  /** INSERT .. ON CONFLICT DO UPDATE of rows that differ; `uniques` are those that cannot be deferred. */
  upsert(table: TableMapping, rows: readonly TargetRow[], uniques: readonly IndexPlan[]): Promise<UpsertOutcome>
  /** As `upsert` for each of these, in one round trip where none is refused and none is large. */
  upsertAll(batches: readonly RowsOf[]): Promise<UpsertOutcome[]>
  delete(table: TableMapping, keys: readonly RowKey[]): Promise<void>
  /** As `delete` for each of these, in one round trip. */
  deleteAll(wanted: readonly KeysOf[]): Promise<void>
  /** Deletes these rows, which no key of the source can address. */
  deleteStrays(table: TableMapping, strays: KeyPage['strays']): Promise<void>
  /** Makes a table without a key equal to these rows as a multiset, writing only the difference; returns the refused rows. */
  replace(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<readonly RefusedRow[]>
}

/** Reads keys and references of the target's tables. */
/** Value lists (texts of `edge.parentKey`) by which rows of `child` may reference parents. */
export interface ChildrenOf {
  readonly child: TableMapping
  readonly edge: Edge
  readonly values: readonly (readonly string[])[]
}

export interface RowLookup {
  /** Texts of the referenced columns of the parent's rows that the target holds now. */
  referenced(parent: TableMapping, edge: Edge, keys: readonly RowKey[]): Promise<(readonly string[])[]>
  /** Keys of the children that reference one of these value lists, page by page, in few round trips. */
  children<Of extends ChildrenOf>(wanted: readonly Of[]): AsyncIterable<{ readonly of: Of; readonly keys: RowKey[] }>
  /** Keys of the children, without NULL in the edge's columns, that match no parent byte for byte. */
  orphans(child: TableMapping, parent: TableMapping, edge: Edge): AsyncIterable<RowKey[]>
  /** The first and the last key of a table in the target's order, and a few from anywhere. */
  sample(table: TableMapping): Promise<RowKey[]>
  /** Returns keys in the target's own order, after the given texts of the key columns; only for tables with a key. */
  keysAfter(table: TableMapping, after: readonly string[] | null, limit: number): Promise<KeyPage>
  count(table: TableMapping): Promise<number>
  /** Counts the rows of each of these tables, in a few statements. */
  counts(tables: readonly TableMapping[]): Promise<number[]>
  /** Returns those of these keys that the target holds. */
  present(table: TableMapping, keys: readonly RowKey[]): Promise<RowKey[]>
  /** Names of our foreign keys that are validated now. */
  validatedKeys(): Promise<ReadonlySet<string>>
}

/** Compares the target's rows with given ones. */
export interface RowComparison {
  /** Compares these rows, each with the target's row of its key, value by value in the target's own types. Equal rows are omitted. */
  compare(table: TableMapping, rows: readonly TargetRow[]): Promise<RowDifference[]>
  /** Compares a table without a key, as a multiset, with these rows. */
  compareWhole(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<MultisetDifference>
  /** The digest of the table's columns, as the source's; a bounded range only of a key that both sides order alike. */
  digest(table: TableMapping, scope: DigestScope): Promise<RowDigest>
  /** Texts of the target's rows of these keys, in the order of the mapping's columns; a key without a row is absent. */
  texts(table: TableMapping, keys: readonly RowKey[]): Promise<ReadonlyMap<RowKey, readonly (string | null)[]>>
  /** Keys of a range, in the target's own order, after the given texts; the key is one that both sides order alike. */
  keysWithin(
    table: TableMapping,
    range: KeyRange,
    page: { readonly after: readonly string[] | null; readonly limit: number },
  ): Promise<KeyPage>
}

/**
 * One transaction of the target, divided by what its parts touch. The caller that begins it disposes of it, which rolls back what is
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
  readonly comparison: RowComparison
  readonly verification: VerificationStore
  readonly reports: ReportStore
  /** Checks all deferred constraints now, inside a savepoint. Throws ConstraintViolated, or TableBroken if a user's trigger fails. */
  checkConstraints(): Promise<void>
  commit(): Promise<void>
}

export interface KeyPage {
  readonly keys: readonly RowKey[]
  /** Texts of rows with a key that the source's type cannot produce: left over from another type, or not from the source. */
  readonly strays: readonly (readonly string[])[]
  /** Where the next page starts; null: this page is the last. */
  readonly next: readonly string[] | null
}
