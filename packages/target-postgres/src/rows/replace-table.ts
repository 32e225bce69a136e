import { ConstraintViolated, type RefusedRow, type TableMapping, type TargetRow } from '@mylab-sync/core'
import * as sql from '../sql.js'
import type { BatchWriter } from './batch-writer.js'
import type { Keeper } from './keeper.js'
import type { Staging } from './staging.js'
import { rowImage } from './statements.js'
import type { TableSql } from './table-sql.js'

/** Makes a table without a key equal to given rows, writing only the difference. */
export class TableReplacer {
  readonly #sql: TableSql
  readonly #keeper: Keeper
  readonly #staging: Staging
  readonly #batches: BatchWriter

  constructor(sql: TableSql, keeper: Keeper, { staging, batches }: { staging: Staging; batches: BatchWriter }) {
    this.#sql = sql
    this.#keeper = keeper
    this.#staging = staging
    this.#batches = batches
  }

  async replace(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<readonly RefusedRow[]> {
    const { triggers } = await this.#keeper.begin(table)
    const wanted = await this.#staging.temporary(table, 'whole')
    await this.#forbidNulls(table, wanted)
    const refused: RefusedRow[] = []
    for await (const rows of batches) {
      const outcome = await this.#batches.write(table, rows, { tail: '', into: wanted })
      if ('violated' in outcome) throw new ConstraintViolated(table.name, outcome.violated, 'unique')
      refused.push(...outcome.refused)
    }
    const difference = replacement(table, this.#sql.nameOf(table), wanted)
    try {
      for (const change of [difference.remove, difference.add])
        await this.#keeper.watched(table, (names) => this.#sql.count(`${change} AND ${names}`))
      const left = await this.#sql.count(triggers.length > 0 ? difference.unlike : difference.uneven)
      await this.#keeper.compareCount(table, { given: 0, affected: left })
    } catch (error) {
      return this.#sql.refused(table, error)
    }
    return refused
  }

  /** Copies the target's NOT NULLs, so that their violations are found row by row. */
  async #forbidNulls(table: TableMapping, temporary: string): Promise<void> {
    const names = table.columns.map((column) => column.name)
    const filled = await this.#sql.runOn(
      table,
      'SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnotnull AND attname = ANY ($2)',
      [this.#sql.nameOf(table), names],
    )
    if (filled.length === 0) return
    const changes = filled.map(({ name }) => `ALTER ${sql.name(String(name))} SET NOT NULL`)
    await this.#sql.run(`ALTER TABLE ${temporary} ${changes.join(', ')}`)
  }
}

interface Replacement {
  readonly remove: string
  readonly add: string
  /** Selects a row if the two tables differ: as multisets, or in their number of rows. */
  readonly unlike: string
  readonly uneven: string
}

/** Statements that make `held` equal `wanted` as a multiset of rows. In a partitioned table a ctid is unique only within its partition. */
function replacement(table: TableMapping, held: string, wanted: string): Replacement {
  const columns = table.columns.map((column) => sql.name(column.name))
  const whole = rowImage(table)
  const numbered = (from: string): string =>
    `(SELECT tableoid AS part, ctid AS place, ${whole} AS image, row_number() OVER (PARTITION BY ${whole}) AS copy FROM ${from})`
  const [all, some] = [numbered(held), numbered(wanted)]
  return {
    remove: `DELETE FROM ${held} WHERE (tableoid, ctid) IN (SELECT h.part, h.place FROM ${all} h LEFT JOIN ${some} w USING (image, copy) WHERE w.place IS NULL)`,
    add: `INSERT INTO ${held} (${columns.join(', ')}) SELECT ${columns.join(', ')} FROM ${wanted} WHERE ctid IN
       (SELECT w.place FROM ${some} w LEFT JOIN ${all} h USING (image, copy) WHERE h.place IS NULL)`,
    unlike: `SELECT FROM ${all} h FULL JOIN ${some} w USING (image, copy) WHERE h.place IS NULL OR w.place IS NULL LIMIT 1`,
    uneven: `SELECT WHERE (SELECT count(*) FROM ${held}) <> (SELECT count(*) FROM ${wanted})`,
  }
}
