import {
  type CheckPlan,
  type ConstraintState,
  ConstraintViolated,
  type Edge,
  type IndexPlan,
  SyncError,
  type TableMapping,
  type TableObjects,
} from '@mylab-sync/core'
import type { Database, Row, Session } from '../connection/database.js'
import { definitionRefusal, mapped, sqlState } from '../errors.js'
import * as sql from '../sql.js'
import { lacksIdentity, standingColumns } from './columns.js'
import { type MadeObject, MadeObjects, madeKey } from './made-objects.js'
import { checkRecord, foreignKeyIndexRecord, indexRecord } from './planned.js'
import { ConstraintRecord, withShortLocks } from './record.js'
import {
  addCheck,
  addKey,
  addUnique,
  createIndex,
  foreignKeyIndex,
  keyName,
  otherKeyName,
  targetColumns,
} from './statements.js'

/** Of an index entry. */
const TOO_LONG = '54000'
const BROKEN = 'broken by rows of the source'

/** Indexes and constraints of the target's tables, each in short transactions of its own. */
export class Constraints {
  readonly #database: Database
  readonly #record: ConstraintRecord
  readonly #made: MadeObjects

  constructor(database: Database) {
    this.#database = database
    this.#record = new ConstraintRecord(database)
    this.#made = new MadeObjects(database.settings.stateSchema)
  }

  #table(table: Pick<TableMapping, 'name'>): string {
    return sql.tableName(this.#database.settings.schema, table)
  }

