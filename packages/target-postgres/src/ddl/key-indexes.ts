import { type FirstIndexes, type IndexPlan, isLockTimeout, type TableMapping } from '@mylab-sync/core'
import { SQLSTATE } from '../sql-states.js'
import type { Row, Session } from '../connection/database.js'
import { definitionRefusal, sqlState } from '../errors.js'
import * as sql from '../sql.js'
import { lacksIdentity, standingColumns } from './columns.js'
import type { Ddl } from './ddl.js'
import type { MadeObject } from './made-objects.js'
import { foreignKeyIndexRecord, indexRecord } from './planned.js'
import { together, withShortLocks } from './short-locks.js'
import { objectNames } from './standing-indexes.js'
import { addKey, createIndex, foreignKeyIndex, keyName, otherKeyName, targetColumns } from './statements.js'

/** Builds the sync key's index, and those on columns of foreign keys. */
export class KeyIndexes {
  readonly #ddl: Ddl

  constructor(ddl: Ddl) {
    this.#ddl = ddl
  }

  /** Builds the key's index, and one on each given column set, unless they exist. */
  async buildKeyIndexes(table: TableMapping, foreignKeys: readonly (readonly string[])[]): Promise<void> {
    await withShortLocks(this.#ddl.database, (session) => this.#keyIndexesIn(session, table, foreignKeys))
  }

  /**
   * As `buildKeyIndexes` for each of these tables, with their plain indexes, in one transaction and a few round trips. Returns false, with
   * nothing built, if PostgreSQL refuses any: alone, each shows its own cause.
   */
  buildTogether(tables: readonly FirstIndexes[]): Promise<boolean> {
    return together(this.#ddl.database, (session) => this.#togetherIn(session, tables))
  }

  async #togetherIn(session: Session, tables: readonly FirstIndexes[]): Promise<void> {
    const { schema } = this.#ddl
    const present = await indexesOf(session, schema, tables)
    const taken = await takenNames(session, schema, tables)
    const statements: string[] = []
    const made = new Map<string, MadeObject[]>()
    for (const each of tables) {
      const { table } = each
      const standing = present.get(table.name) ?? []
      const records: MadeObject[] = []
      const key = missingKey(table, standing)
      if (key !== null)
        statements.push(
          addKey(schema, table, key.kind, taken.has(keyName(table)) ? otherKeyName(table) : keyName(table)),
        )
      for (const columns of missingForeignKeys(each, [...standing, ...(key === null ? [] : [key])])) {
        statements.push(foreignKeyIndex(schema, table, columns))
        records.push(foreignKeyIndexRecord(schema, table, columns))
      }
      const target = this.#ddl.tableName(table)
      for (const index of each.plain.filter(({ name }) => !standing.some((held) => held.name === name))) {
        statements.push(createIndex(target, index, ''))
        records.push(indexRecord(target, index))
      }
      made.set(table.name, records)
    }
    if (statements.length > 0) await session.build(statements.join('; '))
    await this.#ddl.made.noteAll(session, made)
  }

  /** Builds an index that is not UNIQUE, of a table that nobody writes yet. Leaves it to `buildIndexes` if PostgreSQL refuses it. */
  async buildPlain(table: TableMapping, index: IndexPlan): Promise<void> {
    const target = this.#ddl.tableName(table)
    try {
      await withShortLocks(this.#ddl.database, async (session) => {
        if ((await objectNames(session, target)).has(index.name)) return
        await session.build(createIndex(target, index, ''))
        await this.#ddl.made.note(session, table.name, [indexRecord(target, index)])
      })
    } catch (error) {
      if (definitionRefusal(error) === null && !isLockTimeout(error)) throw error
    }
  }

