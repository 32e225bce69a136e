import type { TableMapping } from '@mylab-sync/core'
import type { Row, Session } from '../connection/database.js'
import type { Answer, Statement } from '../connection/pipeline.js'
import { mapped } from '../errors.js'
import * as sql from '../sql.js'
import type { Keeper } from './keeper.js'

/** Statements on the target's tables inside one transaction. */
export class TableSql {
  readonly session: Session
  readonly schema: string
  readonly #keeper: Keeper

  constructor(session: Session, schema: string, keeper: Keeper) {
    this.session = session
    this.schema = schema
    this.#keeper = keeper
  }

  run(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return this.session.raw(text, values).then(
      (result) => result.rows,
      (error: unknown) => Promise.reject(mapped(error)),
    )
  }

  /** As `run`, with errors attributed to this table. */
  runOn(table: TableMapping, text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return this.session.raw(text, values).then(
      (result) => result.rows,
      (error: unknown) => this.refused(table, error),
    )
  }

  /** Returns the number of rows that a statement wrote or found. Throws the driver's error. */
  async count(text: string, values: readonly unknown[] = []): Promise<number> {
    return (await this.session.raw(text, values)).rowCount ?? 0
  }

  /** Runs statements in one round trip. Returns null, with nothing written, if one fails. */
  async together(statements: readonly Statement[]): Promise<readonly Answer[] | null> {
    const all = [{ text: 'SAVEPOINT together' }, ...statements, { text: 'RELEASE SAVEPOINT together' }]
    try {
      return (await this.session.answers(all)).slice(1, -1)
    } catch (error) {
      if (this.session.broken) throw mapped(error)
      await this.backTo('together')
      return null
    }
  }

  /** Throws what the error of a statement on this table means. */
  async refused(table: TableMapping, error: unknown): Promise<never> {
    throw await this.#keeper.explain(table, error)
  }

  backTo(savepoint: string): Promise<unknown> {
    return this.run(`ROLLBACK TO SAVEPOINT ${savepoint}; RELEASE SAVEPOINT ${savepoint}`)
  }

  nameOf(table: Pick<TableMapping, 'name'>): string {
    return sql.tableName(this.schema, table)
  }
}
