import type { OutdatedObject, TableMapping, TableObjects, TargetDefinition } from '@mylab-sync/core'
import type { Session } from '../connection/database.js'
import * as sql from '../sql.js'
import { columnRecords, counterOf } from './adapt.js'
import { standingColumns } from './columns.js'
import { addCounter } from './counters.js'
import type { Ddl } from './ddl.js'
import { type MadeObject, madeKey } from './made-objects.js'
import { plannedObjects } from './planned.js'
import { withShortLocks } from './short-locks.js'

/** Differences between the record and what the source defines now. */
export interface Due {
  readonly outdated: OutdatedObject[]
  /** Target names of tables with objects that had to wait for the rows. */
  readonly unfinished: ReadonlySet<string>
  /** Tables whose objects are not on record: created before the record existed, or by the user. */
  readonly unknown: ReadonlySet<string>
}

/** Compares the record of created objects with the plan. */
export class MadeControl {
  readonly #ddl: Ddl

  constructor(ddl: Ddl) {
    this.#ddl = ddl
  }

  /** Runs two queries, however many tables exist. */
  async due(definitions: readonly TargetDefinition[]): Promise<Due> {
    const { schema } = this.#ddl
    const { made, tables } = await this.#ddl.database.transaction(async (session) => ({
      made: await this.#ddl.made.all(session),
      tables: await this.#ddl.made.tables(session),
    }))
    const planned = new Map(
      definitions.map((definition) => [
        definition.table.name,
        new Map(plannedObjects(schema, definition).map((object) => [madeKey(object), object.definition])),
      ]),
    )
    const outdated = made.filter((object) => {
      const ofTable = planned.get(object.table)
      return ofTable !== undefined && isDroppable(object) && ofTable.get(madeKey(object)) !== object.definition
    })
    return {
      outdated: outdated.map(({ table, kind, name }) => ({ table, kind, name })),
      unfinished: new Set(made.filter(({ state }) => state === 'wanted').map(({ table }) => table)),
      unknown: new Set([...planned.keys()].filter((table) => !tables.has(table))),
    }
  }

  async leftOutIndexes(): Promise<Pick<OutdatedObject, 'table' | 'name'>[]> {
    const made = await this.#ddl.database.transaction((session) => this.#ddl.made.all(session))
    return made
      .filter(({ kind, state }) => kind === 'index' && state === 'left-out')
      .map(({ table, name }) => ({ table, name }))
  }

  async drop(outdated: readonly OutdatedObject[]): Promise<void> {
    // Drops a UNIQUE after the foreign keys that depend on it.
    const inOrder = [...outdated].sort((a, b) => place(a) - place(b))
    for (const { table, kind, name } of inOrder) {
      await withShortLocks(this.#ddl.database, async (session) => {
        for (const statement of await this.#drops(session, { table, kind, name })) await session.raw(statement)
        if (kind === 'index' || kind === 'check' || kind === 'foreign-key')
          await this.#ddl.made.forget(session, table, [{ kind, name }])
        await this.#ddl.log.forgetIn(session, table, name)
      })
    }
  }

  async #drops(session: Session, { table, kind, name }: OutdatedObject): Promise<string[]> {
    const { schema } = this.#ddl
    const target = sql.tableName(schema, { name: table })
    const { rows } = await session.raw<{ index: boolean; held: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass($1) AND conname = $2) AS held,
         EXISTS (SELECT FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = to_regclass($1) AND c.relname = $2) AS index`,
      [target, name],
    )
    const [found] = rows
    if (found?.held) {
      const references = kind === 'index' ? await this.#referencing(session, target, name) : []
      return [...references, `ALTER TABLE ${target} DROP CONSTRAINT ${sql.name(name)}`]
    }
    return found?.index ? [`DROP INDEX ${sql.tableName(schema, { name })}`] : []
  }

  /** Our foreign keys that depend on this UNIQUE. Those still planned are rebuilt on another one. */
  async #referencing(session: Session, target: string, unique: string): Promise<string[]> {
    const { rows } = await session.raw<{ holder: string; name: string }>(
      `SELECT k.conrelid::regclass::text AS holder, k.conname::text AS name FROM pg_constraint k JOIN pg_class u ON u.oid = k.conindid
       JOIN ${sql.name(this.#ddl.database.settings.stateSchema)}.sync_object o ON o.kind = 'foreign-key' AND o.name = k.conname
         AND o.table_name = (SELECT relname FROM pg_class WHERE oid = k.conrelid)
       WHERE k.contype = 'f' AND k.confrelid = $1::regclass AND u.relname = $2`,
      [target, unique],
    )
    return rows.map(({ holder, name }) => `ALTER TABLE ${holder} DROP CONSTRAINT ${sql.name(name)}`)
  }

  /** Records the existing objects that have a planned name. */
  async adopt(definition: TargetDefinition): Promise<void> {
    const { schema } = this.#ddl
    const { table, objects } = definition
    const target = sql.tableName(schema, table)
    await this.#ddl.database.transaction(async (session) => {
      const { rows } = await session.raw<{ name: string }>(
        `SELECT conname::text AS name FROM pg_constraint WHERE conrelid = $1::regclass
         UNION SELECT c.relname FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = $1::regclass`,
        [target],
      )
      const standing = new Set(rows.map(({ name }) => name))
      const counter = counterOf(objects)
      const counters: MadeObject[] =
        counter === null ? [] : [{ kind: 'counter', name: counter, definition: 'identity', state: 'made' }]
      await this.#ddl.made.note(session, table.name, [
        ...columnRecords(table.columns, objects),
        ...counters,
        ...plannedObjects(schema, definition).filter(({ name }) => standing.has(name)),
      ])
    })
  }

  /** Adds NOT NULL and the counter to columns whose rows have arrived since. */
  async finish(table: TableMapping, objects: TableObjects): Promise<void> {
    const { schema } = this.#ddl
    const target = sql.tableName(schema, table)
    await withShortLocks(this.#ddl.database, async (session) => {
      const known = [...(await this.#ddl.made.of(session, table.name)).values()]
      const standing = new Map((await standingColumns(session, target)).map((column) => [column.name, column]))
      const wanted = known.filter(({ state, name }) => state === 'wanted' && standing.has(name))
      const required = new Set(table.columns.filter(({ notNull }) => notNull).map(({ name }) => name))
      const unfilled = wanted.filter(
        ({ kind, name }) => kind === 'not-null' && required.has(name) && !standing.get(name)?.notNull,
      )
      if (unfilled.length > 0) {
        const actions = unfilled.map(({ name }) => `ALTER COLUMN ${sql.name(name)} SET NOT NULL`)
        await session.build(`ALTER TABLE ${target} ${actions.join(', ')}`)
      }
      await this.#ddl.made.forget(
        session,
        table.name,
        known.filter(({ state }) => state === 'wanted'),
      )
      const counter = wanted.find(({ kind, name }) => kind === 'counter' && name === counterOf(objects))
      const held = counter && standing.get(counter.name)
      if (held && held.identity === '' && !held.hasDefault)
        await this.#ddl.made.note(session, table.name, await addCounter(session, schema, table, objects))
    })
  }
}

function isDroppable({ kind }: MadeObject): boolean {
  return kind === 'index' || kind === 'check' || kind === 'foreign-key'
}

function place({ kind }: OutdatedObject): number {
  return kind === 'foreign-key' ? 0 : 1
}