  async #keyIndexesIn(
    session: Session,
    table: TableMapping,
    foreignKeys: readonly (readonly string[])[],
  ): Promise<void> {
    const { schema } = this.#ddl
    const present = (await indexesOf(session, schema, [{ table }])).get(table.name) ?? []
    const key = missingKey(table, present)
    if (key !== null) {
      const isTaken = (await takenNames(session, schema, [{ table }])).size > 0
      await session.build(addKey(schema, table, key.kind, isTaken ? otherKeyName(table) : keyName(table)))
      present.push(key)
    }
    for (const columns of missingForeignKeys({ table, foreignKeyColumns: foreignKeys }, present))
      await this.#foreignKeyIndexIn(session, table, columns)
  }

  /** Leaves the index out if a value is too long for it: look-ups are correct without it, only slower. */
  async #foreignKeyIndexIn(session: Session, table: TableMapping, columns: readonly string[]): Promise<void> {
    const { schema } = this.#ddl
    const record = foreignKeyIndexRecord(schema, table, columns)
    await session.raw('SAVEPOINT foreign_key_index')
    try {
      await session.build(foreignKeyIndex(schema, table, columns))
      await this.#ddl.made.note(session, table.name, [record])
    } catch (error) {
      if (sqlState(error) !== SQLSTATE.PROGRAM_LIMIT_EXCEEDED) throw error
      await session.raw('ROLLBACK TO SAVEPOINT foreign_key_index')
      await this.#ddl.made.note(session, table.name, [{ ...record, state: 'left-out' }])
    }
    await session.raw('RELEASE SAVEPOINT foreign_key_index')
  }

  /**
   * Builds the key's index on a table that may hold rows of an older key. Deletes rows without the new key and duplicates
   * of it; the copy that follows brings the source's rows. With `wait`, or if rows hold values in the user's own columns,
   * deletes nothing and returns the statement that a person must run first.
   */
  async buildKey(table: TableMapping, { wait }: { readonly wait: boolean }): Promise<string[]> {
    try {
      await this.buildKeyIndexes(table, [])
      return []
    } catch (error) {
      const refusal = definitionRefusal(error)
      if (refusal === null) throw error
      const left = [`TRUNCATE TABLE ${this.#ddl.tableName(table)} /* no new key: ${refusal} */`]
      if (wait || (await this.#holdsOthers(table))) return left
      return (await this.#keyByForce(table)) ? [] : left
    }
  }

  /** Returns false if PostgreSQL refuses the key. */
  async #keyByForce(table: TableMapping): Promise<boolean> {
    for (const empty of [dropUnkeyed, dropAll]) {
      try {
        await withShortLocks(this.#ddl.database, async (session) => {
          const target = this.#ddl.tableName(table)
          // PostgreSQL deletes no row of a published table that has no key.
          const isPublished = await lacksIdentity(session, target)
          if (isPublished) await session.build(`ALTER TABLE ${target} REPLICA IDENTITY FULL`)
          for (const statement of empty(target, table)) await session.build(statement)
          await this.#keyIndexesIn(session, table, [])
          if (isPublished && table.source.primaryKey !== null)
            await session.build(`ALTER TABLE ${target} REPLICA IDENTITY DEFAULT`)
        })
        return true
      } catch (error) {
        if (definitionRefusal(error) === null) throw error
      }
    }
    return false
  }

  /** True if rows hold values in columns that never came from the source. */
  async #holdsOthers(table: TableMapping): Promise<boolean> {
    const target = this.#ddl.tableName(table)
    return this.#ddl.database.transaction(async (session) => {
      const known = await this.#ddl.made.of(session, table.name)
      const ours = new Set([...table.columns.map(({ name }) => name), ...[...known.values()].map(({ name }) => name)])
      const others = (await standingColumns(session, target)).filter(({ name }) => !ours.has(name))
      if (others.length === 0) return false
      const held = others.map(({ name }) => `${sql.name(name)} IS NOT NULL`).join(' OR ')
      const { rows } = await session.build(`SELECT FROM ${target} WHERE ${held} LIMIT 1`)
      return rows.length > 0
    })
  }
}

