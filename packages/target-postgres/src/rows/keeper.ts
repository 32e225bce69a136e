import { ConstraintViolated, type TableMapping, TargetTableUnfit } from '@mylab-sync/core'
import { OUR_NAMES, type Session, THEIR_NAMES, UNDER_THEIR_NAMES } from '../connection/database.js'
import { concernsOneTable, mapped } from '../errors.js'
import * as sql from '../sql.js'
import {
  actingForeignKey,
  alteredByTriggers,
  brokenBy,
  hasMoreTriggers,
  type Hindrances,
  lookAt,
  NO_HINDRANCES,
  suspects,
  triggersFound,
  writesBeside,
} from './hindrances.js'
import type { KnownTables } from './known-tables.js'
import { compared, keyMatch } from './statements.js'

interface WrittenTable {
  readonly table: TableMapping
  /** As known when it was first written. */
  readonly hindrances: Hindrances
}

/**
 * Sees to it that what one transaction writes into the target's tables stays there as it was given. A look at the catalog
 * after the last write is exact: from the first write on no trigger, rule or policy can be made until the transaction
 * ends. Rows of tables with triggers are compared, statement by statement; all others are counted.
 */
export class Keeper {
  readonly #session: Session
  readonly #known: KnownTables
  readonly #written = new Map<string, WrittenTable>()
  #isChecked = true

  constructor(session: Session, known: KnownTables) {
    this.#session = session
    this.#known = known
  }

  /** Nothing was written since the deferred constraints were checked. */
  get isChecked(): boolean {
    return this.#isChecked
  }

  /** What stands on a table that is about to be written. Throws where it cannot hold its rows. */
  async begin(table: TableMapping): Promise<Hindrances> {
    const known = this.#written.get(table.name)
    if (known !== undefined) return known.hindrances
    // Found earlier: it may have been taken away meanwhile.
    const looked = this.#known.hindrances.has(table.name) ? (await this.#look([table.name])).get(table.name) : undefined
    const hindrances = looked ?? NO_HINDRANCES
    this.#judge(table, hindrances)
    this.#written.set(table.name, { table, hindrances })
    return hindrances
  }

  /** As `begin`, of rows that nobody can look up again: no trigger may stand on their table. */
  async beginWithoutKey(table: TableMapping): Promise<void> {
    const { triggers } = await this.begin(table)
    if (triggers.length > 0) throw new TargetTableUnfit(table.source.name, 'it has triggers', undefined)
  }

  /** What the error of a statement on this table means. */
  explain(table: TableMapping, error: unknown): Promise<Error> {
    return this.#known.explain(table, error, this.#written.get(table.name)?.hindrances ?? NO_HINDRANCES)
  }

  /**
   * Does `write` and returns its count of rows. Where triggers stand they run under the account's own names and settings, by the
   * condition that the statement is given: it is read under ours, or whoever may create functions there had them run as us.
   */
  async watched(table: TableMapping, write: (names: string) => Promise<number>): Promise<number> {
    this.#isChecked = false
    const hindrances = await this.begin(table)
    if (hindrances.triggers.length === 0) return write('true')
    const before = await this.#changes()
    const affected = await write(UNDER_THEIR_NAMES)
    await this.#session.raw(OUR_NAMES)
    for (const [name, count] of await this.#changes()) {
      const own = name === table.name ? affected : 0
      if (count - (before.get(name) ?? 0) > own) throw writesBeside(this.#schema, { table, hindrances, other: name })
    }
    return affected
  }

  /** Rows of a stage stand in the table, where triggers are as they were given. `affected` is what the write counted. */
  async compareStage(table: TableMapping, stage: string, counts: { given: number; affected: number }): Promise<void> {
    const hindrances = await this.begin(table)
    const isAltered = hindrances.triggers.length > 0
    if (!isAltered && counts.affected === counts.given) return
    const { rows } = await this.#session.raw<{ n: number }>(
      `SELECT count(*)::float8 AS n FROM ${stage} s JOIN ${this.#target(table)} t ON ${keyMatch(table)}${
        isAltered
          ? ` WHERE (${compared(table.columns, 't')}) IS NOT DISTINCT FROM (${compared(table.columns, 's')})`
          : ''
      }`,
    )
    if (rows[0]?.n !== counts.given) await this.#notKept(table)
  }

  /** Throws unless so many rows were written as were given. */
  async compareCount(table: TableMapping, counts: { given: number; affected: number }): Promise<void> {
    if (counts.affected !== counts.given) await this.#notKept(table)
  }

  /** Nothing is left that `where`, a FROM with its condition, still finds after a delete; looked at where triggers stand. */
  async expectNone(table: TableMapping, from: string, values: readonly unknown[]): Promise<void> {
    const hindrances = await this.begin(table)
    if (hindrances.triggers.length === 0) return
    const { rows } = await this.#session.raw<{ some: boolean }>(`SELECT EXISTS (SELECT ${from}) AS some`, [...values])
    if (rows[0]?.some) await this.#notKept(table)
  }

