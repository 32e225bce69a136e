import type { TableMapping } from '@mylab-sync/core'
import * as sql from '../sql.js'
import type { TableSql } from './table-sql.js'

/** Temporary tables of one transaction, dropped when it ends. */
export class Staging {
  readonly #sql: TableSql
  readonly #stages = new Map<string, string>()

  constructor(sql: TableSql) {
    this.#sql = sql
  }

  /**
   * Returns an empty stage for batches of these rows. Must be called outside savepoints: TRUNCATE in a later savepoint than the
   * table's creation allocates new storage, and leaves the old one and a dead pg_class row, which every access scans past.
   */
  async emptyStage(table: TableMapping): Promise<string> {
    const known = this.#stages.get(table.name)
    if (known !== undefined) {
      await this.#sql.run(`TRUNCATE ${known}`)
      return known
    }
    const stage = await this.temporary(table, 'stage')
    this.#stages.set(table.name, stage)
    return stage
  }

  /** Creates an empty temporary table with the target's types, dropped when the transaction ends. */
  async temporary(table: TableMapping, use: string): Promise<string> {
    const name = sql.name(sql.shortName(`${use}_${table.name}`))
    await this.#sql.run(`DROP TABLE IF EXISTS pg_temp.${name}`)
    const rows = `SELECT ${sql.columnList(table.columns)} FROM ${this.#sql.nameOf(table)}`
    // Reports a fault of the table itself before faults that every temporary table would meet.
    await this.#sql.runOn(table, `${rows} LIMIT 0`)
    await this.#sql.run(`CREATE TEMP TABLE ${name} ON COMMIT DROP AS ${rows} WITH NO DATA`)
    return `pg_temp.${name}`
  }
}
