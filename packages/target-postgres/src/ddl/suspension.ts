import type { Edge, TableMapping, TableObjects, TargetConstraints, TargetTableName } from '@mylab-sync/core'
import { SQLSTATE } from '../sql-states.js'
import type { Session } from '../connection/database.js'
import * as sql from '../sql.js'
import { BROKEN } from './constraint-log.js'
import type { Ddl } from './ddl.js'
import { madeKey } from './made-objects.js'
import { withShortLocks } from './short-locks.js'
import { dropIndex, whyNoIndex } from './standing-indexes.js'

/** Shown to people: only the constraint's creator can re-create it. */
const NOT_OURS = "; it is not one of the source's"

type Violated = Parameters<TargetConstraints['suspend']>[0]

/** Drops constraints of the target's tables: those that source rows violate, and those that block a merge. */
export class Suspension {
  readonly #ddl: Ddl

  constructor(ddl: Ddl) {
    this.#ddl = ddl
  }

  /** Drops and records a constraint that source rows violate, and foreign keys that need it. It is rebuilt once it holds. */
  async suspend(violated: Violated, planned: boolean): Promise<void> {
    const { table, constraint: name, kind, schema = this.#ddl.schema } = violated
    await withShortLocks(this.#ddl.database, async (session) => {
      const target = sql.tableName(schema, { name: table })
      if (kind === 'unique') {
        for (const foreignKey of await referencing(session, target, name)) {
          await session.raw(`ALTER TABLE ${foreignKey.held_by} DROP CONSTRAINT ${sql.name(foreignKey.name)}`)
          const made = await this.#ddl.made.of(session, foreignKey.table)
          const owned = made.has(madeKey({ kind: 'foreign-key', name: foreignKey.name }))
          const detail = `the referenced UNIQUE ${name} of table ${table} is broken by rows of the source`
          await this.#ddl.log.recordIn(session, {
            ...foreignKey,
            kind: 'foreign-key',
            state: 'suspended',
            detail: owned ? detail : `${detail}${NOT_OURS}`,
            owned,
          })
        }
      }
      await session.raw(`ALTER TABLE ${target} DROP CONSTRAINT IF EXISTS ${sql.name(name)}`)
      // A unique index over expressions has no constraint.
      if (kind === 'unique' || kind === 'index') await dropIndex(session, this.#ddl.schema, { name: table }, { name })
      await this.#noteSuspended(session, violated, planned)
    })
  }

  async #noteSuspended(session: Session, { table, constraint: name, kind }: Violated, planned: boolean): Promise<void> {
    const made = { kind: kind === 'unique' ? 'index' : kind, name } as const
    const known = (await this.#ddl.made.of(session, table)).get(madeKey(made))
    if (kind === 'index' && known) return this.#ddl.made.note(session, table, [{ ...known, state: 'left-out' }])
    // The source has dropped the constraint, so it must not be rebuilt.
    if (known && !planned) return this.#ddl.made.forget(session, table, [made])
    const broken = kind === 'index' ? whyNoIndex(SQLSTATE.PROGRAM_LIMIT_EXCEEDED) : BROKEN
    const detail = planned ? broken : `${broken}${NOT_OURS}`
    await this.#ddl.log.recordIn(session, { table, name, kind, state: 'suspended', detail, owned: planned })
  }

  /**
   * Drops UNIQUEs and foreign keys before a merge. Until the table is open, rows that move between ranges exist twice, and
   * references may point to rows that have not arrived yet.
   */
  async loosenTable(table: TableMapping, objects: TableObjects, edges: readonly Edge[]): Promise<void> {
    const names = [
      ...edges.map((edge) => edge.name),
      ...objects.indexes.filter((index) => index.unique).map((index) => index.name),
    ]
    const key = (table.key?.columns ?? []).map(({ column }) => column.name).sort()
    await withShortLocks(this.#ddl.database, async (session) => {
      const { rows } = await session.raw<{ held_by: string; name: string }>(
        `SELECT conrelid::regclass::text AS held_by, conname AS name FROM pg_constraint
         WHERE (conrelid = $1::regclass OR confrelid = $1::regclass) AND conname = ANY($2) AND contype IN ('f', 'u')
         AND NOT (contype = 'u' AND (SELECT array_agg(a.attname::text ORDER BY a.attname COLLATE "C") FROM pg_attribute a WHERE a.attrelid = conrelid AND a.attnum = ANY (conkey)) = $3::text[])
         ORDER BY contype`,
        [this.#ddl.tableName(table), names, key],
      )
      for (const { held_by: holder, name } of rows)
        await session.raw(`ALTER TABLE ${holder} DROP CONSTRAINT ${sql.name(name)}`)
      for (const index of objects.indexes)
        if (index.unique && !index.deferrable) await dropIndex(session, this.#ddl.schema, table, index)
    })
  }
}

/** Foreign keys that depend on this UNIQUE of `target`. They must be dropped before it. */
async function referencing(
  session: Session,
  target: string,
  unique: string,
): Promise<{ held_by: string; table: TargetTableName; name: string }[]> {
  const { rows } = await session.raw<{ held_by: string; table: TargetTableName; name: string }>(
    `SELECT k.conrelid::regclass::text AS held_by, t.relname AS table, k.conname AS name
     FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_class u ON u.oid = k.conindid
     WHERE k.contype = 'f' AND k.confrelid = $1::regclass AND u.relname = $2`,
    [target, unique],
  )
  return rows
}
