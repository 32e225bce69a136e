import { type IndexPlan, SyncError, type TableMapping, type TableObjects } from '@mylab-sync/core'
import { OneByOne } from '@mylab-sync/runtime'
import type { Session } from '../connection/database.js'
import { SQLSTATE } from '../sql-states.js'
import { mapped, sqlState } from '../errors.js'
import { Checks } from './checks.js'
import type { Ddl } from './ddl.js'
import { type MadeObject, madeKey } from './made-objects.js'
import { indexRecord } from './planned.js'
import { PutOff } from './put-off.js'
import { withShortLocks } from './short-locks.js'
import { dropIndex, isMissingCheck, isMissingIndex, objectNames, whyNoIndex } from './standing-indexes.js'
import { addUnique, createIndex } from './statements.js'
import { Waiting } from './waiting.js'

/** Builds indexes and UNIQUEs other than the key's, and the CHECKs along with them. */
export class SecondaryIndexes {
  readonly #ddl: Ddl
  readonly #checks: Checks
  readonly #putOff = new PutOff()
  /** Before PostgreSQL 14 two concurrent builds wait for each other. */
  readonly #concurrent = new OneByOne()

  constructor(ddl: Ddl) {
    this.#ddl = ddl
    this.#checks = new Checks(ddl)
  }

  /**
   * Builds missing indexes and UNIQUEs concurrently, and missing CHECKs. Records those that cannot be built as suspended.
   * Returns one sentence for each such index.
   */
  async buildIndexes(table: TableMapping, objects: TableObjects): Promise<string[]> {
    const present = await this.#ddl.database.transaction((session) => objectNames(session, this.#ddl.tableName(table)))
    const indexes = objects.indexes.filter(isMissingIndex(present))
    const checks = objects.checks.filter(isMissingCheck(present))
    if (indexes.length === 0 && checks.length === 0) return []
    const suspended = new Set(
      (await this.#ddl.log.all())
        .filter((c) => c.state === 'suspended' && c.table === table.name)
        .map(({ name }) => name),
    )
    for (const check of checks) if (!suspended.has(check.name)) await this.#checks.build(table, check)
    const known = await this.#ddl.database.transaction((session) => this.#ddl.made.of(session, table.name))
    const problems: string[] = []
    for (const index of indexes) {
      if (isLeftOut(known, indexRecord(this.#ddl.tableName(table), index))) continue
      const problem = await this.#buildIndex(table, index, present.get(index.name))
      if (problem !== null) {
        problems.push(`${table.name}: ${problem}`)
        await this.#ddl.log.record({
          table: table.name,
          name: index.name,
          kind: 'unique',
          state: 'suspended',
          detail: problem,
          owned: true,
        })
      } else if (suspended.has(index.name)) await this.#ddl.log.forget(table.name, index.name)
    }
    return problems
  }

  /** Returns the problem; null if the index exists now, or is left out as non-unique with a value too long for it. */
  async #buildIndex(table: TableMapping, index: IndexPlan, found: string | undefined): Promise<string | null> {
    const target = this.#ddl.tableName(table)
    const place = `${target} ${index.name}`
    const putOff = found === 'index' ? null : this.#putOff.reason(place)
    if (putOff !== null) return `index ${index.name} ${putOff}`
    const waiting = new Waiting(this.#ddl.database)
    try {
      if (found !== 'index') await this.#createIndex(table, index, { isRuin: found === 'invalid', waiting })
      this.#putOff.built(place)
      await withShortLocks(this.#ddl.database, async (session) => {
        if (index.deferrable) await session.raw(addUnique(target, index))
        await this.#ddl.made.note(session, table.name, [indexRecord(target, index)])
      })
      return null
    } catch (error) {
      const cause = mapped(error)
      const timedOut = cause instanceof SyncError && cause.code === 'lock-timeout'
      // Keeps the built index, so the next attempt only adds the constraint.
      if (timedOut && error === cause) return `index ${index.name} has not become a constraint yet: ${cause.message}`
      if (cause instanceof SyncError && cause.code === 'lost-connection') throw cause
      await this.#dropRuin(table, index.name)
      if (!timedOut) return this.#notBuilt(table, index, error)
      const why = `is not built yet: ${await waiting.forWhat()}`
      this.#putOff.failed(place, waiting.ms, why)
      return `index ${index.name} ${why}`
    }
  }

  async #createIndex(
    table: TableMapping,
    index: IndexPlan,
    { isRuin, waiting }: { readonly isRuin: boolean; readonly waiting: Waiting },
  ): Promise<void> {
    const build = async (session: Session): Promise<void> => {
      await waiting.begin(session)
      if (isRuin) await dropIndex(session, this.#ddl.schema, table, { name: index.name, concurrently: true })
      await session.build(createIndex(this.#ddl.tableName(table), index, 'CONCURRENTLY '))
    }
    await this.#concurrent.run(() => this.#ddl.database.outside(build))
  }

  async #notBuilt(table: TableMapping, index: IndexPlan, error: unknown): Promise<string | null> {
    const code = sqlState(error instanceof SyncError ? error.cause : error)
    if (code !== SQLSTATE.PROGRAM_LIMIT_EXCEEDED || index.unique)
      return `index ${index.name} cannot be built: ${whyNoIndex(code)}`
    const record = indexRecord(this.#ddl.tableName(table), index)
    await this.#ddl.database.transaction((session) =>
      this.#ddl.made.note(session, table.name, [{ ...record, state: 'left-out' }]),
    )
    return null
  }

  /** Drops an incomplete index, or leaves it to the next attempt if other sessions hold locks on the table. */
  async #dropRuin(table: TableMapping, name: string): Promise<void> {
    try {
      await this.#ddl.database.outside((session) =>
        dropIndex(session, this.#ddl.schema, table, { name, concurrently: true }),
      )
    } catch (error) {
      const cause = mapped(error)
      if (!(cause instanceof SyncError) || cause.code !== 'lock-timeout') throw cause
    }
  }
}

function isLeftOut(known: ReadonlyMap<string, MadeObject>, record: MadeObject): boolean {
  const before = known.get(madeKey(record))
  return before?.state === 'left-out' && before.definition === record.definition
}
