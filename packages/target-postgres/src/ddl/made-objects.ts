import type { TargetTableName } from '@mylab-sync/core'
import { createHash } from 'node:crypto'
import type { Session } from '../connection/database.js'
import * as sql from '../sql.js'

/** `column`: type and NOT NULL as the mapping defined them; `counter`: the target's form of an AUTO_INCREMENT. */
export type MadeKind = 'column' | 'default' | 'counter' | 'not-null' | 'index' | 'check' | 'foreign-key'

export interface MadeObject {
  readonly kind: MadeKind
  readonly name: string
  readonly definition: string
  readonly state: 'made' | 'wanted' | 'left-out'
}

/** `sync_object`: the record of objects that we created. Every call runs in the session's transaction. */
export class MadeObjects {
  readonly #table: string

  constructor(stateSchema: string) {
    this.#table = `${sql.name(stateSchema)}.sync_object`
  }

  async of(session: Session, table: string): Promise<Map<string, MadeObject>> {
    const { rows } = await session.raw<MadeObject & Record<string, unknown>>(
      `SELECT kind, name, definition, state FROM ${this.#table} WHERE table_name = $1`,
      [table],
    )
    return new Map(rows.map((row) => [madeKey(row), row]))
  }

  /** Objects of all tables, except columns and defaults, which only a change of their own table reads. */
  async all(session: Session): Promise<(MadeObject & { readonly table: TargetTableName })[]> {
    const { rows } = await session.raw<MadeObject & { table: TargetTableName } & Record<string, unknown>>(
      `SELECT table_name AS table, kind, name, definition, state FROM ${this.#table} WHERE kind NOT IN ('column', 'default')`,
    )
    return rows
  }

  /** Tables whose columns are on record. */
  async tables(session: Session): Promise<ReadonlySet<string>> {
    const { rows } = await session.raw<{ name: string }>(
      `SELECT DISTINCT table_name AS name FROM ${this.#table} WHERE kind = 'column'`,
    )
    return new Set(rows.map(({ name }) => name))
  }

  note(session: Session, table: string, objects: readonly MadeObject[]): Promise<void> {
    return this.noteAll(session, new Map([[table, objects]]))
  }

  /** Records objects by table. */
  async noteAll(session: Session, made: ReadonlyMap<string, readonly MadeObject[]>): Promise<void> {
    const objects = [...made].flatMap(([table, ofTable]) => ofTable.map((object) => ({ ...object, table })))
    if (objects.length === 0) return
    const array = (of: (object: (typeof objects)[number]) => string): string[] => objects.map(of)
    await session.raw(
      `INSERT INTO ${this.#table} (table_name, kind, name, definition, state)
       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
       ON CONFLICT (table_name, kind, name) DO UPDATE SET definition = EXCLUDED.definition, state = EXCLUDED.state`,
      [
        array((object) => object.table),
        array((object) => object.kind),
        array((object) => object.name),
        array((object) => object.definition),
        array((object) => object.state),
      ],
    )
  }

  async clear(session: Session, tables: readonly string[]): Promise<void> {
    await session.raw(`DELETE FROM ${this.#table} WHERE table_name = ANY ($1)`, [tables])
  }

  async forget(session: Session, table: string, objects: readonly Pick<MadeObject, 'kind' | 'name'>[]): Promise<void> {
    if (objects.length === 0) return
    await session.raw(
      `DELETE FROM ${this.#table} WHERE table_name = $1 AND (kind, name) IN (SELECT * FROM unnest($2::text[], $3::text[]))`,
      [table, objects.map(({ kind }) => kind), objects.map(({ name }) => name)],
    )
  }
}

export function madeKey({ kind, name }: Pick<MadeObject, 'kind' | 'name'>): string {
  return `${kind} ${name}`
}

/** Definitions are only compared, never run again, so a digest is enough to detect a change. */
export function digestOf(statement: string): string {
  return createHash('sha256').update(statement).digest('hex').slice(0, 16)
}
