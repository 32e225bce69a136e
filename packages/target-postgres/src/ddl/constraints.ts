import {
  type CheckPlan,
  type ConstraintState,
  ConstraintViolated,
  counted,
  type Edge,
  type IndexPlan,
  SyncError,
  type TableMapping,
  type TableObjects,
} from '@mylab-sync/core'
import { setTimeout } from 'node:timers/promises'
import type { Database, Row, Session } from '../connection/database.js'
import { definitionRefusal, mapped, sqlState } from '../errors.js'
import * as sql from '../sql.js'
import {
  addCheck,
  addForeignKey,
  addKey,
  addUnique,
  createIndex,
  foreignKeyIndex,
  keyName,
  otherKeyName,
  targetColumns,
} from './statements.js'

const LOCK = ["SET LOCAL lock_timeout = '2s'"]
const LOCK_TRIES = 10
/** For whoever made it to make it again. Its definition may hold values. */
const NOT_OURS = '; it is not one of the source'
/** Those who queued behind us get their turn. */
const LOCK_PAUSE_MS = 200

/** Indexes and constraints of the target's tables, each in short transactions of its own. */
export class Constraints {
  readonly #database: Database
  readonly #state: string

  constructor(database: Database) {
    this.#database = database
    this.#state = sql.name(database.settings.stateSchema)
  }

  #table(table: Pick<TableMapping, 'name'>): string {
    return sql.tableName(this.#database.settings.schema, table)
  }

