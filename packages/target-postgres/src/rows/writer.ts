import {
  BatchRefused,
  type BlockStream,
  ConstraintViolated,
  type IndexPlan,
  type KeyColumn,
  type KeyPage,
  KeysNeeded,
  type KeysOf,
  type RefusedRow,
  type RowKey,
  type RowsOf,
  type RowWriter,
  type TableMapping,
  type TargetRow,
  type UpsertOutcome,
} from '@mylab-sync/core'
import pg from 'pg'
import { isRowRefusal, mapped, sqlState, violatedUnique } from '../errors.js'
import * as sql from '../sql.js'
import type { Statement } from '../connection/pipeline.js'
import { BatchWriter, type TogetherWritten } from './batch-writer.js'
import { holders } from './conflicts.js'
import { binaryPlans } from '../copy/binary-encoder.js'
import { type BinaryPlan, formOf } from '../copy/binary-forms.js'
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

  copy(
    table: TableMapping,
    rows: BlockStream,
    { overwrite, unsaved = false }: { readonly overwrite: boolean; readonly unsaved?: boolean },
  ): Promise<number> {
    return overwrite ? this.#copyOver(table, rows) : this.#copyInto(table, rows, unsaved)
  }

  async #copyInto(table: TableMapping, rows: BlockStream, unsaved: boolean): Promise<number> {
    await this.#keeper.beginWithoutKey(table)
    if (unsaved) return this.#stream(table, rows, null).catch((error: unknown) => this.#allRefused(table, error))
    // A few rows gain nothing by it.
    const binary = rows.keyed || this.#keeper.isTextOnly(table) ? null : binaryPlans(table)
    return this.#allOrRefused(table, async () => {
      try {
        return await this.#stream(table, rows, binary)
      } catch (error) {
        if (binary === null) throw error
        this.#keeper.noteTextOnly(table)
        // Whatever PostgreSQL refuses here, it may accept as text: bytes of another type than the column's mean something else.
        const isRefused = error instanceof pg.DatabaseError && !this.#sql.session.broken
        throw isRefused ? new KeysNeeded('the binary format is refused') : error
      }
    })
  }

  async #stream(table: TableMapping, rows: BlockStream, binary: readonly BinaryPlan[] | null): Promise<number> {
    let given = 0
    const affected = await this.#keeper.watched(table, async () => {
      const copied = await copyBlocks(this.#sql.session, this.#sql.nameOf(table), { table, rows, binary })
      given = copied.given
      return copied.affected
    })
    await this.#keeper.compareCount(table, { given, affected })
    if (binary !== null) await this.#requireForms(table, binary)
    return given
  }

  /**
   * Throws KeysNeeded if a column's type has another binary form than planned: a user's own table may be wider, and PostgreSQL
   * would read an integer's bytes as those of a real. After the COPY, whose lock lets nobody alter the table.
   */
  async #requireForms(table: TableMapping, binary: readonly BinaryPlan[]): Promise<void> {
    const held = await this.#sql.run(
      'SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0',
      [this.#sql.nameOf(table)],
    )
    const forms = new Map(held.map(({ name, type }) => [name, formOf(String(type))]))
    if (table.columns.some(({ name }, at) => forms.get(name) !== binary[at]?.form))
      throw new KeysNeeded('a column has another type than planned')
  }

  async #copyOver(table: TableMapping, rows: BlockStream): Promise<number> {
    await this.#keeper.begin(table)
    const stage = await this.#staging.emptyStage(table)
    return this.#allOrRefused(table, async () => {
      const { given } = await copyBlocks(this.#sql.session, stage, { table, rows })
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
      return this.#allRefused(table, error)
    }
  }

  #allRefused(table: TableMapping, error: unknown): Promise<never> {
    if (isRowRefusal(error, table) || violatedUnique(error, table) !== null) throw new BatchRefused(sqlState(error))
    return this.#sql.refused(table, error)
  }

  async insert(table: TableMapping, rows: readonly TargetRow[]): Promise<readonly RefusedRow[]> {
    await this.#keeper.beginWithoutKey(table)
    const outcome = await this.#batches.write(table, rows, { tail: '', into: this.#sql.nameOf(table) })
    // No conflicting row is searched for here, and ignoring the violation would lose the rows.
    if ('violated' in outcome) throw new ConstraintViolated(table.name, outcome.violated, 'unique')
    return outcome.refused
  }

  async upsert(table: TableMapping, rows: readonly TargetRow[], uniques: readonly IndexPlan[]): Promise<UpsertOutcome> {
    const latest = latestOf(rows)
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

  async upsertAll(batches: readonly RowsOf[]): Promise<UpsertOutcome[]> {
    const small = new Map<RowsOf, TogetherWritten>()
    for (const batch of batches) {
      const { table } = batch
      const rows = latestOf(batch.rows)
      if (rows.length > 0 && (await this.#batches.isSmall(table, rows)))
        small.set(batch, { table, rows, tail: upsertTail(table), into: this.#sql.nameOf(table) })
    }
    const isWritten = small.size > 0 && (await this.#batches.writeTogether([...small.values()]))
    const outcomes: UpsertOutcome[] = []
    for (const batch of batches) {
      // Where the target refused anything, each is written again alone, to find out what.
      const isDone = isWritten && small.has(batch)
      outcomes.push(isDone ? { kind: 'done', refused: [] } : await this.upsert(batch.table, batch.rows, batch.uniques))
    }
    return outcomes
  }

  async deleteAll(wanted: readonly KeysOf[]): Promise<void> {
    const plain: (KeysOf & Statement)[] = []
    for (const each of wanted) {
      const { columns = [] } = each.table.key ?? {}
      const values = keyArrays(columns, each.keys)
      if (values === null) continue
      const { triggers } = await this.#keeper.begin(each.table)
      if (triggers.length > 0) await this.delete(each.table, each.keys)
      else plain.push({ ...each, text: deleteBy(this.#sql.nameOf(each.table), givenKeys(columns)), values })
    }
    if (plain.length === 0) return
    const answers = await this.#sql.together(plain)
    // Alone, to name the table.
    if (answers === null) for (const { table, keys } of plain) await this.delete(table, keys)
    else
      for (const [at, { table }] of plain.entries())
        await this.#keeper
          .watched(table, async () => answers[at]?.count ?? 0)
          .catch((error: unknown) => this.#sql.refused(table, error))
  }

  async delete(table: TableMapping, keys: readonly RowKey[]): Promise<void> {
    const columns = table.key?.columns ?? []
    const arrays = keyArrays(columns, keys)
    if (arrays === null) return
    await this.#delete(table, givenKeys(columns), arrays)
    const [given, match] = [sql.unnested(columns.length), keyOf(columns)]
    await this.#keeper.expectNone(table, `FROM ${this.#sql.nameOf(table)} t JOIN ${given} ON ${match}`, arrays)
  }

  async deleteStrays(table: TableMapping, strays: KeyPage['strays']): Promise<void> {
    const { from, match, values } = await onKey(this.#sql, table, (key) => key.rowsOf(strays))
    await this.#delete(table, `${from} WHERE ${match}`, values)
    await this.#keeper.expectNone(table, `FROM ${this.#sql.nameOf(table)} t JOIN ${from} ON ${match}`, values)
  }

  async #delete(table: TableMapping, using: string, values: readonly unknown[]): Promise<void> {
    const text = deleteBy(this.#sql.nameOf(table), using)
    await this.#keeper
      .watched(table, (names) => this.#sql.count(`${text} AND ${names}`, values))
      .catch((error: unknown) => this.#sql.refused(table, error))
  }

  replace(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<readonly RefusedRow[]> {
    return this.#replacer.replace(table, batches)
  }
}

/** The last row of each key. */
function latestOf(rows: readonly TargetRow[]): TargetRow[] {
  return [...new Map(rows.map((row) => [row.key, row])).values()]
}

function deleteBy(table: string, using: string): string {
  return `DELETE FROM ${table} t USING ${using}`
}

/** USING and WHERE for keys given as arrays. */
function givenKeys(columns: readonly KeyColumn[]): string {
  return `${sql.unnested(columns.length)} WHERE ${keyOf(columns)}`
}
