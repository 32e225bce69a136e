import {
  type ChangeEntry,
  type DrainName,
  type Edge,
  type KeyRange,
  MALFORMED_ENTRY,
  type Marks,
  type RawRow,
  type RowKey,
  type SourceSnapshot,
  SyncError,
  type TableFingerprint,
  type TableMapping,
} from '@mylab-sync/core'
import { randomUUID } from 'node:crypto'
import { logGone, PENDING_INDEX } from '../ddl/own-tables.js'
import { errorNumber, ofTable, sourceError } from '../connection/errors.js'
import type { SessionPool } from '../connection/pool.js'
import type { Session, TextRow } from '../connection/session.js'
import { INSTANCE_TABLE, MARK_TABLE, type SourceSettings } from '../settings.js'
import * as sql from '../sql.js'
import type { DefinitionWatch } from './definitions.js'
import { among, HELD, leaveMark, markIds, markUpTo, READ_SEAL } from './mark.js'
import { Reader } from './reader.js'
import { selectAgain, selectChildKeys, selectKeyAfter, selectKeys, selectRange, selectSamples } from './statements.js'

const CLOCK = `DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')`
/** One-shot each time: a session left in READ COMMITTED makes WITH CONSISTENT SNAPSHOT none, and MariaDB says nothing. */
const BEGIN = ['SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION WITH CONSISTENT SNAPSHOT']
/** A copy beside its original on one server is another source, so the database's name goes with these. */
const IDENTITY = `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_id', 'hostname', 'server_uuid', 'datadir')`
const NO_SUCH_TABLE = 1146
const UNSYNCED = 'synced = 0 AND retry_count = 0'
const BY_PENDING = `FORCE INDEX (${sql.name(PENDING_INDEX)})`
const ENTRY_BATCH = 4_000
const ID_BATCH = 50_000

interface Opening {
  readonly takenAt: string
  readonly lastDrain: number
  readonly purgedDrain: number
  readonly token: string | null
  /** What it should be, and what stands in the log. */
  readonly seal: string | null
  readonly sealOfLog: string | null
  readonly identity: string
}

/** What a snapshot needs of its source. */
export interface SnapshotContext {
  readonly pool: SessionPool
  readonly settings: SourceSettings
  readonly watch: DefinitionWatch
}

/** Opens a transaction with a consistent view on a connection of its own. */
export async function openSnapshot(context: SnapshotContext): Promise<SourceSnapshot> {
  const session = await context.pool.acquire()
  try {
    return new Snapshot(context, session, await begin(session, context.settings))
  } catch (error) {
    session.destroy()
    throw error
  }
}

async function begin(session: Session, settings: SourceSettings): Promise<Opening> {
  const { instance, auditTable } = settings
  const ours = `FROM ${sql.name(INSTANCE_TABLE)} WHERE owner = ${sql.text(instance)}`
  // Before the view, so that the view holds everything up to this time, and what breaks the seal later fails the mark; outside
  // its transaction, since SET TRANSACTION is one-shot, and so that no TRUNCATE of the log waits for the view's end.
  const [before] = await session
    .rows(`SELECT ${CLOCK}, ${READ_SEAL(sql.name(auditTable))} ${ours}`)
    .catch(async (error: unknown) => {
      if (errorNumber(error) !== NO_SUCH_TABLE) throw error
      await ownRows(session, `SELECT 1 ${ours}`)
      throw logGone(settings, error)
    })
  for (const statement of BEGIN) await session.run(statement)
  const [drain] = await ownRows(session, `SELECT last_drain, purged_drain, token ${ours}`)
  if (before === undefined || drain === undefined) throw notMigrated()
  const identity = (await session.rows(IDENTITY)).map(([variable, value]) => `${variable ?? ''}=${value ?? ''}`)
  return {
    takenAt: before[0] ?? '',
    lastDrain: Number(drain[0]),
    // Whoever may delete entries can have a drain noted here that never was.
    purgedDrain: Math.min(Number(drain[1]), Number(drain[0])),
    token: drain[2] ?? null,
    seal: before[1] ?? null,
    sealOfLog: before[2] ?? null,
    identity: [...identity.sort(), `database=${settings.database}`].join(';'),
  }
}

async function ownRows(session: Session, statement: string): Promise<TextRow[]> {
  try {
    return await session.rows(statement)
  } catch (error) {
    if (errorNumber(error) === NO_SUCH_TABLE) throw notMigrated()
    throw error
  }
}

function notMigrated(): SyncError {
  return sourceError('not-migrated', 'our tables are not there for this installation', {
    remedy: 'mylab-sync migrate',
  })
}

