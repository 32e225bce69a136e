import type { SourceDefinitions, TableFingerprint } from '@mylab-sync/core'
import { readCatalog, type Server } from '../catalog/catalog.js'
import { columnFacts } from '../catalog/columns.js'
import { type Grouped, grouped } from '../catalog/foreign-keys.js'
import { columnsQuery } from '../catalog/queries.js'
import { OneByOne } from '../connection/one-by-one.js'
import type { Session, TextRow } from '../connection/session.js'
import type { SourceSettings } from '../settings.js'
import * as sql from '../sql.js'
import { digestsByTable, readStorage, type Storage } from './storage.js'

/** A definition is looked at again after so long, and reading takes at most a fiftieth of the time. */
const LOOK_MS = 2_000
const SHARE = 50
/** Columns of more tables are read by one statement without their names. */
const TABLES_A_LIST = 100
/** Estimates of rows and bytes are part of the catalog and of no fingerprint. */
const KEPT_MS = 60_000
/** Of the second that CREATE_TIME names, and of the clock of file systems, which lags by some milliseconds. */
const SETTLING = 'INTERVAL 1050000 MICROSECOND'
/** Benign changes in a row that the target may not have taken note of yet. */
const FORMER_TIMES = 8

/** What the dictionary tells of a table. */
interface Definition {
  /** Second of the latest ALTER or CREATE: both vendors' servers move it with each clause of ALTER TABLE (measured: 10.11, 9.7). */
  readonly altered: string
  readonly settlesAt: string | null
  /** No later change can bear the same second. */
  readonly isSettled: boolean
  readonly columns: string
  /** Earlier values of `altered` since when no value was touched. */
  readonly former: readonly string[]
}

type Known = ReadonlyMap<string, Definition>

/** What the server counted before a look, and when. */
interface Moment {
  readonly instantChanges: string | null
  readonly at: number
}

interface Look {
  /** Table -> second of its latest change, when that is over, whether it is. */
  readonly altered: ReadonlyMap<string, TextRow>
  /** Some tables were being changed, and their definitions hidden. */
  readonly isPartial: boolean
}

/**
 * The definitions of a source's tables, as one process knows them. Only tables whose second of the latest change has moved
 * are read anew: 400 tables of 50 columns cost 9 ms instead of 106 (MariaDB 10.11; 15 instead of 384 on MySQL 9.7).
 */
export class DefinitionWatch {
  readonly #settings: SourceSettings
  readonly #server: Server
  readonly #looks = new OneByOne()
  #known: Known = new Map()
  /** Before the look that `#known` is of; null: it did not see all tables. */
  #before: Moment | null = null
  #nextLook = Number.NEGATIVE_INFINITY
  #last: { readonly read: SourceDefinitions; readonly until: number } | null = null

  constructor(settings: SourceSettings, server: Server) {
    this.#settings = settings
    this.#server = server
  }

