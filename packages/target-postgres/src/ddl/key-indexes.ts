import type { TableMapping } from '@mylab-sync/core'
import { SQLSTATE } from '../sql-states.js'
import type { Row, Session } from '../connection/database.js'
import { definitionRefusal, sqlState } from '../errors.js'
import * as sql from '../sql.js'
import { lacksIdentity, standingColumns } from './columns.js'
import type { Ddl } from './ddl.js'
import { foreignKeyIndexRecord } from './planned.js'
import { withShortLocks } from './short-locks.js'
import { addKey, foreignKeyIndex, keyName, otherKeyName, targetColumns } from './statements.js'

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

  async #keyIndexesIn(
    session: Session,
    table: TableMapping,
    foreignKeys: readonly (readonly string[])[],
  ): Promise<void> {
    const { schema } = this.#ddl
    const key = table.key?.columns.map(({ column }) => column.name)
    const present = await indexedColumns(session, this.#ddl.tableName(table))
    if (key && !present.some((index) => index.unique && same(index.columns, key))) {
      // A user's own table may already have a primary key.
      const kind = table.source.primaryKey === null || present.some((index) => index.primary) ? 'UNIQUE' : 'PRIMARY KEY'
      const name = await freeKeyName(session, schema, table)
      await session.build(addKey(schema, table, kind, name))
      present.push({ unique: true, primary: kind === 'PRIMARY KEY', columns: key })
    }
    for (const columns of foreignKeys.map((sources) => targetColumns(table, sources))) {
      if (present.some((index) => same(index.columns.slice(0, columns.length), columns))) continue
      await this.#foreignKeyIndexIn(session, table, columns)
      present.push({ unique: false, primary: false, columns })
    }
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

/** The name may be taken: PostgreSQL gives it to a user's primary key, and keeps it when that table is renamed. */
async function freeKeyName(session: Session, schema: string, table: TableMapping): Promise<string> {
  const { rows } = await session.raw<{ taken: boolean }>('SELECT to_regclass($1) IS NOT NULL AS taken', [
    `${sql.name(schema)}.${sql.name(keyName(table))}`,
  ])
  return rows[0]?.taken ? otherKeyName(table) : keyName(table)
}

interface IndexedColumns {
  readonly unique: boolean
  readonly primary: boolean
  readonly columns: readonly string[]
}

async function indexedColumns(session: Session, table: string): Promise<IndexedColumns[]> {
  const { rows } = await session.raw<IndexedColumns & Row>(
    `SELECT x.indisunique AND x.indimmediate AS unique, x.indisprimary AS primary, array(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.n ORDER BY k.o) AS columns
     FROM pg_index x WHERE x.indrelid = $1::regclass AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL`,
    [table],
  )
  return rows
}
