import { ConstraintViolated, type RefusedRow, type TableMapping, type TargetRow } from '@mylab-sync/core'
import { SQLSTATE } from '../sql-states.js'
import { isRowRefusal, refusalMessage, sqlState, violatedUnique } from '../errors.js'
import * as sql from '../sql.js'
import type { Statement } from '../connection/pipeline.js'
import { copyInto } from '../copy/copy-stream.js'
import type { Keeper } from './keeper.js'
import type { Staging } from './staging.js'
import { bytesOf, columnArrays, insertSelect, insertStaged, keyOf } from './statements.js'
import type { TableSql } from './table-sql.js'

/** Smaller batches are sent as arrays in one statement; larger ones pass through a temporary table. */
const UNNEST_ROWS = 500
/** Larger batches are sent as bytes: a string holds at most 512 MB and costs several times its size. */
const UNNEST_BYTES = 512 << 10

/** The table that rows are written into, and the tail of their INSERT. */
export interface Into {
  readonly into: string
  readonly tail: string
}

export interface TogetherWritten extends Into {
  readonly table: TableMapping
  readonly rows: readonly TargetRow[]
}

/** Without a stage, rows are sent as arrays. */
interface Way extends Into {
  readonly stage: string | null
}

/** Refused rows are skipped; after a violated UNIQUE nothing is written. */
export type Written = { readonly refused: readonly RefusedRow[] } | { readonly violated: string }

/** Writes rows batch by batch, and bisects a batch to find the rows that the target refuses. */
export class BatchWriter {
  readonly #sql: TableSql
  readonly #keeper: Keeper
  readonly #staging: Staging

  constructor(sql: TableSql, keeper: Keeper, staging: Staging) {
    this.#sql = sql
    this.#keeper = keeper
    this.#staging = staging
  }

  /** Writes all rows but the refused ones, or nothing if a UNIQUE is violated. */
  async write(table: TableMapping, rows: readonly TargetRow[], into: Into): Promise<Written> {
    if (rows.length === 0) return { refused: [] }
    const isSmall = await this.isSmall(table, rows)
    return this.#writePart(table, rows, { ...into, stage: isSmall ? null : await this.#staging.emptyStage(table) })
  }

  /** Whether rows are sent as arrays. Only a stage has the target's own types, so rows of a table with triggers can be compared with it. */
  async isSmall(table: TableMapping, rows: readonly TargetRow[]): Promise<boolean> {
    const { triggers } = await this.#keeper.begin(table)
    return triggers.length === 0 && rows.length < UNNEST_ROWS && bytesOf(rows) < UNNEST_BYTES
  }

  /** Writes small batches in one round trip. Returns false, with nothing written, if the target refuses anything in them. */
  async writeTogether(batches: readonly TogetherWritten[]): Promise<boolean> {
    const inserts = batches.map(({ table, rows, into, tail }) => ({
      text: insertSelect(into, table, tail),
      values: columnArrays(rows, [...table.columns.keys()]),
    }))
    const answers = await this.#sql.together(inserts)
    if (answers === null) return false
    const unchanged: TogetherWritten[] = []
    for (const [at, batch] of batches.entries()) {
      const affected = await this.#keeper.watched(batch.table, async () => answers[at]?.count ?? 0)
      if (affected !== batch.rows.length) unchanged.push(batch)
    }
    await this.#expectAllKeys(unchanged)
    return true
  }

