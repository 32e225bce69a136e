import { type ConstraintState, ConstraintViolated, counted, type Edge, type TableMapping } from '@mylab-sync/core'
import { definitionRefusal } from '../errors.js'
import type { Session } from '../connection/database.js'
import * as sql from '../sql.js'
import type { Ddl } from './ddl.js'
import { digestOf } from './made-objects.js'
import { withShortLocks } from './short-locks.js'
import { addForeignKey } from './statements.js'

/** Builds and validates foreign keys between open tables. */
export class ForeignKeys {
  readonly #ddl: Ddl

  constructor(ddl: Ddl) {
    this.#ddl = ddl
  }

  async buildForeignKey(child: TableMapping, parent: TableMapping, edge: Edge): Promise<ConstraintState> {
    const at = { table: child.name, name: edge.name, kind: 'foreign-key', owned: true } as const
    const { held, isReferenceable, orphans } = await this.#ddl.database.transaction((session) =>
      this.#lookAt(session, { child, parent }, edge),
    )
    if (held === 'validated') {
      await this.#ddl.log.forget(child.name, edge.name)
      return { ...at, state: 'validated', detail: null }
    }
    if (!isReferenceable)
      return this.#ddl.log.record({ ...at, state: 'suspended', detail: 'the UNIQUE that it references does not exist' })
    // Re-created while misspelt children exist, the foreign key would roll back every drain that brings another one.
    if (orphans > 0 && edge.text && held === 'absent')
      return this.#ddl.log.record({
        ...at,
        state: 'suspended',
        detail: `${counted(orphans, 'row')} without a parent that is equal byte for byte`,
      })
    if (held === 'absent') {
      const refusal = await this.#add(child, parent, edge)
      if (refusal !== null) return this.#ddl.log.record({ ...at, state: 'suspended', detail: refusal })
    }
    if (orphans > 0)
      return this.#ddl.log.record({ ...at, state: 'not-valid', detail: `${counted(orphans, 'row')} without a parent` })
    return this.#validate(child, edge, at)
  }

  /** Returns why PostgreSQL refuses the foreign key, else null: a user's own table may have another type. */
  async #add(child: TableMapping, parent: TableMapping, edge: Edge): Promise<string | null> {
    const definition = addForeignKey(this.#ddl.schema, edge, { child, parent })
    const made = { kind: 'foreign-key', name: edge.name, definition: digestOf(definition), state: 'made' } as const
    try {
      await withShortLocks(this.#ddl.database, async (session) => {
        await session.raw(`${definition} NOT VALID`)
        await this.#ddl.made.note(session, child.name, [made])
      })
      return null
    } catch (error) {
      const refusal = definitionRefusal(error)
      if (refusal === null) throw error
      return refusal
    }
  }

  async #validate(
    child: TableMapping,
    edge: Edge,
    at: Pick<ConstraintState, 'table' | 'name' | 'kind' | 'owned'>,
  ): Promise<ConstraintState> {
    try {
      await withShortLocks(this.#ddl.database, (session) =>
        session.build(`ALTER TABLE ${this.#ddl.tableName(child)} VALIDATE CONSTRAINT ${sql.name(edge.name)}`),
      )
    } catch (error) {
      if (!(error instanceof ConstraintViolated)) throw error
      return this.#ddl.log.record({ ...at, state: 'not-valid', detail: 'rows without a parent' })
    }
    await this.#ddl.log.forget(child.name, edge.name)
    return { ...at, state: 'validated', detail: null }
  }

  /** Counts orphans only if the foreign key can stand and is not validated. */
  async #lookAt(
    session: Session,
    ends: { readonly child: TableMapping; readonly parent: TableMapping },
    edge: Edge,
  ): Promise<{ held: 'absent' | 'not-valid' | 'validated'; isReferenceable: boolean; orphans: number }> {
    const held = await this.#foreignKeyState(session, ends.child, edge.name)
    const isReferenceable = held !== 'validated' && (await this.#referenceable(session, ends.parent, edge))
    return { held, isReferenceable, orphans: isReferenceable ? await this.#orphans(session, ends, edge) : 0 }
  }

  async #foreignKeyState(
    session: Session,
    child: TableMapping,
    name: string,
  ): Promise<'absent' | 'not-valid' | 'validated'> {
    const { rows } = await session.raw<{ convalidated: boolean }>(
      "SELECT convalidated FROM pg_constraint WHERE conrelid = $1::regclass AND conname = $2 AND contype = 'f'",
      [this.#ddl.tableName(child), name],
    )
    const [row] = rows
    if (!row) return 'absent'
    return row.convalidated ? 'validated' : 'not-valid'
  }

  async #referenceable(session: Session, parent: TableMapping, edge: Edge): Promise<boolean> {
    const wanted = edge.parentKey.columns.map(({ column }) => column.name).sort()
    const { rows } = await session.raw<{ columns: string[] }>(
      `SELECT array(SELECT a.attname::text FROM unnest(x.indkey::int2[]) k(n) JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.n) AS columns
       FROM pg_index x WHERE x.indrelid = $1::regclass AND x.indisunique AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL`,
      [this.#ddl.tableName(parent)],
    )
    return rows.some((row) => [...row.columns].sort().join() === wanted.join())
  }

  async #orphans(
    session: Session,
    ends: { readonly child: TableMapping; readonly parent: TableMapping },
    edge: Edge,
  ): Promise<number> {
    const { rows } = await session.build<{ n: number }>(
      `SELECT count(*)::float8 AS n ${sql.orphans(this.#ddl.schema, edge, ends)}`,
    )
    return rows[0]?.n ?? 0
  }
}
