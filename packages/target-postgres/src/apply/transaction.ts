import {
  BatchRefused,
  ConstraintViolated,
  type Edge,
  type IndexPlan,
  type RefusedRow,
  type RowKey,
  type TableMapping,
  type TargetRow,
  type TargetTransaction,
  type UpsertOutcome,
} from '@mylab-sync/core'
import { from as copyFrom } from 'pg-copy-streams'
import type { Session, TargetSettings } from '../connection/database.js'
import { isRowRefusal, mapped, sqlState } from '../errors.js'
import * as sql from '../sql.js'
import { State } from '../state/state.js'
import { copyLines } from './copy-text.js'
import { columnArrays, insertSelect, keyArrays, keyOfTexts, upsertTail } from './statements.js'

/** Fewer rows go as arrays in one statement; more through a temporary table. */
const UNNEST_ROWS = 500
const COPY_BYTES = 64 << 10

/** One target transaction: state and data of a chunk, a catch-up slice or a drain. Owns its session until it ends. */
export class Transaction extends State {
  readonly #session: Session
  readonly #settings: TargetSettings
  readonly #staged = new Set<string>()
  #ended = false

  constructor(session: Session, settings: TargetSettings) {
    super(session, settings.stateSchema)
    this.#session = session
    this.#settings = settings
  }

  async commit(): Promise<void> {
    await this.#run('COMMIT')
    this.#end()
  }

