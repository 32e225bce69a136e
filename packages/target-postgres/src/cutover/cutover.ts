import {
  type CutoverState,
  type CutoverTable,
  type CutoverTransaction,
  isActionEdge,
  isLockTimeout,
  type Missing,
  type TableMapping,
  type TargetCutover,
} from '@mylab-sync/core'
import { inLanes, retry } from '@mylab-sync/runtime'
import type { Database, Session } from '../connection/database.js'
import type { Ddl } from '../ddl/ddl.js'
import { withShortLocks } from '../ddl/short-locks.js'
import { dropIndex } from '../ddl/standing-indexes.js'
import { createIndex } from '../ddl/statements.js'
import { mapped } from '../errors.js'
import * as sql from '../sql.js'
import { preparedName } from './hardening.js'
import { PhaseRow } from './phase.js'
import { remedyFor } from './remedies.js'
import { looseIndexes, placeOf, standingConstraints } from './standing.js'

/** A concurrent build waits for transactions that were open before it, such as a comparison's snapshot. */
const BUILD_ATTEMPTS = 12
/** The tables are the application's already. */
const VALIDATIONS_AT_ONCE = 2
const PAUSES = { firstMs: 300, longestMs: 2_000 }

export class Cutover implements TargetCutover {
  readonly #database: Database
  readonly #ddl: Ddl
  readonly #beginSwitch: (waitMs: number) => Promise<CutoverTransaction>

  constructor(ddl: Ddl, beginSwitch: (waitMs: number) => Promise<CutoverTransaction>) {
    this.#ddl = ddl
    this.#database = ddl.database
    this.#beginSwitch = beginSwitch
  }

  state(): Promise<CutoverState> {
    return this.#onPhase((phase) => phase.read())
  }

  note(progress: Parameters<TargetCutover['note']>[0]): Promise<void> {
    return this.#onPhase((phase) => phase.note(progress))
  }

  forget(): Promise<void> {
    return this.#onPhase((phase) => phase.forget())
  }

  #onPhase<T>(work: (phase: PhaseRow) => Promise<T>): Promise<T> {
    return this.#database.transaction((session) => work(new PhaseRow(session, this.#database.settings.stateSchema)))
  }

  async prepare(tables: readonly CutoverTable[], stop: () => void): Promise<void> {
    const { schema } = this.#ddl
    const { standing, loose } = await this.#database.transaction(async (session) => ({
      standing: await standingConstraints(session, schema),
      loose: await looseIndexes(session, schema),
    }))
    for (const { table, objects } of tables)
      for (const index of objects.indexes.filter(({ deferrable }) => deferrable)) {
        stop()
        // One that does not stand has equal values, and is listed.
        if (standing.get(placeOf(table.name, index.name))?.isDeferrable !== true) continue
        const name = preparedName(index)
        if (loose.get(placeOf(table.name, name))?.isValid) continue
        await this.#patiently(async (session) => {
          // Left by a build that was interrupted.
          await dropIndex(session, schema, table, { name, concurrently: true })
          await session.build(createIndex(this.#ddl.tableName(table), { ...index, name }, 'CONCURRENTLY '))
        })
      }
  }

  /** Outside a transaction. */
  async #patiently(work: (session: Session) => Promise<void>): Promise<void> {
    const once = (): Promise<void> =>
      this.#database.outside(work).catch((error: unknown) => Promise.reject(mapped(error)))
    await retry(once, { ...PAUSES, attempts: BUILD_ATTEMPTS, isRetryable: isLockTimeout })
  }

  async discard(tables: readonly CutoverTable[]): Promise<void> {
    const { schema } = this.#ddl
    const loose = await this.#database.transaction((session) => looseIndexes(session, schema))
    for (const { table, objects } of tables)
      for (const index of objects.indexes) {
        const name = preparedName(index)
        if (!loose.has(placeOf(table.name, name))) continue
        await this.#patiently((session) => dropIndex(session, schema, table, { name, concurrently: true }))
      }
  }

  begin({ waitMs }: { readonly waitMs: number }): Promise<CutoverTransaction> {
    return this.#beginSwitch(waitMs)
  }

  async validate(tables: readonly CutoverTable[]): Promise<void> {
    const standing = await this.#database.transaction((session) => standingConstraints(session, this.#ddl.schema))
    const isDue = (table: TableMapping, key: CutoverTable['foreignKeys'][number]): boolean =>
      isActionEdge(key) && standing.get(placeOf(table.name, key.edge.name))?.isValidated === false
    // Two keys of one table would wait for each other's lock.
    await inLanes(tables, VALIDATIONS_AT_ONCE, async ({ table, foreignKeys }) => {
      for (const { edge } of foreignKeys.filter((key) => isDue(table, key)))
        await withShortLocks(this.#database, (session) =>
          session.build(`ALTER TABLE ${this.#ddl.tableName(table)} VALIDATE CONSTRAINT ${sql.name(edge.name)}`),
        )
    })
  }

  async writtenSince(tables: readonly TableMapping[]): Promise<TableMapping[]> {
    const number = await this.#onPhase((phase) => phase.switchedBy())
    if (number === null) return []
    const written: TableMapping[] = []
    for (const table of tables)
      await this.#database.transaction(async (session) => {
        // age() counts back from now, so a newer row is younger than the switch.
        const { rows } = await session.build<{ written: boolean }>(
          `SELECT EXISTS (SELECT FROM ${this.#ddl.tableName(table)} WHERE age(xmin) < age(${sql.text(number)}::xid)) AS written`,
        )
        if (rows[0]?.written) written.push(table)
      })
    return written
  }

  statementsFor(missing: Missing): readonly string[] {
    return remedyFor(this.#ddl.schema, missing)
  }
}
