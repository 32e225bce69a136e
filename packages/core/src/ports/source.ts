import type { Finding } from '../model/finding.js'
import type { Edge, KeyMapping, TableMapping } from '../model/mapping.js'
import type { OtherObjects, SourceCatalog } from '../model/source-table.js'

/** Typed tokens of a row's key columns, joined by commas (DESIGN 3.1). The empty text addresses a table without a key as a whole. */
export type RowKey = string

export interface ChangeEntry {
  /** Up to 2^64: whoever may write to a captured table can choose it (`SET insert_id`). */
  readonly id: bigint
  readonly table: string
  readonly operation: 'INSERT' | 'UPDATE' | 'DELETE'
  readonly rowKey: RowKey
  /** Set when an UPDATE changed the key byte for byte. */
  readonly oldKey: RowKey | null
  readonly layout: number
}

/** One row as the source hands it out, in the order of the mapping's columns. */
export interface RawRow {
  readonly key: RowKey
  readonly values: readonly (Buffer | null)[]
}

/** Keys of one table in the source's own order: lower < key <= upper; null is infinity. */
export interface KeyRange {
  readonly lower: RowKey | null
  readonly upper: RowKey | null
}

/** Stands for the token of the last mark where the change log was changed by hand: everything is to be read again. */
export const HARMED_LOG = 'log-harmed'

/** Ids beyond were chosen by somebody: a log that counts a million a second gets there in 285 years. */
export const HIGHEST_OWN_ID = 2n ** 53n - 1n

/** What became of a change log with ids that somebody had chosen. */
export interface MendedLog {
  /** Entries that have other ids now. */
  readonly entries: number
  /** The id that the next entry would have had. */
  readonly found: bigint
  /** The one that it gets now; null: a long transaction kept the counter from being set back. */
  readonly next: bigint | null
}

/** The message of a held entry that names no row of its table. */
export const MALFORMED_ENTRY = 'it holds no key of its table as our triggers write it now; the table was copied again'

export interface PollResult {
  readonly pending: boolean
  readonly lastDrain: number
}

/** What a table's rows depend on at the source, as its server tells it: compared, never interpreted. */
export interface TableFingerprint {
  /** Changes with everything that can change a stored or a shown value without firing a trigger. */
  readonly values: string
  /** Changes with every change of the definition, those of `values` included. */
  readonly definition: string
  /** Earlier `values` from which this one differs by changes that are known to touch no value. */
  readonly formerly: readonly string[]
  /**
   * Time of the source, as `takenAt`. The server tells the second of the latest change alone, so that a snapshot which was
   * opened before may lack one that `values` cannot show. Null: every change shows.
   */
  readonly settlesAt: string | null
}

/** The fingerprints were read before the catalog, so that a change between the two is found by the next comparison. */
export interface SourceDefinitions {
  readonly fingerprints: ReadonlyMap<string, TableFingerprint>
  readonly catalog: SourceCatalog
}

/** What three triggers a table must be: computed, never read. */
export interface TriggerTarget {
  readonly table: string
  /** null: log the table only. */
  readonly key: KeyMapping | null
}