  /** The key's index, and one on every given column set; where they stand already, nothing. */
  async buildKeyIndexes(table: TableMapping, foreignKeys: readonly (readonly string[])[]): Promise<void> {
    await withShortLocks(this.#database, (session) => this.#keyIndexesIn(session, table, foreignKeys))
  }

  async #keyIndexesIn(
    session: Session,
    table: TableMapping,
    foreignKeys: readonly (readonly string[])[],
  ): Promise<void> {
    const { schema } = this.#database.settings
    const key = table.key?.columns.map(({ column }) => column.name)
    const present = await indexedColumns(session, this.#table(table))
    if (key && !present.some((index) => index.unique && same(index.columns, key))) {
      // A table of the user's may have a primary key of its own.
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

  /** Look-ups go faster with it, and right without: a value that is too long for it leaves it out. */
  async #foreignKeyIndexIn(session: Session, table: TableMapping, columns: readonly string[]): Promise<void> {
    const { schema } = this.#database.settings
    const record = foreignKeyIndexRecord(schema, table, columns)
    await session.raw('SAVEPOINT foreign_key_index')
    try {
      await session.build(foreignKeyIndex(schema, table, columns))
      await this.#made.note(session, table.name, [record])
    } catch (error) {
      if (sqlState(error) !== TOO_LONG) throw error
      await session.raw('ROLLBACK TO SAVEPOINT foreign_key_index')
      await this.#made.note(session, table.name, [{ ...record, state: 'left-out' }])
    }
    await session.raw('RELEASE SAVEPOINT foreign_key_index')
  }

  /**
   * The key's index on a table that may hold rows of an older key: rows without the new one, or with one that another
   * has too, go; the copy that follows brings the source's. Returns what a human has to run first: with `wait`, and where
   * such rows hold values of the user's own columns.
   */
  async buildKey(table: TableMapping, { wait }: { readonly wait: boolean }): Promise<string[]> {
    try {
      await this.buildKeyIndexes(table, [])
      return []
    } catch (error) {
      const refusal = definitionRefusal(error)
      if (refusal === null) throw error
      const left = [`TRUNCATE TABLE ${this.#table(table)} /* no new key: ${refusal} */`]
      if (wait || (await this.#holdsOthers(table))) return left
      return (await this.#keyByForce(table)) ? [] : left
    }
  }

  /** False where PostgreSQL refuses it. */
  async #keyByForce(table: TableMapping): Promise<boolean> {
    for (const empty of [dropUnkeyed, dropAll]) {
      try {
        await withShortLocks(this.#database, async (session) => {
          const target = this.#table(table)
          // Without a key PostgreSQL deletes no row of a table that is published.
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

  /** Values in columns that were never the source's. */
  async #holdsOthers(table: TableMapping): Promise<boolean> {
    const target = this.#table(table)
    return this.#database.transaction(async (session) => {
      const known = await this.#made.of(session, table.name)
      const ours = new Set([...table.columns.map(({ name }) => name), ...[...known.values()].map(({ name }) => name)])
      const others = (await standingColumns(session, target)).filter(({ name }) => !ours.has(name))
      if (others.length === 0) return false
      const held = others.map(({ name }) => `${sql.name(name)} IS NOT NULL`).join(' OR ')
      const { rows } = await session.build(`SELECT FROM ${target} WHERE ${held} LIMIT 1`)
      return rows.length > 0
    })
  }

  /** The other indexes and UNIQUEs, concurrently, and CHECKs. What cannot be built is recorded as suspended, and returned in sentences. */
  async buildIndexes(table: TableMapping, objects: TableObjects): Promise<string[]> {
    const present = await this.#database.transaction((session) => objectNames(session, this.#table(table)))
    const isMissing = (index: IndexPlan): boolean => {
      const standing = present.get(index.name)
      return standing !== 'constraint' && (standing !== 'index' || index.deferrable)
    }
    const indexes = objects.indexes.filter(isMissing)
    const checks = objects.checks.filter(({ name }) => !present.has(name))
    if (indexes.length === 0 && checks.length === 0) return []
    const suspended = new Set(
      (await this.#record.constraints())
        .filter((c) => c.state === 'suspended' && c.table === table.name)
        .map(({ name }) => name),
    )
    for (const check of checks) if (!suspended.has(check.name)) await this.#buildCheck(table, check)
    const known = await this.#database.transaction((session) => this.#made.of(session, table.name))
    const problems: string[] = []
    for (const index of indexes) {
      if (isLeftOut(known, indexRecord(this.#table(table), index))) continue
      const problem = await this.#buildIndex(table, index, present.get(index.name))
      if (problem !== null) {
        problems.push(`${table.name}: ${problem}`)
        await this.#record.record({
          table: table.name,
          name: index.name,
          kind: 'unique',
          state: 'suspended',
          detail: problem,
          owned: true,
        })
      } else if (suspended.has(index.name)) await this.#record.forget(table.name, index.name)
    }
    return problems
  }

  /** Null where it stands, or is left out, being no UNIQUE and too narrow for a value. */
  async #buildIndex(table: TableMapping, index: IndexPlan, found: string | undefined): Promise<string | null> {
    const target = this.#table(table)
    const record = indexRecord(target, index)
    try {
      await this.#database.outside(async (session) => {
        if (found === 'invalid') await this.#dropIndex(session, table, index.name, 'CONCURRENTLY ')
        if (found !== 'index') await session.build(createIndex(target, index, 'CONCURRENTLY '))
      })
      await withShortLocks(this.#database, async (session) => {
        if (index.deferrable) await session.raw(addUnique(target, index))
        await this.#made.note(session, table.name, [record])
      })
      return null
    } catch (error) {
      const cause = mapped(error)
      // The built index stays: the next time only the constraint is missing.
      if (cause instanceof SyncError && cause.code === 'lock-timeout' && error === cause)
        return `index ${index.name} is not made a constraint yet: ${cause.message}`
      if (cause instanceof SyncError && cause.code === 'lost-connection') throw cause
      await this.#database.outside((session) => this.#dropIndex(session, table, index.name, 'CONCURRENTLY '))
      const code = sqlState(error instanceof SyncError ? error.cause : error)
      if (code !== TOO_LONG || index.unique) return `index ${index.name} cannot be built: ${whyNoIndex(code)}`
      await this.#database.transaction((session) =>
        this.#made.note(session, table.name, [{ ...record, state: 'left-out' }]),
      )
      return null
    }
  }

  /** Suspended CHECKs that all rows hold now. */
  async buildChecks(table: TableMapping, objects: TableObjects): Promise<void> {
    const suspended = (await this.#record.constraints()).filter(
      ({ table: of, kind, state }) => of === table.name && kind === 'check' && state === 'suspended',
    )
    for (const check of objects.checks)
      if (suspended.some(({ name }) => name === check.name)) await this.#buildCheck(table, check)
  }

  async #buildCheck(table: TableMapping, { name, expression }: CheckPlan): Promise<void> {
    const target = this.#table(table)
    const isBroken = await this.#database.transaction(async (session) => {
      const { rows } = await session.build(`SELECT FROM ${target} WHERE (${expression}) IS FALSE LIMIT 1`)
      return rows.length > 0
    })
    if (isBroken) return this.#recordBroken(table, name)
    const drop = `ALTER TABLE ${target} DROP CONSTRAINT IF EXISTS ${sql.name(name)}`
    // One that was left before it was validated is in the way. Nobody waits while the rows are read.
    await withShortLocks(this.#database, async (session) => {
      await session.raw(drop)
      await session.raw(addCheck(target, { name, expression }))
      await this.#made.note(session, table.name, [checkRecord(target, { name, expression })])
    })
    try {
      await withShortLocks(this.#database, (session) =>
        session.build(`ALTER TABLE ${target} VALIDATE CONSTRAINT ${sql.name(name)}`),
      )
    } catch (error) {
      if (!(error instanceof ConstraintViolated)) throw error
      await withShortLocks(this.#database, (session) => session.raw(drop))
      return this.#recordBroken(table, name)
    }
    await this.#record.forget(table.name, name)
  }

  async #recordBroken(table: TableMapping, name: string): Promise<void> {
    await this.#record.record({
      table: table.name,
      name,
      kind: 'check',
      state: 'suspended',
      detail: BROKEN,
      owned: true,
    })
  }

  /** Drops what the truth breaks, with the foreign keys that stand on it, and records it; it is built again when it holds. */
  async suspend(
    violated: { table: string; constraint: string; kind: ConstraintState['kind']; schema?: string | undefined },
    planned: boolean,
  ): Promise<void> {
    const { table, constraint: name, kind, schema = this.#database.settings.schema } = violated
    await withShortLocks(this.#database, async (session) => {
      const target = sql.tableName(schema, { name: table })
      if (kind === 'unique') {
        for (const foreignKey of await referencing(session, target, name)) {
          await session.raw(`ALTER TABLE ${foreignKey.held_by} DROP CONSTRAINT ${sql.name(foreignKey.name)}`)
          const detail = `the referenced UNIQUE ${name} of table ${table} is broken by rows of the source`
          await this.#record.recordIn(session, {
            ...foreignKey,
            kind: 'foreign-key',
            state: 'suspended',
            detail,
            owned: true,
          })
        }
      }
      await session.raw(`ALTER TABLE ${target} DROP CONSTRAINT IF EXISTS ${sql.name(name)}`)
      // A unique index over expressions is no constraint.
      if (kind === 'unique' || kind === 'index') await this.#dropIndex(session, { name: table }, name)
      await this.#noteSuspended(session, violated, planned)
    })
  }

  async #noteSuspended(
    session: Session,
    { table, constraint: name, kind }: { table: string; constraint: string; kind: ConstraintState['kind'] },
    planned: boolean,
  ): Promise<void> {
    const made = { kind: kind === 'unique' ? 'index' : kind, name } as const
    const known = (await this.#made.of(session, table)).get(madeKey(made))
    if (kind === 'index' && known) return this.#made.note(session, table, [{ ...known, state: 'left-out' }])
    // The source has dropped it: nobody is to make it again.
    if (known && !planned) return this.#made.forget(session, table, [made])
    const broken = kind === 'index' ? whyNoIndex(TOO_LONG) : BROKEN
    const detail = planned ? broken : `${broken}; it is not one of the source`
    await this.#record.recordIn(session, { table, name, kind, state: 'suspended', detail, owned: planned })
  }

  /** Rows that move between ranges exist twice until the table is open, and references lead to rows that are not there yet. */
  async loosenTable(table: TableMapping, objects: TableObjects, edges: readonly Edge[]): Promise<void> {
    const names = [
      ...edges.map((edge) => edge.name),
      ...objects.indexes.filter((index) => index.unique).map((index) => index.name),
    ]
    const key = (table.key?.columns ?? []).map(({ column }) => column.name).sort()
    await withShortLocks(this.#database, async (session) => {
      const { rows } = await session.raw<{ held_by: string; name: string }>(
        `SELECT conrelid::regclass::text AS held_by, conname AS name FROM pg_constraint
         WHERE (conrelid = $1::regclass OR confrelid = $1::regclass) AND conname = ANY($2) AND contype IN ('f', 'u')
         AND NOT (contype = 'u' AND (SELECT array_agg(a.attname::text ORDER BY a.attname COLLATE "C") FROM pg_attribute a WHERE a.attrelid = conrelid AND a.attnum = ANY (conkey)) = $3::text[])
         ORDER BY contype`,
        [this.#table(table), names, key],
      )
      for (const { held_by: holder, name } of rows)
        await session.raw(`ALTER TABLE ${holder} DROP CONSTRAINT ${sql.name(name)}`)
      for (const index of objects.indexes)
        if (index.unique && !index.deferrable) await this.#dropIndex(session, table, index.name)
    })
  }

  /** Drops this index of this table, if there is one: another table may have an index of that name. */
  async #dropIndex(
    session: Session,
    table: Pick<TableMapping, 'name'>,
    name: string,
    how: 'CONCURRENTLY ' | '' = '',
  ): Promise<void> {
    const present = await objectNames(session, this.#table(table))
    if (present.has(name))
      await session.raw(`DROP INDEX ${how}${sql.name(this.#database.settings.schema)}.${sql.name(name)}`)
  }
}