  /** As the port's `checkConstraints`. */
  async checkDeferred(): Promise<void> {
    const session = this.#session
    await session.raw('SAVEPOINT constraints').catch((error: unknown) => Promise.reject(mapped(error)))
    try {
      await this.#settle(() => session.raw(`${THEIR_NAMES}; SET CONSTRAINTS ALL IMMEDIATE; ${OUR_NAMES}`))
      await session.raw('SET CONSTRAINTS ALL DEFERRED; RELEASE SAVEPOINT constraints')
    } catch (error) {
      if (session.broken) throw mapped(error)
      await session.raw('ROLLBACK TO SAVEPOINT constraints; RELEASE SAVEPOINT constraints')
      throw await this.#deferredFault(error)
    }
    this.#isChecked = true
  }

  /** Runs deferred checks; triggers that waited for them write into no table that is carried. */
  async #settle(check: () => Promise<unknown>): Promise<void> {
    const triggered = [...this.#written.values()].find(({ hindrances }) => hindrances.triggers.length > 0)
    if (triggered === undefined) {
      await check()
      return
    }
    const before = await this.#changes()
    await check()
    for (const [name, count] of await this.#changes())
      if (count !== (before.get(name) ?? 0)) throw writesBeside(this.#schema, { ...triggered, other: name })
  }

  /** What an error of deferred checks means; the transaction is back where it was before them. Names the table whose trigger raised it. */
  async #deferredFault(error: unknown): Promise<Error> {
    const fault = mapped(error)
    if (fault instanceof ConstraintViolated && this.#written.has(fault.table)) return fault
    if (!concernsOneTable(error)) return fault
    const tables = [...this.#written.values()].map(({ table }) => table)
    const { rows } = await this.#session.raw<{ table: string; name: string }>(DEFERRED, [
      this.#schema,
      tables.map(({ name }) => name),
    ])
    for (const table of tables)
      for (const { name } of rows.filter((row) => row.table === table.name))
        if (await this.#raises(name)) return this.explain(table, error)
    return fault
  }

  async #raises(trigger: string): Promise<boolean> {
    await this.#session.raw('SAVEPOINT one')
    try {
      await this.#session.raw(
        `${THEIR_NAMES}; SET CONSTRAINTS ${sql.name(this.#schema)}.${sql.name(trigger)} IMMEDIATE; ${OUR_NAMES}`,
      )
      return false
    } catch (error) {
      if (!concernsOneTable(error)) throw mapped(error)
      return true
    } finally {
      if (!this.#session.broken) await this.#session.raw('ROLLBACK TO SAVEPOINT one; RELEASE SAVEPOINT one')
    }
  }

  /** To be called after the last write. Throws where something unknown has come onto a table since it was looked at. */
  async confirm(): Promise<void> {
    const tables = [...this.#written.values()]
    if (tables.length === 0) return
    const names = tables.map(({ table }) => table.name)
    const suspected = await suspects(this.#session, this.#schema, names)
    const stale = names.filter((name) => this.#known.hindrances.has(name))
    const looked = await this.#look([...new Set([...suspected, ...stale])])
    for (const { table, hindrances } of tables) {
      const now = looked.get(table.name)
      if (now === undefined) continue
      this.#judge(table, now)
      if (hasMoreTriggers(now, hindrances)) throw triggersFound(table)
    }
  }

  /** Throws with the cause by name, which may have come since the last look. */
  async #notKept(table: TableMapping): Promise<never> {
    const hindrances = (await this.#look([table.name])).get(table.name) ?? NO_HINDRANCES
    this.#judge(table, hindrances)
    throw alteredByTriggers(this.#schema, table, hindrances)
  }

  #judge(table: TableMapping, hindrances: Hindrances): void {
    const broken = brokenBy(this.#schema, table, hindrances)
    if (broken !== null) throw broken
    const acting = actingForeignKey(hindrances)
    if (acting !== null) throw new ConstraintViolated(table.name, acting, 'foreign-key')
  }

  async #look(names: readonly string[]): Promise<ReadonlyMap<string, Hindrances>> {
    const looked = await lookAt(this.#session, this.#schema, names)
    this.#known.note(names, looked)
    return looked
  }

  /** Rows written so far by this transaction, by table that is carried; attempts that were rolled back count too. */
  async #changes(): Promise<ReadonlyMap<string, number>> {
    const names = [...new Set([...this.#known.carried, ...this.#written.keys()])]
    const { rows } = await this.#session.raw<{ name: string; n: number }>(CHANGES, [this.#schema, names])
    return new Map(rows.map((row) => [row.name, row.n]))
  }

  get #schema(): string {
    return this.#known.schema
  }

  #target(table: TableMapping): string {
    return sql.tableName(this.#schema, table)
  }
}

const CHANGES = `
  SELECT c.relname::text AS name, (pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)
    + pg_stat_get_xact_tuples_deleted(c.oid))::float8 AS n
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY ($2)`

const DEFERRED = `
  SELECT c.relname::text AS table, g.tgname::text AS name FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = ANY ($2) AND NOT g.tgisinternal AND g.tgdeferrable ORDER BY 1, 2`