/** One consistent view of the source and the connection that it stands on. The caller ends it with `release`, whatever happens. */
export interface SourceSnapshot extends AsyncDisposable {
  /** The source's clock when the snapshot was opened, ISO 8601 in UTC with microseconds. */
  readonly takenAt: string
  readonly lastDrain: number
  readonly purgedDrain: number
  /** What the drain left that marked last; null: none has since tokens are written. */
  readonly token: string | null
  /** The change log holds the seal that the last mark left in it; one that was emptied or replaced does not. */
  readonly isSealed: boolean
  /** Of these drains of the target the latest that has marked here, under this very token; null: none is known. */
  latestMark(drains: readonly DrainName[]): Promise<DrainName | null>
  /**
   * Ends the view as `end` does and leaves a mark over the same connection: a source that has the mark, which this
   * returns, has everything that the view has shown, for what goes back loses its latest commits.
   */
  leaveMark(): Promise<string>
  /** Changes when another server, or a server put back from a copy, answers. */
  readonly identity: string
  /**
   * Table name -> fingerprint. Storage and foreign keys are those of now; the rest of a definition may have been read up to
   * two seconds ago, or as long ago as keeps these reads at 2 % of the time.
   */
  fingerprints(): Promise<ReadonlyMap<string, TableFingerprint>>
  /** Of one table, all of it as of now; undefined: the table is gone. */
  fingerprint(table: string): Promise<TableFingerprint | undefined>
  /** Unsynced entries (retry_count = 0) with a greater id, in the order of ids, at most `limit`. */
  entriesAfter(id: bigint, limit: number): Promise<ChangeEntry[]>
  /** Ids of unsynced entries up to and including `id`, ascending, in batches: finds those that committed late. */
  pendingIdsUpTo(id: bigint): AsyncIterable<readonly bigint[]>
  entriesById(ids: readonly bigint[]): Promise<ChangeEntry[]>
  /** Of each of these tables how many drains have held a malformed entry that is still in the log; none is absent. */
  malformedDrains(tables: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** Rows of a range in batches of bounded bytes, in key order; the whole table where it has no key. */
  readRange(table: TableMapping, range: KeyRange): AsyncIterable<RawRow[]>
  /** The rows of these keys (at most 1,000), and those that the source's collation equates with them. Batches of bounded bytes. */
  readKeys(table: TableMapping, keys: readonly RowKey[]): AsyncIterable<RawRow[]>
  /** As readKeys, but only the row key and the given columns. */
  readColumns(table: TableMapping, keys: readonly RowKey[], columns: readonly string[]): Promise<RawRow[]>
  /** A few keys from either end of the table, read in the order of its key and not looked up; fewer of a key that has no such order. */
  sampleKeys(table: TableMapping): Promise<RowKey[]>
  /** Which of these keys a look-up in another form than `readKeys` finds, byte for byte: column by column, each value by itself. */
  findAgain(table: TableMapping, keys: readonly RowKey[]): Promise<RowKey[]>
  /** Row keys of the children whose foreign key columns equal one of these token lists (tokens of `edge.parentKey`), in batches. */
  childKeys(child: TableMapping, edge: Edge, parents: readonly (readonly string[])[]): AsyncIterable<RowKey[]>
  /** The key `rows` rows after `after`, null when fewer are left. */
  keyAfter(table: TableMapping, after: RowKey | null, rows: number): Promise<RowKey | null>
  countRows(table: string): Promise<number>
  /** Ends this view and opens a later one on the same connection; `takenAt` and the numbers move with it. */
  refresh(): Promise<void>
  /** Ends the snapshot's transaction and keeps the connection, for `mark`. */
  end(): Promise<void>
  /**
   * Marks exactly these entries with the drain's number, over the same connection (DESIGN 3.4 step 5). Held entries
   * stay unsynced with their error; `released` ones, held by an earlier drain, are marked too. False: another drain has
   * marked since this snapshot, and what is not marked yet stays pending.
   */
  mark(marks: Marks, drain: DrainName): Promise<boolean>
  /** Test seam of the guarantee page: marks by `id <= max`, which loses entries that commit late. */
  markUpTo(id: bigint, drain: DrainName): Promise<boolean>
  release(): void
}

export interface Marks {
  /** Walked once. */
  readonly ids: Iterable<bigint>
  readonly held: readonly { readonly id: bigint; readonly message: string }[]
  readonly released: readonly bigint[]
}

/** Two targets that were one once may give a number twice, a token never. */
export interface DrainName {
  readonly number: number
  readonly token: string
}

export interface PendingSummary {
  readonly pending: number
  readonly synced: number
  readonly oldestMs: number | null
  readonly tables: readonly { readonly table: string; readonly pending: number }[]
}

export interface Source {
  /** Tables, columns, keys, foreign keys of the database in a handful of queries; our own tables are left out. */
  catalog(): Promise<SourceCatalog>
  /** Counts of views, routines and the like, and which tables are partitioned: for people only. */
  otherObjects(): Promise<OtherObjects>
  /** Names of tables that the catalog has and `isKnown` denies. The catalog itself is read only where there may be one. */
  otherTables(isKnown: (table: string) => boolean): Promise<string[]>
  /** Whether a table of the database holds any row now. */
  hasRows(table: string): Promise<boolean>
  /**
   * The catalog and the fingerprints that go with it, read now. With `tryTables` one row of each table is asked for, which tells
   * tables that the server cannot read.
   */
  definitions(options?: { readonly tryTables: boolean }): Promise<SourceDefinitions>
  /** As the snapshot's, outside of one, all of it as of now. */
  fingerprints(): Promise<ReadonlyMap<string, TableFingerprint>>
  /** Whether fingerprints hold the storage's own number; without PROCESS they do not, and TRUNCATE changes none of them. */
  seesStorage(): Promise<boolean>
  /**
   * Creates sync_audit_log, sync_instance and sync_instance_mark, or checks them; where one of them was lost, everything
   * is read again. A new installation stands at `token`. Throws SyncError foreign-audit-table.
   */
  migrate(token?: string): Promise<void>
  /**
   * Makes the triggers of the change log that note what somebody deletes or changes in it by hand. True: they were lost
   * or replaced, with the log perhaps, so that everything is read again.
   */
  guardLog(): Promise<boolean>
  /**
   * Gives entries of the change log whose ids were chosen by somebody other ones, and sets its counter back: behind the
   * highest id of all every write of the application fails. Undefined: all is well. Only one process at a time.
   */
  mendIds(): Promise<MendedLog | undefined>
  /** Seals the change log again, and notes that everything is to be read where its seal was broken. Only while the last mark is still the one of `seen`. */
  sealLog(seen: { readonly lastDrain: number; readonly token: string | null }): Promise<void>
  migrated(): Promise<boolean>
  /** Drops the triggers of the older package and keeps its log under another name; nothing where there is none. Throws foreign-audit-table. */
  adopt(): Promise<{ readonly triggers: number; readonly log: string | null; readonly pending: number }>
  /** Makes each table's three triggers what they must be; `done` is called per trigger. Ends with an empty XA RECOVER, or throws xa-prepared. Returns the number of triggers created or found right. */
  installTriggers(
    targets: readonly TriggerTarget[],
    options: { readonly recreate: boolean; readonly done?: (table: string) => void },
  ): Promise<number>
  /** CREATE statements, for --dry-run. */
  triggerStatements(targets: readonly TriggerTarget[]): string[]
  /** All that an installation would run, in order: session settings, our tables, triggers. */
  installStatements(targets: readonly TriggerTarget[]): string[]
  /** What of the server, its settings and our rights stands in the way of carrying these tables. Changes nothing. */
  preflight(tables: readonly TableMapping[]): Promise<Finding[]>
  /** How far the server's clock is ahead of this host's. */
  clockAheadMs(): Promise<number>
  /** Tables among these whose triggers are what they must be, each with a sign that is another one when one of them is made anew. */
  triggerSigns(targets: readonly TriggerTarget[]): Promise<ReadonlyMap<string, string>>
  /** Anything unsynced? One index look-up, no snapshot. */
  poll(): Promise<PollResult>
  pending(): Promise<PendingSummary>
  openSnapshot(): Promise<SourceSnapshot>
  /** Whether the source has all of these as of now, outside of any snapshot: a mark may be younger than one that is open. */
  hasMarks(tokens: readonly string[]): Promise<boolean>
  /** What drains after `to` have marked is pending again. Only while the last mark is still the one of `seen`. */
  takeBack(to: DrainName, seen: { readonly lastDrain: number; readonly token: string | null }): Promise<void>
  /** Non-transactional tables: a text that moves when the table's content may have changed. */
  contentSign(table: string): Promise<string>
  /** Removes entries marked longer ago, in small transactions, and remembers the highest drain among them. Returns their number. */
  purge(request: {
    readonly olderThanDays: number
    readonly dryRun: boolean
    readonly signal: AbortSignal
  }): Promise<number>
  /** Throws SyncError missing-right, naming the right, where the account may create no trigger in the database. */
  mayCapture(): Promise<void>
  /** What takes our triggers, and our tables if no other installation uses them, off the source. */
  uninstallStatements(): Promise<string[]>
  /** Throws SyncError missing-right, naming the right, where the account may not run the uninstallStatements. */
  mayUninstall(): Promise<void>
  /** Runs definitions one by one; each waits at most 2 s at a time for its lock. */
  run(statements: readonly string[]): Promise<void>
  close(): Promise<void>
}