function isLeftOut(known: ReadonlyMap<string, MadeObject>, record: MadeObject): boolean {
  const before = known.get(madeKey(record))
  return before?.state === 'left-out' && before.definition === record.definition
}

/** Rows that no other key than their own leads to stay: the copy writes over them. */
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

function whyNoIndex(code: string): string {
  if (code === '23505') return 'rows hold equal values'
  if (code === '54000') return 'a value is too long for an index'
  return `SQLSTATE ${code}`
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at])
}

/** PostgreSQL names the primary key of a table of the user's likewise, and keeps the name when the table has another. */
async function freeKeyName(session: Session, schema: string, table: TableMapping): Promise<string> {
  const { rows } = await session.raw<{ taken: boolean }>('SELECT to_regclass($1) IS NOT NULL AS taken', [
    `${sql.name(schema)}.${sql.name(keyName(table))}`,
  ])
  return rows[0]?.taken ? otherKeyName(table) : keyName(table)
}

/** Foreign keys that stand on this UNIQUE of `target`: it cannot be dropped before them. */
async function referencing(
  session: Session,
  target: string,
  unique: string,
): Promise<{ held_by: string; table: string; name: string }[]> {
  const { rows } = await session.raw<{ held_by: string; table: string; name: string }>(
    `SELECT k.conrelid::regclass::text AS held_by, t.relname AS table, k.conname AS name
     FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_class u ON u.oid = k.conindid
     WHERE k.contype = 'f' AND k.confrelid = $1::regclass AND u.relname = $2`,
    [target, unique],
  )
  return rows
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

/** Name of each index and CHECK of a table -> 'constraint', 'index', or 'invalid' where a concurrent build was interrupted. */
async function objectNames(session: Session, table: string): Promise<Map<string, string>> {
  const { rows } = await session.raw<{ name: string; kind: string }>(
    `SELECT c.relname AS name, CASE WHEN NOT x.indisvalid THEN 'invalid' WHEN k.oid IS NOT NULL THEN 'constraint' ELSE 'index' END AS kind
     FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.contype IN ('u', 'p') WHERE x.indrelid = $1::regclass
     UNION ALL SELECT conname, 'constraint' FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c'`,
    [table],
  )
  return new Map(rows.map((row) => [row.name, row.kind]))
}