class Snapshot implements SourceSnapshot {
  readonly #context: SnapshotContext
  readonly #session: Session
  readonly #reader: Reader
  readonly #log: string
  #opening: Opening
  /** As of the first view: what has moved since was not judged, and nothing is marked over it. */
  readonly #seen: Opening
  #open = true
  #released = false

  constructor(context: SnapshotContext, session: Session, opening: Opening) {
    this.#context = context
    this.#session = session
    this.#reader = new Reader(session)
    this.#log = sql.name(context.settings.auditTable)
    this.#opening = opening
    this.#seen = opening
  }

  get takenAt(): string {
    return this.#opening.takenAt
  }

  get lastDrain(): number {
    return this.#opening.lastDrain
  }

  get purgedDrain(): number {
    return this.#opening.purgedDrain
  }

  get token(): string | null {
    return this.#opening.token
  }

  get isSealed(): boolean {
    return this.#opening.seal !== null && this.#opening.seal === this.#opening.sealOfLog
  }

  get identity(): string {
    return this.#opening.identity
  }

  async latestMark(drains: readonly DrainName[]): Promise<DrainName | null> {
    if (drains.length === 0) return null
    const numbers = drains.map((drain) => drain.number)
    const marks = await this.#rows(
      `SELECT drain_no, token FROM ${sql.name(MARK_TABLE)} WHERE owner = ${sql.text(this.#context.settings.instance)} AND drain_no BETWEEN ${sql.integer(Math.min(...numbers))} AND ${sql.integer(Math.max(...numbers))}`,
    )
    const tokens = new Map(marks.map(([number, token]) => [Number(number), token]))
    const known = drains.filter((drain) => tokens.get(drain.number) === drain.token)
    return known.reduce<DrainName | null>(
      (latest, drain) => (latest && latest.number > drain.number ? latest : drain),
      null,
    )
  }

  async leaveMark(): Promise<string> {
    await this.end()
    const token = randomUUID()
    await this.#reader.alone(() => leaveMark(this.#session, this.#context.settings, { token, number: null }))
    return token
  }

  fingerprints(): Promise<ReadonlyMap<string, TableFingerprint>> {
    return this.#reader.alone(() => this.#context.watch.fingerprints(this.#session, true))
  }

  fingerprint(table: string): Promise<TableFingerprint | undefined> {
    return this.#reader.alone(() => this.#context.watch.fingerprint(this.#session, table))
  }

  async entriesAfter(id: bigint, limit: number): Promise<ChangeEntry[]> {
    return await this.#entries(
      `${BY_PENDING} WHERE ${UNSYNCED} AND id > ${sql.integer(id)} ORDER BY id LIMIT ${sql.integer(limit)}`,
    )
  }

  async *pendingIdsUpTo(id: bigint): AsyncGenerator<readonly bigint[], void, void> {
    for (let after = 0n; ; ) {
      const rows = await this.#rows(
        `SELECT id FROM ${this.#log} ${BY_PENDING} WHERE ${UNSYNCED} AND id > ${sql.integer(after)} AND id <= ${sql.integer(id)} ORDER BY id LIMIT ${ID_BATCH}`,
      )
      if (rows.length > 0) yield rows.map(([value]) => BigInt(value ?? 0))
      if (rows.length < ID_BATCH) return
      after = BigInt(rows.at(-1)?.[0] ?? 0)
    }
  }

  async entriesById(ids: readonly bigint[]): Promise<ChangeEntry[]> {
    const entries: ChangeEntry[] = []
    for (let start = 0; start < ids.length; start += ENTRY_BATCH) {
      const those = among(ids.slice(start, start + ENTRY_BATCH))
      for (const entry of await this.#entries(`WHERE ${those} ORDER BY id`)) entries.push(entry)
    }
    return entries
  }

  async malformedDrains(tables: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#rows(
      `SELECT table_name, COUNT(DISTINCT drain_no) FROM ${this.#log} ${BY_PENDING} WHERE ${HELD} AND error_message = ${sql.text(MALFORMED_ENTRY)} AND table_name IN (${tables.map(sql.text).join(', ')}) GROUP BY table_name`,
    )
    return new Map(rows.map(([table, drains]) => [table ?? '', Number(drains)]))
  }

  readRange(table: TableMapping, range: KeyRange): AsyncIterable<RawRow[]> {
    return this.#tableBatches(table, selectRange(table, range))
  }

  async *readKeys(table: TableMapping, keys: readonly RowKey[]): AsyncGenerator<RawRow[], void, void> {
    if (keys.length > 0) yield* this.#tableBatches(table, selectKeys(table, keys))
  }

  async readColumns(table: TableMapping, keys: readonly RowKey[], columns: readonly string[]): Promise<RawRow[]> {
    if (keys.length === 0) return []
    const mapped = columns.map((name) => {
      const column = table.columns.find((each) => each.source.name === name)
      if (column === undefined) throw sourceError('internal', `table ${table.source.name} has no mapped column ${name}`)
      return column
    })
    return await this.#tableRows(table, selectKeys(table, keys, mapped))
  }

  async sampleKeys(table: TableMapping): Promise<RowKey[]> {
    const found = new Set<RowKey>()
    for (const statement of selectSamples(table))
      for (const { key } of await this.#reader.all(statement)) found.add(key)
    return [...found]
  }

  async findAgain(table: TableMapping, keys: readonly RowKey[]): Promise<RowKey[]> {
    if (keys.length === 0) return []
    const wanted = new Set(keys)
    const rows = await this.#reader.all(selectAgain(table, keys))
    return rows.map((row) => row.key).filter((key) => wanted.has(key))
  }

  async *childKeys(
    child: TableMapping,
    edge: Edge,
    parents: readonly (readonly string[])[],
  ): AsyncGenerator<RowKey[], void, void> {
    if (parents.length === 0) return
    for await (const rows of this.#tableBatches(child, selectChildKeys(child, edge, parents)))
      yield rows.map((row) => row.key)
  }

  async keyAfter(table: TableMapping, after: RowKey | null, rows: number): Promise<RowKey | null> {
    const [row] = await this.#tableRows(table, selectKeyAfter(table, after, rows))
    return row?.key ?? null
  }

  async countRows(table: string): Promise<number> {
    try {
      const [row] = await this.#reader.all(`SELECT COUNT(*) FROM ${sql.name(table)}`)
      return Number(row?.key ?? 0)
    } catch (error) {
      throw ofTable(table, error)
    }
  }

  /** Rows of a read of one table, whose own errors take it out alone. */
  async *#tableBatches({ source }: TableMapping, statement: string): AsyncGenerator<RawRow[], void, void> {
    try {
      yield* this.#reader.batches(statement)
    } catch (error) {
      throw ofTable(source.name, error)
    }
  }

  async #tableRows(table: TableMapping, statement: string): Promise<RawRow[]> {
    const rows: RawRow[] = []
    for await (const batch of this.#tableBatches(table, statement)) for (const row of batch) rows.push(row)
    return rows
  }

  async refresh(): Promise<void> {
    await this.end()
    // From here a transaction may be open, also when the reading of the numbers fails.
    this.#open = true
    this.#opening = await this.#reader.alone(() => begin(this.#session, this.#context.settings))
  }

  async end(): Promise<void> {
    if (!this.#open) return
    await this.#reader.alone(() => this.#session.run('COMMIT'))
    this.#open = false
  }

  async mark(marks: Marks, drain: DrainName): Promise<boolean> {
    await this.end()
    return await markIds(this.#marking, marks, drain)
  }

  async markUpTo(id: bigint, drain: DrainName): Promise<boolean> {
    await this.end()
    return await markUpTo(this.#marking, id, drain)
  }

  get #marking(): Parameters<typeof markIds>[0] {
    const { lastDrain, token, seal } = this.#seen
    return {
      session: this.#session,
      settings: this.#context.settings,
      seen: { lastDrain, token, seal: seal ?? '' },
    }
  }

  /** A connection whose transaction stands open is not worth a statement that may fail: it goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    if (this.#open) this.#session.destroy()
    else this.#context.pool.release(this.#session)
  }

  /** For comparisons that share no code with the product. */
  async texts(query: string): Promise<TextRow[]> {
    return await this.#rows(query)
  }

  async #rows(statement: string): Promise<TextRow[]> {
    return await this.#reader.alone(() => this.#session.rows(statement))
  }

  async #entries(rest: string): Promise<ChangeEntry[]> {
    return (
      await this.#rows(`SELECT id, table_name, operation, row_key, old_key, flags FROM ${this.#log} ${rest}`)
    ).map(entry)
  }
}

function entry(row: TextRow): ChangeEntry {
  const operation = row[2]
  return {
    id: BigInt(row[0] ?? 0),
    table: row[1] ?? '',
    // What is none of the three may be any of them; a DELETE is followed furthest.
    operation: operation === 'INSERT' || operation === 'UPDATE' ? operation : 'DELETE',
    rowKey: row[3] ?? '',
    oldKey: row[4] ?? null,
    layout: Number(row[5]),
  }
}
