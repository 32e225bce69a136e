import type { Finding } from '../model/finding.js'
import type { Edge, KeyMapping, TableMapping } from '../model/mapping.js'
import type { ApplicationObject, OtherObjects, SourceCatalog } from '../model/source-table.js'
import type { RowKey } from '../names.js'
import type { SourceWrites } from './cutover.js'

export interface ChangeEntry {
  /** Up to 2^64, since any client that may write to a captured table can choose it (`SET insert_id`). */
  readonly id: bigint
  readonly table: string
  readonly operation: 'INSERT' | 'UPDATE' | 'DELETE'
  readonly rowKey: RowKey
  /** Set when an UPDATE changed the key byte for byte. */
  readonly oldKey: RowKey | null
  readonly layout: number
}

/** One row as the source returns it, in the order of the mapping's columns. */
export interface RawRow {
  readonly key: RowKey
  readonly values: readonly (Buffer | null)[]
}

/**
 * Rows as they were received, without an object for a row or a value. Value v of row r lies in `bytes` between `bounds[2i]` and
 * `bounds[2i + 1]`, where i = r * columns + v; the first of the two is -1 for NULL. Valid until the next block is asked for.
 */
export interface RowBlock {
  readonly bytes: Buffer
  readonly bounds: Int32Array
  readonly rows: number
  /** Values of a row: those of the mapping's columns, with the row's key before them if `keyed`. */
  readonly columns: number
  readonly keyed: boolean
}

/** Keys of one table in the source's own order: lower < key <= upper; null is infinity. */
export interface KeyRange {
  readonly lower: RowKey | null
  readonly upper: RowKey | null
}

/** Rows that a digest covers: those of the range, or of them only those of these keys (at most 5,000). */
export interface DigestScope {
  readonly range: KeyRange
  readonly keys: readonly RowKey[] | null
}

/**
 * Stands for the values of a set of rows: two parts of the SHA-256 of each row's text, 60 bits each, summed up. Digests of
 * disjoint sets can be added and subtracted. Equal on both sides, it proves the rows equal.
 */
export interface RowDigest {
  readonly rows: number
  readonly sums: readonly [bigint, bigint]
}

/** Replaces the source's token after a manual change of the change log: every table must be read again. */
export const DAMAGED_LOG = 'log-harmed'

/** Greater ids were chosen by a client: a log that counts a million entries a second reaches this in 285 years. */
export const MAX_OWN_ID = 2n ** 53n - 1n

/** The result of renumbering change log entries whose ids a client had chosen. */
export interface RepairedIds {
  /** Entries that were given another id. */
  readonly entries: number
  /** The id that the next entry would have had. */
  readonly found: bigint
  /** The id that it gets now; null if a long transaction kept the counter from being lowered. */
  readonly next: bigint | null
}

/** What a table's rows depend on at the source, as its server reports it: compared, never interpreted. */
export interface TableFingerprint {
  /** Changes with anything that can change a stored or a returned value without firing a trigger. */
  readonly values: string
  /** Changes with every change of the definition, including those that `values` reflects. */
  readonly definition: string
  /** Earlier `values` that differ from this one only by changes known to touch no value. */
  readonly formerly: readonly string[]
  /**
   * A time by the source's clock, as `takenAt`. The server reports only the second of the latest change, so a snapshot opened
   * before this time may lack a change that `values` cannot show. Null if every change shows.
   */
  readonly settlesAt: string | null
}

/** The fingerprints were read before the catalog, so the next comparison detects a change between the two reads. */
export interface SourceDefinitions {
  readonly fingerprints: ReadonlyMap<string, TableFingerprint>
  readonly catalog: SourceCatalog
}

/** The table and key that its three triggers must log: computed, never read from the server. */
export interface TriggerTarget {
  readonly table: string
  /** null: the triggers log only the table's name. */
  readonly key: KeyMapping | null
}

/** Two targets that were one once may give a number twice, a token never. */
export interface DrainName {
  readonly number: number
  readonly token: string
}

/** A drain whose keys the target still keeps. */
export interface KeptDrain extends DrainName {
  /** By the target's clock, ISO 8601 in UTC. */
  readonly recordedAt: string
}

