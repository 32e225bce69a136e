import {
  type ConstraintState,
  ConstraintViolated,
  counted,
  type Edge,
  type ForeignKeyEnds,
  type TableMapping,
} from '@mylab-sync/core'
import { definitionRefusal } from '../errors.js'
import type { Session } from '../connection/database.js'
import * as sql from '../sql.js'
import type { Ddl } from './ddl.js'
import { digestOf, type MadeObject } from './made-objects.js'
import { together, withShortLocks } from './short-locks.js'
import { addForeignKey } from './statements.js'

/** Builds and validates foreign keys between open tables. */
export class ForeignKeys {
  readonly #ddl: Ddl

  constructor(ddl: Ddl) {
    this.#ddl = ddl
  }

  /**
   * Builds those that are new, and returns those that are validated now. A text edge is not among them: its orphans are counted
   * before it stands.
   */
  async buildTogether(foreignKeys: readonly ForeignKeyEnds[]): Promise<ReadonlyMap<ForeignKeyEnds, ConstraintState>> {
    const { database, made, log } = this.#ddl
    const added: ForeignKeyEnds[] = []
    const isAdded = await together(database, async (session) => {
      const standing = await this.#standing(session, foreignKeys)
      const referenceable = await this.#referenceableColumns(session, foreignKeys)
      added.push(
        ...foreignKeys.filter(({ child, parent, edge }) => {
          const isReferenceable = referenceable.get(parent.name)?.has(columnsText(edge))
          return !edge.text && isReferenceable && !standing.get(child.name)?.has(edge.name)
        }),
      )
      if (added.length === 0) return
      const definitions = added.map((ends) => addForeignKey(this.#ddl.schema, ends.edge, ends))
      await session.raw(definitions.map((definition) => `${definition} NOT VALID`).join('; '))
      const records = new Map<string, MadeObject[]>()
      for (const [at, { child, edge }] of added.entries())
        records.set(child.name, [...(records.get(child.name) ?? []), foreignKeyRecord(edge, definitions[at] ?? '')])
      await made.noteAll(session, records)
    })
    if (!isAdded || added.length === 0) return new Map()
    // In a transaction of its own: only the definitions need locks that writers wait for.
    const isValidated = await together(database, async (session) => {
      await session.build(added.map(({ child, edge }) => this.#validation(child, edge)).join('; '))
      await log.forgetAllIn(
        session,
        added.map(({ child, edge }) => ({ table: child.name, name: edge.name })),
      )
    })
    return new Map(
      isValidated ? added.map((ends) => [ends, { ...placeOf(ends), state: 'validated', detail: null }]) : [],
    )
  }

  async build({ child, parent, edge }: ForeignKeyEnds): Promise<ConstraintState> {
    const at = placeOf({ child, edge })
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
    try {
      await withShortLocks(this.#ddl.database, async (session) => {
        await session.raw(`${definition} NOT VALID`)
        await this.#ddl.made.note(session, child.name, [foreignKeyRecord(edge, definition)])
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
      await withShortLocks(this.#ddl.database, (session) => session.build(this.#validation(child, edge)))
    } catch (error) {
      if (!(error instanceof ConstraintViolated)) throw error
      return this.#ddl.log.record({ ...at, state: 'not-valid', detail: 'rows without a parent' })
    }
    await this.#ddl.log.forget(child.name, edge.name)
    return { ...at, state: 'validated', detail: null }
  }

  #validation(child: TableMapping, edge: Edge): string {
    return `ALTER TABLE ${this.#ddl.tableName(child)} VALIDATE CONSTRAINT ${sql.name(edge.name)}`
  }

  /** Counts orphans only if the foreign key can stand and is not validated. */
  async #lookAt(
    session: Session,
    ends: { readonly child: TableMapping; readonly parent: TableMapping },
    edge: Edge,
  ): Promise<{ held: 'absent' | 'not-valid' | 'validated'; isReferenceable: boolean; orphans: number }> {
    const held = await this.#foreignKeyState(session, ends.child, edge)
    const isReferenceable =
      held !== 'validated' &&
      (await this.#referenceableColumns(session, [ends])).get(ends.parent.name)?.has(columnsText(edge)) === true
    return { held, isReferenceable, orphans: isReferenceable ? await this.#orphans(session, ends, edge) : 0 }
  }

  async #foreignKeyState(
    session: Session,
    child: TableMapping,
    edge: Edge,
  ): Promise<'absent' | 'not-valid' | 'validated'> {
    const isValidated = (await this.#standing(session, [{ child }])).get(child.name)?.get(edge.name)
    if (isValidated === undefined) return 'absent'
    return isValidated ? 'validated' : 'not-valid'
  }

  /** By table and name, whether the foreign key is validated. */
  async #standing(
    session: Session,
    foreignKeys: readonly Pick<ForeignKeyEnds, 'child'>[],
  ): Promise<ReadonlyMap<string, ReadonlyMap<string, boolean>>> {
    const children = new Map(foreignKeys.map(({ child }) => [child.name, this.#ddl.tableName(child)]))
    const { rows } = await session.raw<{ table: string; name: string; convalidated: boolean }>(
      `SELECT n.name AS table, k.conname::text AS name, k.convalidated FROM unnest($1::text[], $2::text[]) AS n(name, place)
         JOIN pg_constraint k ON k.conrelid = to_regclass(n.place) WHERE k.contype = 'f'`,
      [[...children.keys()], [...children.values()]],
    )
    const found = new Map<string, Map<string, boolean>>()
    for (const { table, name, convalidated } of rows)
      found.set(table, (found.get(table) ?? new Map<string, boolean>()).set(name, convalidated))
    return found
  }

  /** By parent, the column sets that a foreign key can reference. */
  async #referenceableColumns(
    session: Session,
    foreignKeys: readonly Pick<ForeignKeyEnds, 'parent'>[],
  ): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const parents = new Map(foreignKeys.map(({ parent }) => [parent.name, this.#ddl.tableName(parent)]))
    const { rows } = await session.raw<{ table: string; columns: string[] }>(
      `SELECT n.name AS table, array(SELECT a.attname::text FROM unnest(x.indkey::int2[]) k(n) JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.n) AS columns
       FROM unnest($1::text[], $2::text[]) AS n(name, place) JOIN pg_index x ON x.indrelid = to_regclass(n.place)
       WHERE x.indisunique AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL`,
      [[...parents.keys()], [...parents.values()]],
    )
    const found = new Map<string, Set<string>>()
    for (const { table, columns } of rows)
      found.set(table, (found.get(table) ?? new Set()).add([...columns].sort().join()))
    return found
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

function placeOf({ child, edge }: Pick<ForeignKeyEnds, 'child' | 'edge'>) {
  return { table: child.name, name: edge.name, kind: 'foreign-key', owned: true } as const
}

/** The referenced columns, in an order of their own. */
function columnsText(edge: Edge): string {
  return edge.parentKey.columns
    .map(({ column }) => column.name)
    .sort()
    .join()
}

function foreignKeyRecord(edge: Edge, definition: string): MadeObject {
  return { kind: 'foreign-key', name: edge.name, definition: digestOf(definition), state: 'made' }
}
