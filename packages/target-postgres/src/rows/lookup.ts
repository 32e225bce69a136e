import {
  batchesOf,
  type ChildrenOf,
  type Edge,
  type KeyPage,
  type RowKey,
  type RowLookup,
  type TableMapping,
} from '@mylab-sync/core'
import type { Statement } from '../connection/pipeline.js'
import * as sql from '../sql.js'
import { onKey } from './key-pages.js'
import { keyArrays, keyOf, keyOfTexts } from './statements.js'
import type { TableSql } from './table-sql.js'

const KEYS_PER_PAGE = 5_000
/** Look-ups of one round trip; each may find a page of keys. */
const LOOK_UPS_TOGETHER = 20
/** Rows sampled besides the first and the last. */
const SAMPLED_ROWS = 6
/** Counted by one statement, which locks all of them at once. */
const TABLES_PER_COUNT = 50

/** Reads of the target's tables within one transaction. */
export class Lookup implements RowLookup {
  readonly #sql: TableSql
  #cursors = 0

  constructor(sql: TableSql) {
    this.#sql = sql
  }

  async referenced(parent: TableMapping, edge: Edge, keys: readonly RowKey[]): Promise<(readonly string[])[]> {
    const columns = parent.key?.columns ?? []
    const arrays = keyArrays(columns, keys)
    if (arrays === null) return []
    const wanted = sql.keyColumns(edge.parentKey.columns).map((column) => `t.${sql.name(column.name)}`)
    const rows = await this.#sql.runOn(
      parent,
      `SELECT ${wanted.map((column, at) => `${column}::text AS v${at}`).join(', ')} FROM ${this.#sql.nameOf(parent)} t JOIN ${sql.unnested(columns.length)} ON ${keyOf(columns)}
       WHERE ${wanted.map((column) => `${column} IS NOT NULL`).join(' AND ')}`,
      arrays,
    )
    return rows.map((row) => wanted.map((_, at) => String(row[`v${at}`])))
  }

  async *children<Of extends ChildrenOf>(wanted: readonly Of[]): AsyncGenerator<{ of: Of; keys: RowKey[] }> {
    for (const together of batchesOf(wanted, LOOK_UPS_TOGETHER)) {
      const queries = together.map((of) => ({ of, ...this.#childrenQuery(of) }))
      const answers = await this.#sql.together(queries.map(({ text, values }) => ({ text: firstPage(text), values })))
      for (const [at, { of, text, values }] of queries.entries()) {
        const { columns = [] } = of.child.key ?? {}
        const rows = answers?.[at]?.rows
        if (rows !== undefined && rows.length <= KEYS_PER_PAGE) {
          const keys = rows.map((row) => keyOfTexts(columns, row.map(String)))
          if (keys.length > 0) yield { of, keys }
        }
        // Alone, to name the table.
        else for await (const keys of this.#keysOf(of.child, text, values)) yield { of, keys }
      }
    }
  }

  #childrenQuery({ child, edge, values }: ChildrenOf): Required<Statement> {
    const { columns } = edge.childKey
    return {
      text: `SELECT DISTINCT ${keyTexts(child).keys} FROM ${this.#sql.nameOf(child)} t JOIN ${sql.unnested(columns.length)} ON ${keyOf(columns)}`,
      values: columns.map((_, at) => values.map((row) => row[at] ?? null)),
    }
  }

  orphans(child: TableMapping, parent: TableMapping, edge: Edge): AsyncIterable<RowKey[]> {
    const orphans = sql.orphans(this.#sql.schema, edge, { child, parent })
    return this.#keysOf(child, `SELECT ${keyTexts(child).keys} ${orphans}`, [])
  }

  async sample(table: TableMapping): Promise<RowKey[]> {
    const names = sql.keyColumns(table.key?.columns ?? []).map((column) => `t.${sql.name(column.name)}`)
    const edge = (way: string): string => names.map((name) => `${name} ${way}`).join(', ')
    const from = this.#sql.nameOf(table)
    const anywhere = `tablesample system (least(100, 100.0 * ${SAMPLED_ROWS} / greatest(1, pg_relation_size('${from.replaceAll("'", "''")}') / 8192)))`
    const { keys, toKey } = keyTexts(table)
    const rows = await this.#sql.runOn(
      table,
      `SELECT DISTINCT * FROM ((SELECT ${keys} FROM ${from} t ORDER BY ${edge('ASC')} LIMIT 1) UNION ALL (SELECT ${keys} FROM ${from} t ORDER BY ${edge('DESC')} LIMIT 1) UNION ALL (SELECT ${keys} FROM ${from} t ${anywhere} LIMIT ${SAMPLED_ROWS})) k`,
    )
    return rows.map(toKey)
  }

  keysAfter(table: TableMapping, after: readonly string[] | null, limit: number): Promise<KeyPage> {
    return onKey(this.#sql, table, (key, run) => key.page(run, after, { limit }))
  }

  async count(table: TableMapping): Promise<number> {
    const [row] = await this.#sql.runOn(table, `SELECT count(*)::float8 AS n FROM ${this.#sql.nameOf(table)}`)
    return Number(row?.['n'])
  }

  async counts(tables: readonly TableMapping[]): Promise<number[]> {
    const counts: number[] = []
    for (const batch of batchesOf(tables, TABLES_PER_COUNT)) {
      const each = batch.map(
        (table, at) => `SELECT ${at} AS place, count(*)::float8 AS n FROM ${this.#sql.nameOf(table)}`,
      )
      const rows = await this.#sql.run(`${each.join(' UNION ALL ')} ORDER BY place`)
      counts.push(...rows.map((row) => Number(row['n'])))
    }
    return counts
  }

  async present(table: TableMapping, keys: readonly RowKey[]): Promise<RowKey[]> {
    const columns = table.key?.columns ?? []
    const arrays = keyArrays(columns, keys)
    if (arrays === null) return []
    const { keys: texts, toKey } = keyTexts(table)
    const rows = await this.#sql.runOn(
      table,
      `SELECT ${texts} FROM ${this.#sql.nameOf(table)} t JOIN ${sql.unnested(columns.length)} ON ${keyOf(columns)}`,
      arrays,
    )
    return rows.map(toKey)
  }

  async validatedKeys(): Promise<ReadonlySet<string>> {
    const rows = await this.#sql.run(
      "SELECT c.conname AS name FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.contype = 'f' AND c.convalidated AND n.nspname = $1",
      [this.#sql.schema],
    )
    return new Set(rows.map((row) => String(row['name'])))
  }

  /** A short result takes one round trip; a long one is paged by a cursor, so other statements can run in between. */
  async *#keysOf(table: TableMapping, query: string, values: readonly unknown[]): AsyncGenerator<RowKey[], void, void> {
    const { toKey } = keyTexts(table)
    const few = await this.#sql.runOn(table, firstPage(query), values)
    if (few.length <= KEYS_PER_PAGE) {
      if (few.length > 0) yield few.map(toKey)
      return
    }
    const cursor = `keys_${++this.#cursors}`
    await this.#sql.runOn(table, `DECLARE ${cursor} NO SCROLL CURSOR FOR ${query}`, values)
    for (;;) {
      const page = await this.#sql.run(`FETCH ${KEYS_PER_PAGE} FROM ${cursor}`)
      if (page.length === 0) break
      yield page.map(toKey)
    }
    await this.#sql.run(`CLOSE ${cursor}`)
  }
}

function firstPage(query: string): string {
  return `${query} LIMIT ${KEYS_PER_PAGE + 1}`
}

/** The select list of a table's key as text, and its decoding. */
function keyTexts(table: TableMapping): { readonly keys: string; toKey(row: Record<string, unknown>): RowKey } {
  const columns = table.key?.columns ?? []
  const keys = sql.keyColumns(columns).map((column, at) => `t.${sql.name(column.name)}::text AS k${at}`)
  const toKey = (row: Record<string, unknown>): RowKey =>
    keyOfTexts(
      columns,
      columns.map((_, at) => String(row[`k${at}`])),
    )
  return { keys: keys.join(', '), toKey }
}
