import { SyncError, TableBroken, type TableHindrance, type TableMapping } from '@mylab-sync/core'
import type { Database } from '../connection/database.js'
import { ofTable, type PlaceNames, unreadNames } from '../errors.js'
import {
  brokenBy,
  hasMoreTriggers,
  type Hindrances,
  lookAt,
  refusedByTriggers,
  tableHindrances,
  triggersFound,
} from './hindrances.js'

/** What this process knows about the target's tables besides their rows. Each writing transaction verifies it. */
export class KnownTables {
  readonly #database: Database
  readonly hindrances = new Map<string, Hindrances>()
  /** Names of tables whose rows are copied as text, whatever their types. */
  readonly textOnly = new Set<string>()
  /** Names of all carried tables, which triggers must not write into. */
  carried: readonly string[] = []

  constructor(database: Database) {
    this.#database = database
  }

  get schema(): string {
    return this.#database.settings.schema
  }

  note(names: readonly string[], looked: ReadonlyMap<string, Hindrances>): void {
    for (const name of names) {
      const hindrances = looked.get(name)
      if (hindrances === undefined) this.hindrances.delete(name)
      else this.hindrances.set(name, hindrances)
    }
  }

  /** Reads the hindrances of these tables, in three statements however many there are. */
  async look(tables: readonly TableMapping[]): Promise<TableHindrance[]> {
    const names = tables.map(({ name }) => name)
    const looked = await this.#database.transaction((session) => lookAt(session, this.schema, names))
    this.note(names, looked)
    return tableHindrances(this.schema, tables, looked)
  }

  /** `meaning` with the names that a user's function supplied, if the catalog knows them. */
  async #named(table: TableMapping, error: unknown, meaning: TableBroken): Promise<TableBroken> {
    const names = unreadNames(error)
    if (names === null) return meaning
    const [known] = await this.#database.transaction((session) =>
      session.rows<{ table: string | null; constraint: string | null }>(KNOWN_NAMES, [
        names.schema ?? this.schema,
        names.table ?? null,
        names.constraint ?? null,
      ]),
    )
    const read: PlaceNames = { table: known?.table ?? undefined, constraint: known?.constraint ?? undefined }
    const named = ofTable(table, error, read)
    return named instanceof TableBroken ? named : meaning
  }

  /**
   * What the error of a statement on this table means, with the cause by name if the table shows one. If it has triggers other
   * than those `known` to the statement, the work must be repeated: they ran under names that are not theirs.
   */
  async explain(
    table: TableMapping,
    error: unknown,
    known: Hindrances | undefined = this.hindrances.get(table.name),
  ): Promise<Error> {
    const meaning = ofTable(table, error)
    if (!(meaning instanceof TableBroken) || meaning === error) return meaning
    try {
      // All at once: where one table has new triggers, others have too, and each would cost another repetition.
      const names = [...new Set([table.name, ...this.carried])]
      const looked = await this.#database.transaction((session) => lookAt(session, this.schema, names))
      this.note(names, looked)
      const hindrances = looked.get(table.name)
      if (hindrances === undefined) return meaning
      const broken = brokenBy(this.schema, table, hindrances)
      if (broken === null && hasMoreTriggers(hindrances, known)) return triggersFound(table, error)
      return (
        broken ??
        refusedByTriggers(this.schema, { table, hindrances, meaning: await this.#named(table, error, meaning) })
      )
    } catch (failure) {
      // The original error is the one to report.
      if (failure instanceof SyncError) return meaning
      throw failure
    }
  }
}

/** Names that the catalog knows: the table, and a constraint or index of it. */
const KNOWN_NAMES = `
  SELECT c.relname::text AS table, coalesce(k.conname, i.relname)::text AS constraint
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.conname = $3
  LEFT JOIN (pg_index x JOIN pg_class i ON i.oid = x.indexrelid) ON x.indrelid = c.oid AND i.relname = $3
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')`
