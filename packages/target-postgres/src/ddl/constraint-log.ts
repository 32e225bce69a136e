import type { ConstraintState, TableMapping, TargetTableName } from '@mylab-sync/core'
import type { Database, Session } from '../connection/database.js'
import * as sql from '../sql.js'

export const BROKEN = 'broken by rows of the source'

/** `sync_constraint`: constraints that differ from the plan. */
export class ConstraintLog {
  readonly #database: Database
  readonly #state: string

  constructor(database: Database) {
    this.#database = database
    this.#state = sql.name(database.settings.stateSchema)
  }

  async forgetUnplanned(table: TableMapping, planned: readonly string[]): Promise<void> {
    await this.#database.transaction((session) =>
      session.raw(`DELETE FROM ${this.#state}.sync_constraint WHERE table_name = $1 AND name <> ALL ($2) AND owned`, [
        table.name,
        planned,
      ]),
    )
  }

  async all(): Promise<ConstraintState[]> {
    return this.#database.transaction(async (session) => {
      const { rows } = await session.raw<{
        table_name: TargetTableName
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
    await this.forgetAllIn(session, [{ table, name }])
  }

  async forgetAllIn(session: Session, states: readonly { table: string; name: string }[]): Promise<void> {
    await session.raw(
      `DELETE FROM ${this.#state}.sync_constraint WHERE (table_name, name) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
      [states.map(({ table }) => table), states.map(({ name }) => name)],
    )
  }
}