/** Deletes rows without a key, and all but one of each key. The rest stay: the copy overwrites them. */
function dropUnkeyed(target: string, table: TableMapping): string[] {
  const key = (table.key?.columns ?? []).map(({ column }) => sql.name(column.name))
  const copies = `SELECT ctid AS place, row_number() OVER (PARTITION BY ${key.join(', ')}) AS copy FROM ${target}`
  return [
    `DELETE FROM ${target} WHERE ${key.map((name) => `${name} IS NULL`).join(' OR ')}`,
    `DELETE FROM ${target} t USING (${copies}) c WHERE t.ctid = c.place AND c.copy > 1`,
  ]
}

function dropAll(target: string): string[] {
  return [`TRUNCATE TABLE ${target}`]
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at])
}

/** The names of keys that are taken: PostgreSQL gives one to a user's primary key, and keeps it when that table is renamed. */
async function takenNames(
  session: Session,
  schema: string,
  tables: readonly Pick<FirstIndexes, 'table'>[],
): Promise<ReadonlySet<string>> {
  const names = tables.map(({ table }) => keyName(table))
  const { rows } = await session.raw<{ name: string }>(
    'SELECT n.name FROM unnest($1::text[], $2::text[]) AS n(name, place) WHERE to_regclass(n.place) IS NOT NULL',
    [names, names.map((name) => sql.tableName(schema, { name }))],
  )
  return new Set(rows.map(({ name }) => name))
}

interface IndexedColumns {
  /** null: it is about to be built. */
  readonly name: string | null
  readonly unique: boolean
  readonly primary: boolean
  readonly columns: readonly string[]
}

/** The key's index, if there is none yet. A user's own table may already have a primary key. */
function missingKey(
  table: TableMapping,
  present: readonly IndexedColumns[],
): (IndexedColumns & { readonly kind: 'PRIMARY KEY' | 'UNIQUE' }) | null {
  const columns = table.key?.columns.map(({ column }) => column.name)
  if (!columns || present.some((index) => index.unique && same(index.columns, columns))) return null
  const primary = table.source.primaryKey !== null && !present.some((index) => index.primary)
  return { name: null, unique: true, primary, columns, kind: primary ? 'PRIMARY KEY' : 'UNIQUE' }
}

/** The column sets of foreign keys that no index starts with. */
function missingForeignKeys(
  { table, foreignKeyColumns }: Pick<FirstIndexes, 'table' | 'foreignKeyColumns'>,
  present: readonly IndexedColumns[],
): (readonly string[])[] {
  const indexed = present.map(({ columns }) => columns)
  const missing: (readonly string[])[] = []
  for (const columns of foreignKeyColumns.map((sources) => targetColumns(table, sources))) {
    if (indexed.some((index) => same(index.slice(0, columns.length), columns))) continue
    missing.push(columns)
    indexed.push(columns)
  }
  return missing
}

async function indexesOf(
  session: Session,
  schema: string,
  tables: readonly Pick<FirstIndexes, 'table'>[],
): Promise<ReadonlyMap<string, IndexedColumns[]>> {
  const { rows } = await session.raw<IndexedColumns & { readonly table: string } & Row>(
    `SELECT n.name AS table, c.relname::text AS name, x.indisunique AND x.indimmediate AS unique, x.indisprimary AS primary,
       array(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.n ORDER BY k.o) AS columns
     FROM unnest($1::text[], $2::text[]) AS n(name, place) JOIN pg_index x ON x.indrelid = to_regclass(n.place) JOIN pg_class c ON c.oid = x.indexrelid
     WHERE x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL`,
    [tables.map(({ table }) => table.name), tables.map(({ table }) => sql.tableName(schema, table))],
  )
  const found = new Map<string, IndexedColumns[]>()
  for (const { table, ...index } of rows) found.set(table, [...(found.get(table) ?? []), index])
  return found
}