  /** As `#expectKeys`, for many batches in one round trip. */
  async #expectAllKeys(batches: readonly TogetherWritten[]): Promise<void> {
    if (batches.length === 0) return
    const answers = await this.#sql.together(batches.map(({ table, rows }) => this.#heldKeys(table, rows)))
    // Alone, to name the table.
    if (answers === null)
      for (const { table, rows } of batches)
        await this.#expectKeys(table, rows).catch((error: unknown) => this.#sql.refused(table, error))
    else
      for (const [at, { table, rows }] of batches.entries())
        await this.#keeper.compareCount(table, { given: rows.length, affected: answers[at]?.count ?? 0 })
  }

  async #writePart(table: TableMapping, rows: readonly TargetRow[], way: Way): Promise<Written> {
    await this.#sql.run('SAVEPOINT batch')
    try {
      await this.#writeBatch(table, rows, way)
      await this.#sql.run('RELEASE SAVEPOINT batch')
      return { refused: [] }
    } catch (error) {
      const refusal = isRowRefusal(error, table)
      const violated = violatedUnique(error, table)
      if (!this.#sql.session.broken) await this.#sql.backTo('batch')
      if (!refusal && violated === null) return this.#sql.refused(table, error)
      if (violated !== null) return { violated }
      if (refusal && error.code === SQLSTATE.PROGRAM_LIMIT_EXCEEDED) await this.#throwIfIndex(table, error.constraint)
      const [row] = rows
      if (rows.length > 1 || !row) return this.#halves(table, rows, way)
      return { refused: [{ key: row.key, code: sqlState(error), message: refusalMessage(error, table.name) }] }
    }
  }

  /** Throws ConstraintViolated if the index is not unique: no row is refused for such an index. */
  async #throwIfIndex(table: TableMapping, name: string | undefined): Promise<void> {
    const [index] = await this.#sql.run(
      'SELECT x.indisunique AS unique FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = $1::regclass AND c.relname = $2',
      [this.#sql.nameOf(table), name ?? ''],
    )
    if (name !== undefined && index?.['unique'] === false) throw new ConstraintViolated(table.name, name, 'index')
  }

  async #halves(table: TableMapping, rows: readonly TargetRow[], way: Way): Promise<Written> {
    const middle = rows.length >> 1
    await this.#sql.run('SAVEPOINT halves')
    const refused: RefusedRow[] = []
    for (const half of [rows.slice(0, middle), rows.slice(middle)]) {
      const outcome = await this.#writePart(table, half, way)
      if ('violated' in outcome) {
        await this.#sql.backTo('halves')
        return outcome
      }
      refused.push(...outcome.refused)
      if (way.stage !== null) await this.#sql.run(`DELETE FROM ${way.stage}`)
    }
    await this.#sql.run('RELEASE SAVEPOINT halves')
    return { refused }
  }

  /** Throws the driver's error. */
  async #writeBatch(table: TableMapping, rows: readonly TargetRow[], { into, tail, stage }: Way): Promise<void> {
    const given = rows.length
    if (stage === null) {
      const values = columnArrays(rows, [...table.columns.keys()])
      const affected = await this.#keeper.watched(table, () => this.#sql.count(insertSelect(into, table, tail), values))
      if (affected !== given) await this.#expectKeys(table, rows)
      return
    }
    async function* one(): AsyncIterable<readonly TargetRow[]> {
      yield rows
    }
    await copyInto(this.#sql.session, stage, table.columns, one())
    const affected = await this.#keeper.watched(table, (names) =>
      this.#sql.count(insertStaged(table, { into, tail, stage }, names)),
    )
    if (table.key === null || tail === '') await this.#keeper.compareCount(table, { given, affected })
    else await this.#keeper.compareStage(table, stage, { given, affected })
  }

  /** Checks that rows which an upsert left unchanged exist. */
  async #expectKeys(table: TableMapping, rows: readonly TargetRow[]): Promise<void> {
    const { text, values } = this.#heldKeys(table, rows)
    const affected = await this.#sql.count(text, values)
    await this.#keeper.compareCount(table, { given: rows.length, affected })
  }

  /** Finds each of these rows by its key. */
  #heldKeys(table: TableMapping, rows: readonly TargetRow[]): Required<Statement> {
    const columns = table.key?.columns ?? []
    return {
      text: `SELECT FROM ${this.#sql.nameOf(table)} t JOIN ${sql.unnested(columns.length)} ON ${keyOf(columns)}`,
      values: columnArrays(
        rows,
        columns.map(({ column }) => table.columns.indexOf(column)),
      ),
    }
  }
}
