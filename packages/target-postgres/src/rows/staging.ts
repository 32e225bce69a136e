import type { TableMapping } from '@mylab-sync/core'
import * as sql from '../sql.js'
import type { TableSql } from './table-sql.js'

/** Temporary tables of one transaction, dropped at its end. */
export class Staging {
  readonly #sql: TableSql
  readonly #stages = new Map<string, string>()

  constructor(sql: TableSql) {
    this.#sql = sql
  }

  /**
   * A table of its own for batches of these rows. To be asked for outside of savepoints: TRUNCATE in a later one than the
   * table is of takes new storage, and leaves the old and a dead row of pg_class until the end, which every look at the
   * table passes over.
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

  /** An empty temporary table with the target's types, dropped at the end of the transaction. */
  async temporary(table: TableMapping, use: string): Promise<string> {
    const name = sql.name(sql.shortName(`${use}_${table.name}`))
    await this.#sql.run(`DROP TABLE IF EXISTS pg_temp.${name}`)
    const rows = `SELECT ${sql.columnList(table.columns)} FROM ${this.#sql.nameOf(table)}`
    // What is wrong with the table is told of it, before what every temporary table would meet.
    await this.#sql.runOn(table, `${rows} LIMIT 0`)
    await this.#sql.run(`CREATE TEMP TABLE ${name} ON COMMIT DROP AS ${rows} WITH NO DATA`)
    return `pg_temp.${name}`
  }
}