/** The last drain that acknowledged entries at the source; a null token predates tokens. */
export interface LogPosition {
  readonly lastDrain: number
  readonly token: string | null
}

/** An entry that stays unsynced: its row was refused, or it names no row of its table. */
export interface UnsyncedEntry {
  readonly id: bigint
  readonly kind: 'refused-row' | 'malformed'
  /** For people, never compared. */
  readonly message: string
}

/** The outcome of the entries that a drain has read. */
export interface Acknowledgement {
  /** Become synced. Iterated once. */
  readonly ids: Iterable<bigint>
  readonly unsynced: readonly UnsyncedEntry[]
  /** Left unsynced by an earlier drain; become synced. */
  readonly released: readonly bigint[]
}

/** Reads of the change log as the snapshot shows it. An entry is pending while it is unsynced and has no error. */
export interface SnapshotEntries {
  /** Pending entries with a greater id, in the order of ids, at most `limit`. */
  after(id: bigint, limit: number): Promise<ChangeEntry[]>
  /** Ids of pending entries up to and including `id`, ascending, in batches: finds entries that committed late. */
  pendingIdsUpTo(id: bigint): AsyncIterable<readonly bigint[]>
  byId(ids: readonly bigint[]): Promise<ChangeEntry[]>
  /** Per table, how many drains left a malformed entry that is still in the log; tables without any are omitted. */
  malformedDrains(tables: readonly string[]): Promise<ReadonlyMap<string, number>>
}

/** Keys of one table, at most 1,000. */
export interface KeysOf {
  readonly table: TableMapping
  readonly keys: readonly RowKey[]
}

/** Rows that the look-up of one list of keys found. */
export interface RowsRead {
  readonly of: KeysOf
  readonly rows: RawRow[]
}

/** Look-ups of keys alone, as the snapshot shows them. */
export interface SnapshotKeys {
  /** Per table, the keys of those rows that `readKeys` would return, in a few round trips for any number of tables. */
  heldKeys(wanted: readonly KeysOf[]): Promise<RowKey[][]>
  /** Per table, a few keys from either end, found by reading in key order and not by look-up; fewer if its key has no such order. */
  sampleKeys(tables: readonly TableMapping[]): Promise<RowKey[][]>
  /** The keys that a look-up column by column finds byte for byte, as a check on the form that `readKeys` uses. */
  findAgain(table: TableMapping, keys: readonly RowKey[]): Promise<RowKey[]>
}

/** Reads of table rows as the snapshot shows them. Each throws an error that names the table, so one table can be set aside. */
export interface SnapshotRows extends SnapshotKeys {
  /** Rows of a range in batches of bounded bytes, in key order; the whole table if it has no key. */
  readRange(table: TableMapping, range: KeyRange): AsyncIterable<RawRow[]>
  /** As `readRange`, undecoded, and without the rows' keys unless `keyed`: a server spends half of the time of a narrow row on its key. */
  readBlocks(table: TableMapping, range: KeyRange, how: { readonly keyed: boolean }): AsyncIterable<RowBlock>
  /**
   * The rows of these keys, and those that the source's collation equates with them, in the order of `wanted`. Batches of
   * bounded bytes.
   */
  readKeys(wanted: readonly KeysOf[]): AsyncIterable<RowsRead>
  /** As readKeys, but only the row key and the given columns. */
  readColumns(table: TableMapping, keys: readonly RowKey[], columns: readonly string[]): Promise<RawRow[]>
  /** Row keys of the children whose foreign key columns equal one of these token lists (tokens of `edge.parentKey`), in batches. */
  childKeys(child: TableMapping, edge: Edge, parents: readonly (readonly string[])[]): AsyncIterable<RowKey[]>
  /** The key `rows` rows after `after`; null if fewer are left. */
  keyAfter(table: TableMapping, after: RowKey | null, rows: number): Promise<RowKey | null>
  /** As `keyAfter` from the start of each of these tables, in a few round trips. */
  firstBounds(wanted: readonly { readonly table: TableMapping; readonly rows: number }[]): Promise<(RowKey | null)[]>
  /** Counts the rows of each of these tables, in a few round trips. */
  counts(tables: readonly string[]): Promise<number[]>
  /** The digest of the table's columns, each of which has a digest rule. */
  digest(table: TableMapping, scope: DigestScope): Promise<RowDigest>
}

