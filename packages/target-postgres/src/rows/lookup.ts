import type { Edge, KeyPage, RowKey, TableMapping } from '@mylab-sync/core'
import type { Session, TargetSettings } from '../connection/database.js'
import { mapped } from '../errors.js'
import * as sql from '../sql.js'
import { State } from '../state/state.js'
import { type Run, TargetKey } from './key-pages.js'
import type { KnownTables } from './known-tables.js'
import { keyArrays, keyOfTexts } from './statements.js'

const KEYS_A_PAGE = 5_000
/** Looked at beside the first and the last. */
const SAMPLED_ROWS = 6

/** What a transaction reads of the target's own tables. */
export class Lookups extends State {
  protected readonly session: Session
  protected readonly settings: TargetSettings
  protected readonly known: KnownTables
  #cursors = 0

  constructor(session: Session, settings: TargetSettings, known: KnownTables) {
    super(session, settings.stateSchema)
    this.session = session
    this.settings = settings
    this.known = known
  }

  protected run(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return this.session.raw(text, values).then(
      (result) => result.rows,
      (error: unknown) => Promise.reject(mapped(error)),
    )
  }

  /** As `run`, of a statement that is about this table. */
  protected runOn(
    table: TableMapping,
    text: string,
    values: readonly unknown[] = [],
  ): Promise<Record<string, unknown>[]> {
    return this.session.raw(text, values).then(
      (result) => result.rows,
      (error: unknown) => this.refused(table, error),
    )
  }

  /** Throws what the error of a statement on this table means. */
  protected async refused(table: TableMapping, error: unknown): Promise<never> {
    throw await this.known.explain(table, error)
  }

  protected targetName(table: Pick<TableMapping, 'name'>): string {
    return sql.tableName(this.settings.schema, table)
  }

  async referencedValues(parent: TableMapping, edge: Edge, keys: readonly RowKey[]): Promise<(readonly string[])[]> {
    const columns = parent.key?.columns ?? []
    const arrays = keyArrays(columns, keys)
    if (arrays === null) return []
    const wanted = sql.keyColumns(edge.parentKey.columns).map((column) => `t.${sql.name(column.name)}`)
    const match = sql
      .keyColumns(columns)
      .map((column, at) => `t.${sql.name(column.name)} = u.c${at}::${column.castType}`)
    const rows = await this.runOn(
      parent,
      `SELECT ${wanted.map((column, at) => `${column}::text AS v${at}`).join(', ')} FROM ${this.targetName(parent)} t JOIN ${sql.unnested(columns.length)} ON ${match.join(' AND ')}
       WHERE ${wanted.map((column) => `${column} IS NOT NULL`).join(' AND ')}`,
      arrays,
    )
    return rows.map((row) => wanted.map((_, at) => String(row[`v${at}`])))
  }

  childKeys(child: TableMapping, edge: Edge, values: readonly (readonly string[])[]): AsyncIterable<RowKey[]> {
    const columns = sql.keyColumns(edge.childKey.columns)
    const match = columns.map((column, at) => `t.${sql.name(column.name)} = u.c${at}::${column.castType}`)
    const arrays = columns.map((_, at) => values.map((row) => row[at] ?? null))
    return this.#keysOf(
      child,
      (keys) =>
        `SELECT DISTINCT ${keys} FROM ${this.targetName(child)} t JOIN ${sql.unnested(columns.length)} ON ${match.join(' AND ')}`,
      arrays,
    )
  }

  orphanKeys(child: TableMapping, parent: TableMapping, edge: Edge): AsyncIterable<RowKey[]> {
    const orphans = sql.orphans(this.settings.schema, edge, { child, parent })
    return this.#keysOf(child, (keys) => `SELECT ${keys} ${orphans}`, [])
  }

  async sampleKeys(table: TableMapping): Promise<RowKey[]> {
    const names = sql.keyColumns(table.key?.columns ?? []).map((column) => `t.${sql.name(column.name)}`)
    const edge = (way: string): string => names.map((name) => `${name} ${way}`).join(', ')
    const from = this.targetName(table)
    const anywhere = `tablesample system (least(100, 100.0 * ${SAMPLED_ROWS} / greatest(1, pg_relation_size('${from.replaceAll("'", "''")}') / 8192)))`
    const { keys, toKey } = keyTexts(table)
    const rows = await this.runOn(
      table,
      `SELECT DISTINCT * FROM ((SELECT ${keys} FROM ${from} t ORDER BY ${edge('ASC')} LIMIT 1) UNION ALL (SELECT ${keys} FROM ${from} t ORDER BY ${edge('DESC')} LIMIT 1) UNION ALL (SELECT ${keys} FROM ${from} t ${anywhere} LIMIT ${SAMPLED_ROWS})) k`,
    )
    return rows.map(toKey)
  }

  /** A short answer takes one round trip; a long one comes page by page, while other statements run between the pages. */
  async *#keysOf(
    table: TableMapping,
    select: (keys: string) => string,
    values: readonly unknown[],
  ): AsyncGenerator<RowKey[], void, void> {
    const { keys, toKey } = keyTexts(table)
    const query = select(keys)
    const few = await this.runOn(table, `${query} LIMIT ${KEYS_A_PAGE + 1}`, values)
    if (few.length <= KEYS_A_PAGE) {
      if (few.length > 0) yield few.map(toKey)
      return
    }
    const cursor = `keys_${++this.#cursors}`
    await this.runOn(table, `DECLARE ${cursor} NO SCROLL CURSOR FOR ${query}`, values)
    for (;;) {
      const page = await this.run(`FETCH ${KEYS_A_PAGE} FROM ${cursor}`)
      if (page.length === 0) break
      yield page.map(toKey)
    }
    await this.run(`CLOSE ${cursor}`)
  }

  async validatedForeignKeys(): Promise<ReadonlySet<string>> {
    const rows = await this.run(
      "SELECT c.conname AS name FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.contype = 'f' AND c.convalidated AND n.nspname = $1",
      [this.settings.schema],
    )
    return new Set(rows.map((row) => String(row['name'])))
  }

  async countRows(table: TableMapping): Promise<number> {
    const [row] = await this.runOn(table, `SELECT count(*)::float8 AS n FROM ${this.targetName(table)}`)
    return Number(row?.['n'])
  }

  keysAfter(table: TableMapping, after: readonly string[] | null, limit: number): Promise<KeyPage> {
    return this.onKey(table, (key, run) => key.page(run, after, limit))
  }

  protected async onKey<T>(table: TableMapping, work: (key: TargetKey, run: Run) => T): Promise<Awaited<T>> {
    const run: Run = (text, values) => this.runOn(table, text, values)
    return await work(await TargetKey.read(run, this.targetName(table), table), run)
  }
}

/** How a table's keys are asked for as text, and made of a row of the answer. */
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
