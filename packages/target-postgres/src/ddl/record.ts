import { type ConstraintState, isLockTimeout, type TableMapping } from '@mylab-sync/core'
import { retry } from '@mylab-sync/runtime'
import type { Database, Session } from '../connection/database.js'
import * as sql from '../sql.js'

const LOCK = ["SET LOCAL lock_timeout = '2s'"]
const LOCK_ATTEMPTS = 10
/** Those who queued behind us get their turn. */
const PAUSES = { firstMs: 300, longestMs: 300 }

/** A definition's locks are waited for 2 s at a time, so that nobody queues behind us for longer. */
export async function withShortLocks(database: Database, work: (session: Session) => Promise<unknown>): Promise<void> {
  await retry(() => database.transaction(work, LOCK), {
    ...PAUSES,
    attempts: LOCK_ATTEMPTS,
    isRetryable: isLockTimeout,
  })
}

/** Constraints that do not stand as planned, in sync_constraint. */
export class ConstraintRecord {
  readonly #database: Database
  readonly #state: string

  constructor(database: Database) {
    this.#database = database
    this.#state = sql.name(database.settings.stateSchema)
  }

  async forgetConstraints(table: TableMapping, planned: readonly string[]): Promise<void> {
    await this.#database.transaction((session) =>
      session.raw(`DELETE FROM ${this.#state}.sync_constraint WHERE table_name = $1 AND name <> ALL ($2) AND owned`, [
        table.name,
        planned,
      ]),
    )
  }

  async constraints(): Promise<ConstraintState[]> {
    return this.#database.transaction(async (session) => {
      const { rows } = await session.raw<{
        table_name: string
        name: string
        kind: ConstraintState['kind']
        state: ConstraintState['state']
        detail: string | null
        owned: boolean
      }>(`SELECT table_name, name, kind, state, detail, owned FROM ${this.#state}.sync_constraint ORDER BY 1, 2`)
      return rows.map((row) => ({
        table: row.table_name,
        name: row.name,
        kind: row.kind,
        state: row.state,
        detail: row.detail,
        owned: row.owned,
      }))
    })
  }

  async record(state: ConstraintState): Promise<ConstraintState> {
    await this.#database.transaction((session) => this.recordIn(session, state))
    return state
  }

  async recordIn(session: Session, { table, name, kind, state, detail, owned }: ConstraintState): Promise<void> {
    await session.raw(
      `INSERT INTO ${this.#state}.sync_constraint AS c (table_name, name, kind, state, detail, owned) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (table_name, name) DO UPDATE SET kind = EXCLUDED.kind, state = EXCLUDED.state, detail = EXCLUDED.detail, owned = EXCLUDED.owned
       WHERE (c.kind, c.state, c.detail, c.owned) IS DISTINCT FROM (EXCLUDED.kind, EXCLUDED.state, EXCLUDED.detail, EXCLUDED.owned)`,
      [table, name, kind, state, detail, owned],
    )
  }

  async forget(table: string, name: string): Promise<void> {
    await this.#database.transaction((session) => this.forgetIn(session, table, name))
  }

  async forgetIn(session: Session, table: string, name: string): Promise<void> {
    await session.raw(`DELETE FROM ${this.#state}.sync_constraint WHERE table_name = $1 AND name = $2`, [table, name])
  }
}