/**
 * Tokens that drains and copies leave at the source. A source that goes back in time loses its latest commits, so one that
 * still has a token has everything that was read before it.
 */
export interface SnapshotWatermarks {
  /** The latest of these drains of the target that acknowledged entries here under this very token; null if none did. */
  latest(drains: readonly DrainName[]): Promise<DrainName | null>
  /** Ends the view as `end` does, leaves a watermark over the same connection and returns its token. */
  leave(): Promise<string>
}

/** One consistent view of the source and the connection it lives on. Disposing it ends both. */
export interface SourceSnapshot extends LogPosition, AsyncDisposable {
  readonly entries: SnapshotEntries
  readonly rows: SnapshotRows
  readonly watermarks: SnapshotWatermarks
  /** The source's clock when the snapshot was opened, ISO 8601 in UTC with microseconds. */
  readonly takenAt: string
  /** The highest drain of which entries were purged. */
  readonly purgedDrain: number
  /** The change log holds the seal that the last drain left in it; a log that was emptied or replaced does not. */
  readonly isSealed: boolean
  /** Changes when another server answers, or one restored from a copy. */
  readonly identity: string
  /**
   * Table name -> fingerprint. Storage and foreign keys are current; the rest of a definition may be up to two seconds old, or
   * as old as keeps these reads at 2 % of the time.
   */
  fingerprints(): Promise<ReadonlyMap<string, TableFingerprint>>
  /** The current fingerprints of these tables, and perhaps of others; one that does not exist is omitted. */
  fingerprintsOf(tables: readonly string[]): Promise<ReadonlyMap<string, TableFingerprint>>
  /** Ends this view and opens a later one on the same connection; `takenAt` and the numbers move with it. */
  refresh(): Promise<void>
  /** Ends the snapshot's transaction and keeps the connection, for `acknowledge`. */
  end(): Promise<void>
  /**
   * Records the drain and marks exactly these entries with its number, over the same connection (DESIGN 3.4 step 5).
   * Returns false if another drain has acknowledged since this snapshot was opened; what is not marked yet stays pending.
   */
  acknowledge(acknowledgement: Acknowledgement, drain: DrainName): Promise<boolean>
}

export interface PendingSummary {
  readonly pending: number
  readonly oldestMs: number | null
  readonly tables: readonly { readonly table: string; readonly pending: number }[]
}

export interface PollResult {
  readonly pending: boolean
  readonly lastDrain: number
}

/** The definitions of the source's tables as of now, outside any snapshot. */
export interface CatalogReader {
  /** Tables, columns, keys and foreign keys of the database in a handful of queries; tables of this product are omitted. */
  read(): Promise<SourceCatalog>
  /** The catalog and its fingerprints. With `tryTables` reads one row of each table, to find tables that the server cannot read. */
  definitions(options?: { readonly tryTables: boolean }): Promise<SourceDefinitions>
  /** As the snapshot's, but all of it current. */
  fingerprints(): Promise<ReadonlyMap<string, TableFingerprint>>
  /** Counts of views, routines and the like, and the partitioned tables: for reports only. */
  otherObjects(): Promise<OtherObjects>
  /** Those that the account may see, by name. */
  applicationObjects(): Promise<ApplicationObject[]>
  /** Names of tables in the catalog for which `isKnown` returns false. Reads the catalog only if there may be one. */
  otherTables(isKnown: (table: string) => boolean): Promise<string[]>
  hasRows(table: string): Promise<boolean>
  /** Whether fingerprints contain the storage's own number; without PROCESS they do not, and TRUNCATE changes none of them. */
  seesStorage(): Promise<boolean>
  /**
   * The number that an INSERT without a value for this AUTO_INCREMENT column gets at least: the counter's, or the one after the
   * highest value, which an UPDATE may have written beyond the counter.
   */
  nextNumber(table: string, column: string): Promise<bigint>
  /** Changes when the content of a non-transactional table may have changed. Throws TableBroken if the table cannot be opened. */
  contentFingerprint(table: string): Promise<string>
}

