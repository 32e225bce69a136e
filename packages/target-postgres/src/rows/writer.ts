import {
  BatchRefused,
  type BlockStream,
  ConstraintViolated,
  type IndexPlan,
  type KeyPage,
  type RefusedRow,
  type RowKey,
  type RowWriter,
  type TableMapping,
  type TargetRow,
  type UpsertOutcome,
} from '@mylab-sync/core'
import { isRowRefusal, mapped, sqlState, violatedUnique } from '../errors.js'
import * as sql from '../sql.js'
import { BatchWriter } from './batch-writer.js'
import { holders } from './conflicts.js'
import { copyBlocks } from '../copy/copy-stream.js'
import type { Keeper } from './keeper.js'
import { onKey } from './key-pages.js'
import { TableReplacer } from './replace-table.js'
import { Staging } from './staging.js'
import { insertStaged, keyArrays, keyOf, upsertTail } from './statements.js'
import type { TableSql } from './table-sql.js'

/** Writes of one transaction into the target's tables. The keeper ensures that they are stored as given. */
export class Writer implements RowWriter {
  readonly #sql: TableSql
  readonly #keeper: Keeper
  readonly #staging: Staging
  readonly #batches: BatchWriter
  readonly #replacer: TableReplacer

  constructor(sql: TableSql, keeper: Keeper) {
    this.#sql = sql
    this.#keeper = keeper
    this.#staging = new Staging(sql)
    this.#batches = new BatchWriter(sql, keeper, this.#staging)
    this.#replacer = new TableReplacer(sql, keeper, { staging: this.#staging, batches: this.#batches })
  }

  copy(table: TableMapping, rows: BlockStream, { overwrite }: { readonly overwrite: boolean }): Promise<number> {
    return overwrite ? this.#copyOver(table, rows) : this.#copyInto(table, rows)
  }

  async #copyInto(table: TableMapping, rows: BlockStream): Promise<number> {
    await this.#keeper.beginWithoutKey(table)
    return this.#allOrRefused(table, async () => {
      let given = 0
      const affected = await this.#keeper.watched(table, async () => {
        const copied = await copyBlocks(this.#sql.session, this.#sql.nameOf(table), table, rows)
        given = copied.given
        return copied.affected
      })
      await this.#keeper.compareCount(table, { given, affected })
      return given
    })
  }

  async #copyOver(table: TableMapping, rows: BlockStream): Promise<number> {
    await this.#keeper.begin(table)
    const stage = await this.#staging.emptyStage(table)
    return this.#allOrRefused(table, async () => {
      const { given } = await copyBlocks(this.#sql.session, stage, table, rows)
      const into = { into: this.#sql.nameOf(table), tail: upsertTail(table), stage }
      const affected = await this.#keeper.watched(table, (names) => this.#sql.count(insertStaged(table, into, names)))
      await this.#keeper.compareStage(table, stage, { given, affected })
      return given
    })
  }

  /** Throws BatchRefused, with nothing written, for an error that other rows of the batch may not cause. */
  async #allOrRefused(table: TableMapping, write: () => Promise<number>): Promise<number> {
    await this.#sql.run('SAVEPOINT copy')
    try {
      const rows = await write()
      await this.#sql.run('RELEASE SAVEPOINT copy')
      return rows
    } catch (error) {
      if (!this.#sql.session.broken) await this.#sql.backTo('copy')
      if (isRowRefusal(error, table) || violatedUnique(error, table) !== null) throw new BatchRefused(sqlState(error))
      return this.#sql.refused(table, error)
    }
  }

  async insert(table: TableMapping, rows: readonly TargetRow[]): Promise<readonly RefusedRow[]> {
    await this.#keeper.beginWithoutKey(table)
    const outcome = await this.#batches.write(table, rows, { tail: '', into: this.#sql.nameOf(table) })
    // No conflicting row is searched for here, and ignoring the violation would lose the rows.
    if ('violated' in outcome) throw new ConstraintViolated(table.name, outcome.violated, 'unique')
    return outcome.refused
  }

  async upsert(table: TableMapping, rows: readonly TargetRow[], uniques: readonly IndexPlan[]): Promise<UpsertOutcome> {
    const latest = [...new Map(rows.map((row) => [row.key, row])).values()]
    const outcome = await this.#batches.write(table, latest, { tail: upsertTail(table), into: this.#sql.nameOf(table) })
    if ('refused' in outcome) return { kind: 'done', refused: outcome.refused }
    const { violated } = outcome
    try {
      const held = await holders(this.#sql.session, this.#sql.schema, { table, rows: latest, violated }, uniques)
      if (held.length > 0) return { kind: 'held', holders: held }
    } catch (error) {
      throw mapped(error)
    }
    // Two rows of the source collide, so the UNIQUE itself is violated.
    throw new ConstraintViolated(table.name, violated, 'unique')
  }

  async delete(table: TableMapping, keys: readonly RowKey[]): Promise<void> {
    const columns = table.key?.columns ?? []
    const arrays = keyArrays(columns, keys)
    if (arrays === null) return
    const [given, match] = [sql.unnested(columns.length), keyOf(columns)]
    await this.#delete(table, `${given} WHERE ${match}`, arrays)
    await this.#keeper.expectNone(table, `FROM ${this.#sql.nameOf(table)} t JOIN ${given} ON ${match}`, arrays)
  }

  async deleteStrays(table: TableMapping, strays: KeyPage['strays']): Promise<void> {
    const { from, match, values } = await onKey(this.#sql, table, (key) => key.rowsOf(strays))
    await this.#delete(table, `${from} WHERE ${match}`, values)
    await this.#keeper.expectNone(table, `FROM ${this.#sql.nameOf(table)} t JOIN ${from} ON ${match}`, values)
  }

  async #delete(table: TableMapping, using: string, values: readonly unknown[]): Promise<void> {
    const text = `DELETE FROM ${this.#sql.nameOf(table)} t USING ${using}`
    await this.#keeper
      .watched(table, (names) => this.#sql.count(`${text} AND ${names}`, values))
      .catch((error: unknown) => this.#sql.refused(table, error))
  }

  replace(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<readonly RefusedRow[]> {
    return this.#replacer.replace(table, batches)
  }
}