  /** The key's index, and one on every given column set; where they stand already, nothing. */
  async buildKeyIndexes(table: TableMapping, foreignKeys: readonly (readonly string[])[]): Promise<void> {
    const { schema } = this.#database.settings
    const key = table.key?.columns.map(({ column }) => column.name)
    await this.#short(async (session) => {
      const present = await indexedColumns(session, this.#table(table))
      if (key && !present.some((index) => index.unique && same(index.columns, key))) {
        // A table of the user's may have a primary key of its own.
        const kind =
          table.source.primaryKey === null || present.some((index) => index.primary) ? 'UNIQUE' : 'PRIMARY KEY'
        const name = await freeKeyName(session, schema, table)
        await session.build(addKey(schema, table, kind, name))
        present.push({ unique: true, primary: kind === 'PRIMARY KEY', columns: key })
      }
      for (const columns of foreignKeys.map((sources) => targetColumns(table, sources))) {
        if (present.some((index) => same(index.columns.slice(0, columns.length), columns))) continue
        await session.build(foreignKeyIndex(schema, table, columns))
        present.push({ unique: false, primary: false, columns })
      }
    })
  }

  /** The key's index on a table that may hold rows of an older key. Returns what a human has to run first. */
  async buildKey(table: TableMapping): Promise<string[]> {
    try {
      await this.buildKeyIndexes(table, [])
      return []
    } catch (error) {
      const refusal = definitionRefusal(error)
      if (refusal === null) throw error
      return [`TRUNCATE TABLE ${this.#table(table)} /* no new key: ${refusal} */`]
    }
  }

  /** The other indexes and UNIQUEs, concurrently. What cannot be built is recorded as suspended, and returned in sentences. */
  async buildIndexes(table: TableMapping, objects: TableObjects): Promise<string[]> {
    const present = await this.#database.transaction((session) => indexNames(session, this.#table(table)))
    const suspended = new Map(
      (await this.constraints())
        .filter((c) => c.state === 'suspended' && c.table === table.name)
        .map((c) => [c.name, c]),
    )
    const problems: string[] = []
    for (const index of objects.indexes) {
      const standing = present.get(index.name)
      if (standing === 'constraint' || (standing === 'index' && !index.deferrable)) continue
      const known = suspended.get(index.name)
      const problem = await this.#buildIndex(table, index, standing)
      if (problem !== null) {
        problems.push(`${table.name}: ${problem}`)
        if (known?.detail !== problem)
          await this.#record({
            table: table.name,
            name: index.name,
            kind: 'unique',
            state: 'suspended',
            detail: problem,
          })
      } else if (known) await this.#forget(table.name, index.name)
    }
    return problems
  }

  async #buildIndex(table: TableMapping, index: IndexPlan, found: string | undefined): Promise<string | null> {
    const target = this.#table(table)
    try {
      await this.#database.outside(async (session) => {
        if (found === 'invalid') await this.#dropIndex(session, table, index.name, 'CONCURRENTLY ')
        if (found !== 'index') await session.build(createIndex(target, index, 'CONCURRENTLY '))
      })
      if (index.deferrable) {
        await this.#short((session) => session.raw(addUnique(target, index)))
      }
      return null
    } catch (error) {
      const cause = mapped(error)
      // The built index stays: the next time only the constraint is missing.
      if (cause instanceof SyncError && cause.code === 'lock-timeout' && error === cause)
        return `index ${index.name} is not made a constraint yet: ${cause.message}`
      if (cause instanceof SyncError && cause.code === 'lost-connection') throw cause
      await this.#database.outside((session) => this.#dropIndex(session, table, index.name, 'CONCURRENTLY '))
      return `index ${index.name} cannot be built: ${whyNoIndex(sqlState(error instanceof SyncError ? error.cause : error))}`
    }
  }

  /** Suspended CHECKs that all rows hold now. */
  async buildChecks(table: TableMapping, objects: TableObjects): Promise<void> {
    const suspended = (await this.constraints()).filter(
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
    if (isBroken) return
    const drop = `ALTER TABLE ${target} DROP CONSTRAINT IF EXISTS ${sql.name(name)}`
    // One that was left before it was validated is in the way. Nobody waits while the rows are read.
    await this.#short(async (session) => {
      await session.raw(drop)
      await session.raw(addCheck(target, { name, expression }))
    })
    try {
      await this.#short((session) => session.build(`ALTER TABLE ${target} VALIDATE CONSTRAINT ${sql.name(name)}`))
    } catch (error) {
      if (!(error instanceof ConstraintViolated)) throw error
      return this.#short((session) => session.raw(drop))
    }
    await this.#forget(table.name, name)
  }

  async buildForeignKey(child: TableMapping, parent: TableMapping, edge: Edge): Promise<ConstraintState> {
    const at = { table: child.name, name: edge.name, kind: 'foreign-key' } as const
    const held = await this.#foreignKeyState(child, edge.name)
    if (held === 'validated') {
      await this.#forget(child.name, edge.name)
      return { ...at, state: 'validated', detail: null }
    }
    if (!(await this.#referenceable(parent, edge)))
      return this.#record({
        ...at,
        state: 'suspended',
        detail: 'not carried: no unique index covers the referenced columns',
      })
    const orphans = await this.#orphans(child, parent, edge)
    // Re-created while misspelt children exist, it would roll back every drain that brings another one.
    if (orphans > 0 && edge.text && held === 'absent')
      return this.#record({
        ...at,
        state: 'suspended',
        detail: `${counted(orphans, 'row')} without a parent that is equal byte for byte`,
      })
    if (held === 'absent') {
      const { schema } = this.#database.settings
      await this.#short((session) => session.raw(`${addForeignKey(schema, edge, { child, parent })} NOT VALID`))
    }
    if (orphans > 0)
      return this.#record({ ...at, state: 'not-valid', detail: `${counted(orphans, 'row')} without a parent` })
    return this.#validate(child, edge, at)
  }

  async #validate(
    child: TableMapping,
    edge: Edge,
    at: { table: string; name: string; kind: 'foreign-key' },
  ): Promise<ConstraintState> {
    try {
      await this.#short((session) =>
        session.build(`ALTER TABLE ${this.#table(child)} VALIDATE CONSTRAINT ${sql.name(edge.name)}`),
      )
    } catch (error) {
      if (!(error instanceof ConstraintViolated)) throw error
      return this.#record({ ...at, state: 'not-valid', detail: 'rows without a parent' })
    }
    await this.#forget(child.name, edge.name)
    return { ...at, state: 'validated', detail: null }
  }

  async #foreignKeyState(child: TableMapping, name: string): Promise<'absent' | 'not-valid' | 'validated'> {
    return this.#database.transaction(async (session) => {
      const { rows } = await session.raw<{ convalidated: boolean }>(
        "SELECT convalidated FROM pg_constraint WHERE conrelid = $1::regclass AND conname = $2 AND contype = 'f'",
        [this.#table(child), name],
      )
      const [row] = rows
      if (!row) return 'absent'
      return row.convalidated ? 'validated' : 'not-valid'
    })
  }

  async #referenceable(parent: TableMapping, edge: Edge): Promise<boolean> {
    const wanted = edge.parentKey.columns.map(({ column }) => column.name).sort()
    return this.#database.transaction(async (session) => {
      const { rows } = await session.raw<{ columns: string[] }>(
        `SELECT array(SELECT a.attname::text FROM unnest(x.indkey::int2[]) k(n) JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.n) AS columns
         FROM pg_index x WHERE x.indrelid = $1::regclass AND x.indisunique AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL`,
        [this.#table(parent)],
      )
      return rows.some((row) => same([...row.columns].sort(), wanted))
    })
  }

  async #orphans(child: TableMapping, parent: TableMapping, edge: Edge): Promise<number> {
    const orphans = sql.orphans(this.#database.settings.schema, edge, { child, parent })
    return this.#database.transaction(async (session) => {
      const { rows } = await session.build<{ n: number }>(`SELECT count(*)::float8 AS n ${orphans}`)
      return rows[0]?.n ?? 0
    })
  }

  /** Drops what the truth breaks, with the foreign keys that stand on it, and records it; it is built again when it holds. */
  async suspend(
    violated: { table: string; constraint: string; kind: ConstraintState['kind'] },
    planned: boolean,
  ): Promise<void> {
    const { table, constraint: name, kind } = violated
    await this.#short(async (session) => {
      const target = this.#table({ name: table })
      if (kind === 'unique') {
        for (const foreignKey of await referencing(session, target, name)) {
          await session.raw(`ALTER TABLE ${foreignKey.held_by} DROP CONSTRAINT ${sql.name(foreignKey.name)}`)
          const detail = `the referenced UNIQUE ${name} of table ${table} is broken by rows of the source`
          await this.#recordIn(session, { ...foreignKey, kind: 'foreign-key', state: 'suspended', detail })
        }
      }
      await session.raw(`ALTER TABLE ${target} DROP CONSTRAINT IF EXISTS ${sql.name(name)}`)
      if (kind === 'unique') {
        // A unique index over expressions is no constraint.
        await this.#dropIndex(session, { name: table }, name)
      }
      const detail = `broken by rows of the source${planned ? '' : NOT_OURS}`
      await this.#recordIn(session, { table, name, kind, state: 'suspended', detail })
    })
  }

  async forgetConstraints(table: TableMapping, planned: readonly string[]): Promise<void> {
    await this.#database.transaction((session) =>
      session.raw(
        `DELETE FROM ${this.#state}.sync_constraint WHERE table_name = $1 AND name <> ALL ($2) AND strpos(coalesce(detail, ''), $3) = 0`,
        [table.name, planned, NOT_OURS],
      ),
    )
  }

  /** Rows that move between ranges exist twice until the table is open, and references lead to rows that are not there yet. */
  async loosenTable(table: TableMapping, objects: TableObjects, edges: readonly Edge[]): Promise<void> {
    const names = [
      ...edges.map((edge) => edge.name),
      ...objects.indexes.filter((index) => index.unique).map((index) => index.name),
    ]
    const key = (table.key?.columns ?? []).map(({ column }) => column.name).sort()
    await this.#short(async (session) => {
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
    const present = await indexNames(session, this.#table(table))
    if (present.has(name))
      await session.raw(`DROP INDEX ${how}${sql.name(this.#database.settings.schema)}.${sql.name(name)}`)
  }

  async constraints(): Promise<ConstraintState[]> {
    return this.#database.transaction(async (session) => {
      const { rows } = await session.raw<{
        table_name: string
        name: string
        kind: ConstraintState['kind']
        state: ConstraintState['state']
        detail: string | null
      }>(`SELECT table_name, name, kind, state, detail FROM ${this.#state}.sync_constraint ORDER BY 1, 2`)
      return rows.map((row) => ({
        table: row.table_name,
        name: row.name,
        kind: row.kind,
        state: row.state,
        detail: row.detail,
      }))
    })
  }

  async #record(state: ConstraintState): Promise<ConstraintState> {
    await this.#database.transaction((session) => this.#recordIn(session, state))
    return state
  }

  async #recordIn(session: Session, { table, name, kind, state, detail }: ConstraintState): Promise<void> {
    await session.raw(
      `INSERT INTO ${this.#state}.sync_constraint (table_name, name, kind, state, detail) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (table_name, name) DO UPDATE SET kind = EXCLUDED.kind, state = EXCLUDED.state, detail = EXCLUDED.detail`,
      [table, name, kind, state, detail],
    )
  }

  async #forget(table: string, name: string): Promise<void> {
    await this.#database.transaction((session) =>
      session.raw(`DELETE FROM ${this.#state}.sync_constraint WHERE table_name = $1 AND name = $2`, [table, name]),
    )
  }

  /** A definition's locks are waited for 2 s at a time, so that nobody queues behind us for longer. */
  async #short(work: (session: Session) => Promise<unknown>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#database.transaction(work, LOCK)
        return
      } catch (error) {
        if (!(error instanceof SyncError) || error.code !== 'lock-timeout' || attempt >= LOCK_TRIES) throw error
        await setTimeout(LOCK_PAUSE_MS)
      }
    }
  }
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

/** Name of each index of a table -> 'constraint', 'index', or 'invalid' where a concurrent build was interrupted. */
async function indexNames(session: Session, table: string): Promise<Map<string, string>> {
  const { rows } = await session.raw<{ name: string; kind: string }>(
    `SELECT c.relname AS name, CASE WHEN NOT x.indisvalid THEN 'invalid' WHEN k.oid IS NOT NULL THEN 'constraint' ELSE 'index' END AS kind
     FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.contype IN ('u', 'p') WHERE x.indrelid = $1::regclass`,
    [table],
  )
  return new Map(rows.map((row) => [row.name, row.kind]))
}