/** The triggers that write the change log. */
export interface Capture {
  /**
   * Creates or repairs each table's three triggers and calls `done` per trigger. Returns the number of triggers created or
   * found correct. Throws SyncError xa-prepared if XA RECOVER lists a transaction afterwards.
   */
  install(
    targets: readonly TriggerTarget[],
    options: { readonly recreate: boolean; readonly done?: (table: string) => void },
  ): Promise<number>
  /** CREATE statements for --dry-run: the triggers, or everything an installation runs, in order: session, own tables, triggers. */
  statements(targets: readonly TriggerTarget[], part: 'triggers' | 'everything'): string[]
  /** Of the tables with correct triggers a fingerprint each, which changes when one of the triggers is re-created. */
  fingerprints(targets: readonly TriggerTarget[]): Promise<ReadonlyMap<string, string>>
}

/** Days that synced entries of the change log are kept by default. */
export const KEPT_DAYS = 7

/** The change log and what drains record beside it, outside any snapshot. */
export interface ChangeLog {
  /** Whether any entry is pending: one index look-up. */
  poll(): Promise<PollResult>
  pending(): Promise<PendingSummary>
  /** Counts the acknowledged entries that the log still keeps, one by one: for reports only. */
  countSynced(): Promise<number>
  /**
   * Creates the triggers that record manual changes of the change log. Returns true if they were missing or altered, so the
   * log may have lost entries and everything is read again.
   */
  guard(): Promise<boolean>
  /**
   * Renumbers entries whose ids a client has chosen and lowers the counter: behind the highest possible id every write of
   * the application fails. Returns undefined if nothing is wrong. Must not run in two processes at once.
   */
  repairIds(): Promise<RepairedIds | undefined>
  /** Seals the change log again, and has everything read again if its seal was broken. Does nothing unless the source is still at `seen`. */
  seal(seen: LogPosition): Promise<void>
  /** Whether the source has all of these now; a watermark may be younger than an open snapshot. */
  hasWatermarks(tokens: readonly string[]): Promise<boolean>
  /** Makes the entries pending again that drains after `to` acknowledged. Does nothing unless the source is still at `seen`. */
  takeBack(to: DrainName, seen: LogPosition): Promise<void>
  /** Removes entries acknowledged longer ago, in small transactions, and records the highest drain among them. Returns their number. */
  purge(request: {
    readonly olderThanDays: number
    readonly dryRun: boolean
    readonly signal: AbortSignal
  }): Promise<number>
}

/** Setting up, checking and removing an installation at the source. */
export interface SourceAdmin {
  /** Product and version, as the server reports them. */
  version(): Promise<string>
  /**
   * Creates or checks sync_audit_log, sync_instance and sync_instance_mark; if one of them was lost, everything is read
   * again. A new installation starts at `token`. Throws SyncError foreign-audit-table.
   */
  migrate(token?: string): Promise<void>
  migrated(): Promise<boolean>
  /** Drops the older package's triggers and keeps its log under another name; does nothing if there is none. Throws SyncError foreign-audit-table. */
  adopt(): Promise<{ readonly triggers: number; readonly log: string | null; readonly pending: number }>
  /** Checks the server, its settings and the account's rights for these tables. Changes nothing. */
  preflight(tables: readonly TableMapping[]): Promise<Finding[]>
  /** How far the server's clock is ahead of this host's. */
  clockAheadMs(): Promise<number>
  /**
   * Throws SyncError missing-right, naming the right, if the account may create no trigger in the database, or may not run
   * the `uninstallStatements`.
   */
  requireRights(work: 'capture' | 'uninstall'): Promise<void>
  /** Statements that remove this installation's triggers, and its tables if no other installation uses them. */
  uninstallStatements(): Promise<string[]>
  /** Runs definitions one by one; each waits at most 2 s at a time for its lock. */
  run(statements: readonly string[]): Promise<void>
}

export interface Source {
  readonly catalog: CatalogReader
  readonly capture: Capture
  readonly log: ChangeLog
  readonly writes: SourceWrites
  readonly admin: SourceAdmin
  openSnapshot(): Promise<SourceSnapshot>
  close(): Promise<void>
}
