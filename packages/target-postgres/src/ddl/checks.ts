import { type CheckPlan, ConstraintViolated, type TableMapping, type TableObjects } from '@mylab-sync/core'
import * as sql from '../sql.js'
import { BROKEN } from './constraint-log.js'
import type { Ddl } from './ddl.js'
import { checkRecord } from './planned.js'
import { withShortLocks } from './short-locks.js'
import { addCheck } from './statements.js'

/** Adds CHECKs, and validates them without locking the rows. */
export class Checks {
  readonly #ddl: Ddl

  constructor(ddl: Ddl) {
    this.#ddl = ddl
  }

  /** Rebuilds suspended CHECKs that all rows satisfy now. */
  async buildChecks(table: TableMapping, objects: TableObjects): Promise<void> {
    const suspended = (await this.#ddl.log.all()).filter(
      ({ table: of, kind, state }) => of === table.name && kind === 'check' && state === 'suspended',
    )
    for (const check of objects.checks)
      if (suspended.some(({ name }) => name === check.name)) await this.build(table, check)
  }

  /** Adds and validates the CHECK. If rows violate it, records it as suspended instead. */
  async build(table: TableMapping, { name, expression }: CheckPlan): Promise<void> {
    const target = this.#ddl.tableName(table)
    const isBroken = await this.#ddl.database.transaction(async (session) => {
      const { rows } = await session.build(`SELECT FROM ${target} WHERE (${expression}) IS FALSE LIMIT 1`)
      return rows.length > 0
    })
    if (isBroken) return this.#recordBroken(table, name)
    const drop = `ALTER TABLE ${target} DROP CONSTRAINT IF EXISTS ${sql.name(name)}`
    // An interrupted validation may have left its CHECK. Validation runs apart: no session waits while it reads the rows.
    await withShortLocks(this.#ddl.database, async (session) => {
      await session.raw(drop)
      await session.raw(addCheck(target, { name, expression }))
      await this.#ddl.made.note(session, table.name, [checkRecord(target, { name, expression })])
    })
    try {
      await withShortLocks(this.#ddl.database, (session) =>
        session.build(`ALTER TABLE ${target} VALIDATE CONSTRAINT ${sql.name(name)}`),
      )
    } catch (error) {
      if (!(error instanceof ConstraintViolated)) throw error
      await withShortLocks(this.#ddl.database, (session) => session.raw(drop))
      return this.#recordBroken(table, name)
    }
    await this.#ddl.log.forget(table.name, name)
  }

  async #recordBroken(table: TableMapping, name: string): Promise<void> {
    await this.#ddl.log.record({
      table: table.name,
      name,
      kind: 'check',
      state: 'suspended',
      detail: BROKEN,
      owned: true,
    })
  }
}
