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
  /** Known when the table was first written. */
  readonly hindrances: Hindrances
}

/**
 * Ensures that the target's tables store what one transaction writes exactly as given. A check of the catalog after the last
 * write is exact: from the first write to the end of the transaction no trigger, rule or policy can be created. Rows of
 * tables with triggers are compared after each statement; all others are counted.
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

  /** Returns the hindrances of a table about to be written. Throws if it cannot store its rows. */
  async begin(table: TableMapping): Promise<Hindrances> {
    const known = this.#written.get(table.name)
    if (known !== undefined) return known.hindrances
    // A hindrance found earlier may have been removed.
    const looked = this.#known.hindrances.has(table.name) ? (await this.#look([table.name])).get(table.name) : undefined
    const hindrances = looked ?? NO_HINDRANCES
    this.#judge(table, hindrances)
    this.#written.set(table.name, { table, hindrances })
    return hindrances
  }

  /** As `begin`, for rows that cannot be looked up again: their table must have no trigger. */
  async beginWithoutKey(table: TableMapping): Promise<void> {
    const { triggers } = await this.begin(table)
    if (triggers.length > 0) throw new TargetTableUnfit(table.source.name, 'it has triggers', undefined)
  }

  /** A copy in the binary format has failed for this table. */
  isTextOnly({ name }: TableMapping): boolean {
    return this.#known.textOnly.has(name)
  }

  noteTextOnly({ name }: TableMapping): void {
    this.#known.textOnly.add(name)
  }

  /** What the error of a statement on this table means. */
  explain(table: TableMapping, error: unknown): Promise<Error> {
    return this.#known.explain(table, error, this.#written.get(table.name)?.hindrances ?? NO_HINDRANCES)
  }

  /**
   * Runs `write` and returns its count of rows. The condition passed to it lets triggers run under the account's own names and
   * settings, while the statement itself is parsed under ours: otherwise planted functions would run with our rights.
   */
  async watched(table: TableMapping, write: (names: string) => Promise<number>): Promise<number> {
    this.#isChecked = false
    const hindrances = await this.begin(table)
    if (hindrances.triggers.length === 0) return write('true')
    const before = await this.#changes()
    const affected = await write(UNDER_THEIR_NAMES)
    await this.#session.rows(OUR_NAMES)
    for (const [name, count] of await this.#changes()) {
      const own = name === table.name ? affected : 0
      if (count - (before.get(name) ?? 0) > own) throw writesBeside(this.#schema, { table, hindrances, other: name })
    }
    return affected
  }

  /** Throws unless the table holds the stage's rows, and with triggers holds them as given. `affected` is the write's count. */
  async compareStage(table: TableMapping, stage: string, counts: { given: number; affected: number }): Promise<void> {
    const hindrances = await this.begin(table)
    const isAltered = hindrances.triggers.length > 0
    if (!isAltered && counts.affected === counts.given) return
    const rows = await this.#session.rows<{ n: number }>(
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

  /** Throws if `from`, a FROM with its condition, still finds rows after a delete. Checked only if the table has triggers. */
  async expectNone(table: TableMapping, from: string, values: readonly unknown[]): Promise<void> {
    const hindrances = await this.begin(table)
    if (hindrances.triggers.length === 0) return
    const rows = await this.#session.rows<{ some: boolean }>(`SELECT EXISTS (SELECT ${from}) AS some`, [...values])
    if (rows[0]?.some) await this.#notKept(table)
  }

  /** As the port's `checkConstraints`. */
  async checkDeferred(): Promise<void> {
    const session = this.#session
    const triggered = [...this.#written.values()].find(({ hindrances }) => hindrances.triggers.length > 0)
    try {
      if (triggered === undefined) await session.raw(`${SAVE}; ${CHECK}; ${DONE}`)
      else await this.#checkWithTriggers(triggered)
    } catch (error) {
      if (session.broken) throw mapped(error)
      await session.rows('ROLLBACK TO SAVEPOINT constraints; RELEASE SAVEPOINT constraints')
      throw await this.#deferredFault(error)
    }
    this.#isChecked = true
  }

  /** Throws also if a deferred trigger wrote into a carried table. */
  async #checkWithTriggers(triggered: WrittenTable): Promise<void> {
    await this.#session.raw(SAVE)
    const before = await this.#changes()
    await this.#session.raw(CHECK)
    for (const [name, count] of await this.#changes())
      if (count !== (before.get(name) ?? 0)) throw writesBeside(this.#schema, { ...triggered, other: name })
    await this.#session.raw(DONE)
  }

  /** What an error of deferred checks means, naming the table whose trigger raised it. The checks must be rolled back before. */
  async #deferredFault(error: unknown): Promise<Error> {
    const fault = mapped(error)
    if (fault instanceof ConstraintViolated && this.#written.has(fault.table)) return fault
    if (!concernsOneTable(error)) return fault
    const tables = [...this.#written.values()].map(({ table }) => table)
    const rows = await this.#session.rows<{ table: string; name: string }>(DEFERRED, [
      this.#schema,
      tables.map(({ name }) => name),
    ])
    for (const table of tables)
      for (const { name } of rows.filter((row) => row.table === table.name))
        if (await this.#raises(name)) return this.explain(table, error)
    return fault
  }

  async #raises(trigger: string): Promise<boolean> {
    await this.#session.rows('SAVEPOINT one')
    try {
      await this.#session.raw(
        `${THEIR_NAMES}; SET CONSTRAINTS ${sql.name(this.#schema)}.${sql.name(trigger)} IMMEDIATE; ${OUR_NAMES}`,
      )
      return false
    } catch (error) {
      if (!concernsOneTable(error)) throw mapped(error)
      return true
    } finally {
      if (!this.#session.broken) await this.#session.rows('ROLLBACK TO SAVEPOINT one; RELEASE SAVEPOINT one')
    }
  }

  /** Must be called after the last write. Throws if a table has a hindrance that was not known when it was written. */
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

  /** Throws with the cause by name; it may be newer than the last check. */
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

  /** Rows written so far by this transaction, by carried table; attempts that were rolled back count too. */
  async #changes(): Promise<ReadonlyMap<string, number>> {
    const names = [...new Set([...this.#known.carried, ...this.#written.keys()])]
    const rows = await this.#session.rows<{ name: string; n: number }>(CHANGES, [this.#schema, names])
    return new Map(rows.map((row) => [row.name, row.n]))
  }

  get #schema(): string {
    return this.#known.schema
  }

  #target(table: TableMapping): string {
    return sql.tableName(this.#schema, table)
  }
}

const SAVE = 'SAVEPOINT constraints'
const CHECK = `${THEIR_NAMES}; SET CONSTRAINTS ALL IMMEDIATE; ${OUR_NAMES}`
const DONE = 'SET CONSTRAINTS ALL DEFERRED; RELEASE SAVEPOINT constraints'

const CHANGES = `
  SELECT c.relname::text AS name, (pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)
    + pg_stat_get_xact_tuples_deleted(c.oid))::float8 AS n
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY ($2)`

const DEFERRED = `
  SELECT c.relname::text AS table, g.tgname::text AS name FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = ANY ($2) AND NOT g.tgisinternal AND g.tgdeferrable ORDER BY 1, 2`