  /** As the snapshot's where `recently`, else as the source's. */
  async fingerprints(session: Session, recently: boolean): Promise<ReadonlyMap<string, TableFingerprint>> {
    const storage = await this.#storage(session, null)
    await this.#looks.run(async () => {
      if (!recently || performance.now() >= this.#nextLook) await this.#look(session)
    })
    return this.#composed(storage, this.#known)
  }

  async fingerprint(session: Session, table: string): Promise<TableFingerprint | undefined> {
    const storage = await this.#storage(session, table)
    const rows = await session.definitions(alteredQuery(this.#settings.database, table))
    const columns = await this.#readColumns(session, [table])
    const [row] = rows
    const known = row ? [[table, definitionOf(row, columns.get(table) ?? '', this.#known.get(table))] as const] : []
    return this.#composed(storage, new Map(known)).get(table)
  }

  /**
   * Reads the catalog too, and keeps what it tells of columns. While no fingerprint changes, the same object is handed out for a
   * minute: each reading of 400 tables of 150 columns leaves 66 MB to collect.
   */
  definitions(session: Session, options?: { readonly tryTables: boolean }): Promise<SourceDefinitions> {
    return this.#looks.run(async () => {
      const storage = await this.#storage(session, null)
      if (options?.tryTables) return this.#readCatalog(session, storage, options)
      const last = this.#last
      if (last !== null && performance.now() < last.until) {
        await this.#look(session)
        if (isSame(this.#composed(storage, this.#known), last.read.fingerprints)) return last.read
      }
      const read = await this.#readCatalog(session, storage)
      // A second ALTER within a second changes no fingerprint.
      const isSettled = [...this.#known.values()].every((definition) => definition.isSettled)
      this.#last = isSettled ? { read, until: performance.now() + KEPT_MS } : null
      return read
    })
  }

  async #readCatalog(
    session: Session,
    storage: ReadonlyMap<string, Storage>,
    options?: { readonly tryTables: boolean },
  ): Promise<SourceDefinitions> {
    const now = await this.#moment(session)
    const altered = byTable(await session.definitions(alteredQuery(this.#settings.database, null)))
    const { catalog, columnRows } = await readCatalog(session, this.#settings, options)
    await this.#keep(session, { altered, isPartial: false }, { columns: digestsOf(columnRows), now })
    this.#nextLook = performance.now() + LOOK_MS
    return { catalog, fingerprints: this.#composed(storage, this.#known) }
  }

  async #look(session: Session): Promise<void> {
    const started = performance.now()
    const now = await this.#moment(session)
    const look = await this.#readAltered(session)
    const moved = [...look.altered].filter(([table, row]) => {
      const known = this.#known.get(table)
      return known?.altered !== (row[1] ?? '') || !known.isSettled
    })
    const columns = await this.#readColumns(
      session,
      moved.map(([table]) => table),
    )
    await this.#keep(session, look, { columns, now })
    const ended = performance.now()
    this.#nextLook = ended + Math.max(LOOK_MS, SHARE * (ended - started))
  }

  async #readAltered(session: Session): Promise<Look> {
    const { rows, isPartial } = await session.visibleDefinitions(alteredQuery(this.#settings.database, null))
    return { altered: byTable(rows), isPartial }
  }

  async #readColumns(session: Session, tables: readonly string[]): Promise<Map<string, string>> {
    if (tables.length === 0) return new Map()
    const only = tables.length > TABLES_A_LIST ? null : tables
    const { rows } = await session.visibleDefinitions(columnsQuery(this.#settings.database, only))
    return digestsOf(grouped(rows))
  }

  async #keep(
    session: Session,
    { altered, isPartial }: Look,
    { columns, now }: { readonly columns: ReadonlyMap<string, string>; readonly now: Moment },
  ): Promise<void> {
    const isBenign = await this.#isBenignSince(session)
    const known = new Map(isPartial ? this.#known : [])
    for (const [table, row] of altered) {
      const before = this.#known.get(table)
      const read = columns.get(table)
      // A definition that was hidden meanwhile is looked at again.
      if (read === undefined && (before === undefined || before.altered !== (row[1] ?? ''))) continue
      known.set(table, definitionOf(row, read ?? before?.columns ?? '', before, isBenign))
    }
    this.#known = known
    this.#before = isPartial ? null : now
  }

  /** Counted before the definitions are read: what is changed later has not been counted by then. */
  async #moment(session: Session): Promise<Moment> {
    return { instantChanges: await this.#countInstantChanges(session), at: performance.now() }
  }

  /** MariaDB, where such a change may leave no other trace than its second, counts them for the whole server. */
  async #countInstantChanges(session: Session): Promise<string | null> {
    if (this.#server.vendor !== 'mariadb') return null
    const [row] = await session.rows("SHOW GLOBAL STATUS LIKE 'Innodb_instant_alter_column'")
    return row?.[1] ?? null
  }

  /**
   * No column of any table was changed in place since before the look that `#known` is of, so that an ALTER that shows nothing but its second
   * was one of an index, a comment or the like. A server that was started meanwhile counts from 0 again.
   */
  async #isBenignSince(session: Session): Promise<boolean> {
    const before = this.#before
    if (before === null || before.instantChanges === null) return false
    if ((await this.#countInstantChanges(session)) !== before.instantChanges) return false
    const [uptime] = await session.rows("SHOW GLOBAL STATUS LIKE 'Uptime'")
    return Number(uptime?.[1] ?? 0) * 1000 > performance.now() - before.at + LOOK_MS
  }

  #storage(session: Session, only: string | null): Promise<Map<string, Storage>> {
    return readStorage(session, this.#server, { database: this.#settings.database, only })
  }

  #composed(storage: ReadonlyMap<string, Storage>, known: Known): Map<string, TableFingerprint> {
    return new Map([...storage].map(([table, stored]) => [table, composed(stored, known.get(table))]))
  }
}

function isSame(now: ReadonlyMap<string, TableFingerprint>, before: ReadonlyMap<string, TableFingerprint>): boolean {
  return (
    now.size === before.size &&
    [...now].every(([table, { definition }]) => before.get(table)?.definition === definition)
  )
}

function alteredQuery(database: string, only: string | null): string {
  const named = only === null ? '' : ` AND TABLE_NAME = ${sql.text(only)}`
  return `SELECT TABLE_NAME, CREATE_TIME, DATE_FORMAT(CREATE_TIME + ${SETTLING}, '%Y-%m-%dT%H:%i:%s.%fZ'), CREATE_TIME + ${SETTLING} <= UTC_TIMESTAMP(6)
    FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${sql.text(database)} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')${named}`
}

function byTable(rows: readonly TextRow[]): Map<string, TextRow> {
  return new Map(rows.map((row) => [row[0] ?? '', row]))
}

function digestsOf(columnRows: Grouped): Map<string, string> {
  return digestsByTable([...columnRows.values()].flatMap(columnFacts))
}

function definitionOf(row: TextRow, columns: string, before: Definition | undefined, isBenign = false): Definition {
  const [, altered, settlesAt, settled] = row
  // A table that the server cannot open has no such second.
  const definition = { altered: altered ?? '', settlesAt: settlesAt ?? null, isSettled: settled !== '0', columns }
  if (before === undefined) return { ...definition, former: [] }
  if (before.altered === definition.altered) return { ...definition, former: before.former }
  const isKnown = isBenign && definition.isSettled && before.isSettled && before.columns === columns
  return { ...definition, former: isKnown ? [before.altered, ...before.former].slice(0, FORMER_TIMES) : [] }
}

function composed({ digest, isExact }: Storage, definition: Definition | undefined): TableFingerprint {
  // Made since the last look.
  if (definition === undefined) return { values: digest, definition: digest, formerly: [], settlesAt: null }
  const { altered, columns, former, settlesAt } = definition
  const base = `${digest}.${columns}`
  const dated = (time: string): string => (isExact ? base : `${base}.${time}`)
  return {
    values: dated(altered),
    definition: `${base}.${altered}`,
    formerly: isExact ? [] : former.map(dated),
    settlesAt: isExact ? null : settlesAt,
  }
}