  async rollback(): Promise<void> {
    if (this.#ended) return
    if (!this.#session.broken) await this.#session.raw('ROLLBACK').catch(() => {})
    this.#end()
  }

  #end(): void {
    this.#ended = true
    this.#session.release()
  }

  #run(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return this.#session.raw(text, values).then(
      (result) => result.rows,
      (error: unknown) => Promise.reject(mapped(error)),
    )
  }

  #table(table: Pick<TableMapping, 'name'>): string {
    return sql.tableName(this.#settings.schema, table)
  }

  async copyRows(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<number> {
    await this.#run('SAVEPOINT copy')
    try {
      const rows = await this.#copy(this.#table(table), table, batches)
      await this.#run('RELEASE SAVEPOINT copy')
      return rows
    } catch (error) {
      if (!isRowRefusal(error)) throw mapped(error)
      await this.#run('ROLLBACK TO SAVEPOINT copy')
      throw new BatchRefused(error.code ?? '')
    }
  }

  /** Throws the driver's error. */
  async #copy(into: string, table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<number> {
    const stream = this.#session.client.query(copyFrom(`COPY ${into} (${sql.columnList(table.columns)}) FROM STDIN`))
    const failed = new Promise<never>((_, reject) => stream.once('error', reject))
    failed.catch(() => {})
    let rows = 0
    let parts: Buffer[] = []
    let bytes = 0
    const flush = async (): Promise<void> => {
      if (bytes === 0) return
      const data = Buffer.concat(parts)
      parts = []
      bytes = 0
      if (!stream.write(data)) await Promise.race([failed, new Promise((resolve) => stream.once('drain', resolve))])
    }
    try {
      for await (const batch of batches) {
        const data = copyLines(batch)
        parts.push(data)
        bytes += data.length
        rows += batch.length
        if (bytes >= COPY_BYTES) await flush()
      }
      await flush()
    } catch (error) {
      stream.destroy(error instanceof Error ? error : new Error('the source of the copy failed'))
      throw error
    }
    const finished = new Promise<void>((resolve) => stream.once('finish', () => resolve()))
    stream.end()
    await Promise.race([failed, finished])
    return rows
  }

  async insertRows(table: TableMapping, rows: readonly TargetRow[]): Promise<readonly RefusedRow[]> {
    const outcome = await this.#write(table, rows, '')
    return outcome === 'unique' ? [] : outcome
  }

  async upsertRows(
    table: TableMapping,
    rows: readonly TargetRow[],
    uniques: readonly IndexPlan[],
  ): Promise<UpsertOutcome> {
    const latest = [...new Map(rows.map((row) => [row.key, row])).values()]
    const outcome = await this.#write(table, latest, upsertTail(table))
    if (outcome !== 'unique') return { kind: 'done', refused: outcome }
    const holders = await this.#holders(table, latest, uniques)
    if (holders.length === 0) throw new ConstraintViolated(table.name, uniques[0]?.name ?? '', 'unique')
    return { kind: 'held', holders }
  }

  /** Writes all or, where rows are refused, all others; 'unique': nothing was written. */
  async #write(
    table: TableMapping,
    rows: readonly TargetRow[],
    tail: string,
  ): Promise<readonly RefusedRow[] | 'unique'> {
    await this.#run('SAVEPOINT batch')
    try {
      if (rows.length < UNNEST_ROWS)
        await this.#session.raw(insertSelect(this.#table(table), table, tail), columnArrays(rows, table.columns.length))
      else await this.#writeStaged(table, rows, tail)
      await this.#run('RELEASE SAVEPOINT batch')
      return []
    } catch (error) {
      const refusal = isRowRefusal(error)
      if (!refusal && sqlState(error) !== '23505') throw mapped(error)
      await this.#run('ROLLBACK TO SAVEPOINT batch')
      this.#staged.clear()
      if (!refusal) return 'unique'
      if (rows.length > 1) return this.#halves(table, rows, tail)
      const [row] = rows
      const place = error.column
        ? `column ${error.column}`
        : error.constraint
          ? `constraint ${error.constraint}`
          : `table ${table.name}`
      return row ? [{ key: row.key, code: error.code ?? '', message: `${place}: refused by PostgreSQL` }] : []
    }
  }

  async #halves(
    table: TableMapping,
    rows: readonly TargetRow[],
    tail: string,
  ): Promise<readonly RefusedRow[] | 'unique'> {
    const middle = rows.length >> 1
    const first = await this.#write(table, rows.slice(0, middle), tail)
    if (first === 'unique') return first
    const second = await this.#write(table, rows.slice(middle), tail)
    return second === 'unique' ? second : [...first, ...second]
  }

  async #writeStaged(table: TableMapping, rows: readonly TargetRow[], tail: string): Promise<void> {
    const stage = await this.#stage(table)
    async function* one(): AsyncIterable<readonly TargetRow[]> {
      yield rows
    }
    await this.#copy(stage, table, one())
    const columns = sql.columnList(table.columns)
    await this.#session.raw(
      `INSERT INTO ${this.#table(table)} AS t (${columns}) SELECT ${columns} FROM ${stage}${tail}`,
    )
  }

  /** An empty temporary table with the target's types, dropped at the end of the transaction. */
  async #stage(table: TableMapping): Promise<string> {
    const stage = `pg_temp.${sql.name(sql.shortName(`stage_${table.name}`))}`
    if (this.#staged.has(table.name)) {
      await this.#session.raw(`TRUNCATE ${stage}`)
      return stage
    }
    await this.#session.raw(`DROP TABLE IF EXISTS ${stage}`)
    await this.#session.raw(
      `CREATE TEMP TABLE ${sql.name(sql.shortName(`stage_${table.name}`))} ON COMMIT DROP AS SELECT ${sql.columnList(table.columns)} FROM ${this.#table(table)} WITH NO DATA`,
    )
    this.#staged.add(table.name)
    return stage
  }

  /** Rows other than these that hold one of their values in a UNIQUE that cannot be deferred. */
  async #holders(table: TableMapping, rows: readonly TargetRow[], uniques: readonly IndexPlan[]): Promise<RowKey[]> {
    const key = table.key
    if (!key) return []
    const found = new Set<RowKey>()
    const arrays = columnArrays(rows, table.columns.length)
    const typed = table.columns
      .map((column, at) => `u.c${at}::${column.castType} AS ${sql.name(column.name)}`)
      .join(', ')
    const keyNames = sql.keyColumns(key.columns).map((column) => sql.name(column.name))
    for (const unique of uniques) {
      const expressions = unique.parts.map((part) => part.replace(/ (DESC|ASC)$/, ''))
      const same = expressions.map((_, at) => `n.e${at} = h.e${at}`).join(' AND ')
      const numbered = expressions.map((expression, at) => `${expression} AS e${at}`).join(', ')
      const keys = keyNames.map((name, at) => `${name} AS k${at}`).join(', ')
      const differ = keyNames.map((_, at) => `n.k${at} IS DISTINCT FROM h.k${at}`).join(' OR ')
      const texts = keyNames.map((_, at) => `h.k${at}::text AS k${at}`).join(', ')
      const { rows: holders } = await this.#session.raw<Record<string, string>>(
        `SELECT DISTINCT ${texts} FROM (SELECT ${numbered}, ${keys} FROM (SELECT ${typed} FROM ${sql.unnested(table.columns.length)}) r) n
         JOIN (SELECT ${numbered}, ${keys} FROM ${this.#table(table)}) h ON ${same} WHERE ${differ}`,
        arrays,
      )
      for (const holder of holders)
        found.add(
          keyOfTexts(
            key.columns,
            keyNames.map((_, at) => holder[`k${at}`] ?? ''),
          ),
        )
    }
    return [...found]
  }

  async deleteKeys(table: TableMapping, keys: readonly RowKey[]): Promise<void> {
    const columns = table.key?.columns ?? []
    const arrays = keyArrays(columns, keys)
    if (arrays === null) return
    const match = sql
      .keyColumns(columns)
      .map((column, at) => `t.${sql.name(column.name)} = u.c${at}::${column.castType}`)
    await this.#run(
      `DELETE FROM ${this.#table(table)} t USING ${sql.unnested(columns.length)} WHERE ${match.join(' AND ')}`,
      arrays,
    )
  }

  async replaceTable(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<void> {
    try {
      const stage = await this.#stage(table)
      await this.#copy(stage, table, batches)
      const columns = table.columns.map((column) => sql.name(column.name))
      const whole = `ROW(${columns.map((column) => `${column}::text`).join(', ')})::text`
      const numbered = (from: string): string =>
        `SELECT ctid AS place, ${whole} AS image, row_number() OVER (PARTITION BY ${whole}) AS copy FROM ${from}`
      await this.#session.raw(
        `DELETE FROM ${this.#table(table)} WHERE ctid IN (SELECT h.place FROM (${numbered(this.#table(table))}) h LEFT JOIN (${numbered(stage)}) w USING (image, copy) WHERE w.place IS NULL)`,
      )
      await this.#session.raw(
        `INSERT INTO ${this.#table(table)} (${columns.join(', ')}) SELECT ${columns.join(', ')} FROM ${stage} WHERE ctid IN
         (SELECT w.place FROM (${numbered(stage)}) w LEFT JOIN (${numbered(this.#table(table))}) h USING (image, copy) WHERE h.place IS NULL)`,
      )
    } catch (error) {
      throw mapped(error)
    }
  }

  async referencedValues(parent: TableMapping, edge: Edge, keys: readonly RowKey[]): Promise<(readonly string[])[]> {
    const columns = parent.key?.columns ?? []
    const arrays = keyArrays(columns, keys)
    if (arrays === null) return []
    const wanted = sql.keyColumns(edge.parentKey.columns).map((column) => `t.${sql.name(column.name)}`)
    const match = sql
      .keyColumns(columns)
      .map((column, at) => `t.${sql.name(column.name)} = u.c${at}::${column.castType}`)
    const rows = await this.#run(
      `SELECT ${wanted.map((column, at) => `${column}::text AS v${at}`).join(', ')} FROM ${this.#table(parent)} t JOIN ${sql.unnested(columns.length)} ON ${match.join(' AND ')}
       WHERE ${wanted.map((column) => `${column} IS NOT NULL`).join(' AND ')}`,
      arrays,
    )
    return rows.map((row) => wanted.map((_, at) => String(row[`v${at}`])))
  }

  async childKeys(child: TableMapping, edge: Edge, values: readonly (readonly string[])[]): Promise<RowKey[]> {
    const columns = sql.keyColumns(edge.childKey.columns)
    const match = columns.map((column, at) => `t.${sql.name(column.name)} = u.c${at}::${column.castType}`)
    const arrays = columns.map((_, at) => values.map((row) => row[at] ?? null))
    return this.#keysOf(
      child,
      (keys) =>
        `SELECT DISTINCT ${keys} FROM ${this.#table(child)} t JOIN ${sql.unnested(columns.length)} ON ${match.join(' AND ')}`,
      arrays,
    )
  }

  async orphanKeys(child: TableMapping, parent: TableMapping, edge: Edge): Promise<RowKey[]> {
    const mine = sql.keyColumns(edge.childKey.columns).map((column) => `t.${sql.name(column.name)}`)
    const theirs = sql.keyColumns(edge.parentKey.columns).map((column) => `o.${sql.name(column.name)}`)
    const collate = (at: number): string => (edge.childKey.columns[at]?.rule === 'text' ? ' COLLATE "C"' : '')
    const match = mine.map((column, at) => `${theirs[at]}${collate(at)} = ${column}${collate(at)}`)
    const notNull = mine.map((column) => `${column} IS NOT NULL`)
    return this.#keysOf(
      child,
      (keys) =>
        `SELECT ${keys} FROM ${this.#table(child)} t WHERE ${notNull.join(' AND ')} AND NOT EXISTS (SELECT 1 FROM ${this.#table(parent)} o WHERE ${match.join(' AND ')})`,
      [],
    )
  }

  async #keysOf(table: TableMapping, select: (keys: string) => string, values: readonly unknown[]): Promise<RowKey[]> {
    const columns = table.key?.columns ?? []
    const keys = sql.keyColumns(columns).map((column, at) => `t.${sql.name(column.name)}::text AS k${at}`)
    const rows = await this.#run(select(keys.join(', ')), values)
    return rows.map((row) =>
      keyOfTexts(
        columns,
        columns.map((_, at) => String(row[`k${at}`])),
      ),
    )
  }

  async validatedForeignKeys(): Promise<ReadonlySet<string>> {
    const rows = await this.#run(
      "SELECT c.conname AS name FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.contype = 'f' AND c.convalidated AND n.nspname = $1",
      [this.#settings.schema],
    )
    return new Set(rows.map((row) => String(row['name'])))
  }

  async checkConstraints(): Promise<void> {
    await this.#run('SAVEPOINT constraints')
    await this.#run('SET CONSTRAINTS ALL IMMEDIATE')
    await this.#run('SET CONSTRAINTS ALL DEFERRED')
    await this.#run('RELEASE SAVEPOINT constraints')
  }

  async countRows(table: TableMapping): Promise<number> {
    const [row] = await this.#run(`SELECT count(*)::float8 AS n FROM ${this.#table(table)}`)
    return Number(row?.['n'])
  }

  /** For comparisons that share no code with the product. */
  async texts(query: string): Promise<(string | null)[][]> {
    const result = await this.#session.client.query<(string | null)[]>({ text: query, rowMode: 'array' })
    return result.rows
  }
}

export function isTransaction(transaction: TargetTransaction): transaction is Transaction {
  return transaction instanceof Transaction
}
