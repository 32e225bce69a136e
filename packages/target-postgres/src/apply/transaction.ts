import {
  BatchRefused,
  ConstraintViolated,
  type Edge,
  type IndexPlan,
  type KeyPage,
  type RefusedRow,
  type RowKey,
  SyncError,
  type TableMapping,
  type TargetRow,
  type TargetTransaction,
  type UpsertOutcome,
} from '@mylab-sync/core'
import type { Session, TargetSettings } from '../connection/database.js'
import { isRowRefusal, mapped, ofTable, refusalMessage, sqlState, violatedUnique } from '../errors.js'
import * as sql from '../sql.js'
import { State } from '../state/state.js'
import { copyInto } from './copy-stream.js'
import { holders } from './holders.js'
import { type Run, TargetKey } from './key-pages.js'
import { bytesOf, columnArrays, insertSelect, keyArrays, keyOfTexts, upsertTail } from './statements.js'

/** Fewer rows go as arrays in one statement; more through a temporary table. */
const UNNEST_ROWS = 500
/** Larger batches go as bytes: one string holds 512 MB at most, and costs several times its size. */
const UNNEST_BYTES = 512 << 10

const KEYS_A_PAGE = 5_000
/** Looked at beside the first and the last. */
const SAMPLED_ROWS = 6

/** What rows are written into, and the end of their INSERT. */
interface Into {
  readonly into: string
  readonly tail: string
}

/** Without a stage rows go as arrays, else through it. */
interface Way extends Into {
  readonly stage: string | null
}

type Written = { readonly refused: readonly RefusedRow[] } | { readonly violated: string }

/** One target transaction: state and data of a chunk, a catch-up slice or a drain. Owns its session until it ends. */
export class Transaction extends State {
  readonly #session: Session
  readonly #settings: TargetSettings
  readonly #stages = new Map<string, string>()
  #ended = false
  #cursors = 0

  constructor(session: Session, settings: TargetSettings) {
    super(session, settings.stateSchema)
    this.#session = session
    this.#settings = settings
  }

  async commit(): Promise<void> {
    const result = await this.#session.raw('COMMIT').catch((error: unknown) => Promise.reject(mapped(error)))
    // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK, and no error.
    if (result.command === 'ROLLBACK') {
      this.#end()
      throw new SyncError('internal', 'target: a failed transaction was asked to commit')
    }
    this.#end()
  }

  async rollback(): Promise<void> {
    if (this.#ended) return
    await this.#session.rollback()
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

  /** As `#run`, of a statement that is about this table. */
  #runOn(table: TableMapping, text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return this.#session.raw(text, values).then(
      (result) => result.rows,
      (error: unknown) => Promise.reject(ofTable(table, error)),
    )
  }

  #table(table: Pick<TableMapping, 'name'>): string {
    return sql.tableName(this.#settings.schema, table)
  }

  copyRows(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<number> {
    return this.#allOrRefused(table, () => copyInto(this.#session, this.#table(table), table.columns, batches))
  }

  async mergeRows(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<number> {
    const stage = await this.#emptyStage(table)
    return this.#allOrRefused(table, async () => {
      const rows = await copyInto(this.#session, stage, table.columns, batches)
      await this.#session.raw(insertStaged(this.#table(table), table, stage, upsertTail(table)))
      return rows
    })
  }

  /** Throws BatchRefused, with nothing written, for what a smaller part of the rows may be free of. */
  async #allOrRefused(table: TableMapping, write: () => Promise<number>): Promise<number> {
    await this.#run('SAVEPOINT copy')
    try {
      const rows = await write()
      await this.#run('RELEASE SAVEPOINT copy')
      return rows
    } catch (error) {
      if (!this.#session.broken) await this.#backTo('copy')
      const isRefused = isRowRefusal(error) || violatedUnique(error) !== null
      throw isRefused ? new BatchRefused(sqlState(error)) : ofTable(table, error)
    }
  }

  async insertRows(table: TableMapping, rows: readonly TargetRow[]): Promise<readonly RefusedRow[]> {
    const outcome = await this.#write(table, rows, { tail: '', into: this.#table(table) })
    // No holder is looked for here; to say nothing would lose the rows.
    if ('violated' in outcome) throw new ConstraintViolated(table.name, outcome.violated, 'unique')
    return outcome.refused
  }

  async upsertRows(
    table: TableMapping,
    rows: readonly TargetRow[],
    uniques: readonly IndexPlan[],
  ): Promise<UpsertOutcome> {
    const latest = [...new Map(rows.map((row) => [row.key, row])).values()]
    const outcome = await this.#write(table, latest, { tail: upsertTail(table), into: this.#table(table) })
    if ('refused' in outcome) return { kind: 'done', refused: outcome.refused }
    const { violated } = outcome
    try {
      const held = await holders(this.#session, this.#settings.schema, { table, rows: latest, violated }, uniques)
      if (held.length > 0) return { kind: 'held', holders: held }
    } catch (error) {
      throw mapped(error)
    }
    // Two rows of the source collide with each other: the UNIQUE itself does not hold.
    throw new ConstraintViolated(table.name, violated, 'unique')
  }

  /** Writes all or, where rows are refused, all others; where a UNIQUE is violated, nothing. */
  async #write(table: TableMapping, rows: readonly TargetRow[], into: Into): Promise<Written> {
    if (rows.length === 0) return { refused: [] }
    const isSmall = rows.length < UNNEST_ROWS && bytesOf(rows) < UNNEST_BYTES
    return this.#writePart(table, rows, { ...into, stage: isSmall ? null : await this.#emptyStage(table) })
  }

  async #writePart(table: TableMapping, rows: readonly TargetRow[], way: Way): Promise<Written> {
    await this.#run('SAVEPOINT batch')
    try {
      await this.#writeBatch(table, rows, way)
      await this.#run('RELEASE SAVEPOINT batch')
      return { refused: [] }
    } catch (error) {
      const refusal = isRowRefusal(error)
      const violated = violatedUnique(error)
      if (!refusal && violated === null) throw ofTable(table, error)
      await this.#backTo('batch')
      if (violated !== null) return { violated }
      if (refusal && error.code === '54000') await this.#throwIfIndex(table, error.constraint)
      const [row] = rows
      if (rows.length > 1 || !row) return this.#halves(table, rows, way)
      return { refused: [{ key: row.key, code: sqlState(error), message: refusalMessage(error, table.name) }] }
    }
  }

  /** No row is refused for the sake of an index that makes nothing unique. */
  async #throwIfIndex(table: TableMapping, name: string | undefined): Promise<void> {
    const [index] = await this.#run(
      'SELECT x.indisunique AS unique FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = $1::regclass AND c.relname = $2',
      [this.#table(table), name ?? ''],
    )
    if (name !== undefined && index?.['unique'] === false) throw new ConstraintViolated(table.name, name, 'index')
  }

  async #halves(table: TableMapping, rows: readonly TargetRow[], way: Way): Promise<Written> {
    const middle = rows.length >> 1
    await this.#run('SAVEPOINT halves')
    const refused: RefusedRow[] = []
    for (const half of [rows.slice(0, middle), rows.slice(middle)]) {
      const outcome = await this.#writePart(table, half, way)
      if ('violated' in outcome) {
        await this.#backTo('halves')
        return outcome
      }
      refused.push(...outcome.refused)
      if (way.stage !== null) await this.#run(`DELETE FROM ${way.stage}`)
    }
    await this.#run('RELEASE SAVEPOINT halves')
    return { refused }
  }

  #backTo(savepoint: string): Promise<unknown> {
    return this.#run(`ROLLBACK TO SAVEPOINT ${savepoint}; RELEASE SAVEPOINT ${savepoint}`)
  }

  /** Throws the driver's error. */
  async #writeBatch(table: TableMapping, rows: readonly TargetRow[], { into, tail, stage }: Way): Promise<void> {
    if (stage === null) {
      const all = [...table.columns.keys()]
      await this.#session.raw(insertSelect(into, table, tail), columnArrays(rows, all))
      return
    }
    async function* one(): AsyncIterable<readonly TargetRow[]> {
      yield rows
    }
    await copyInto(this.#session, stage, table.columns, one())
    await this.#session.raw(insertStaged(into, table, stage, tail))
  }

  /**
   * A table of its own for batches of these rows. To be asked for outside of savepoints: TRUNCATE in a later one than the
   * table is of takes new storage, and leaves the old and a dead row of pg_class until the end, which every look at the
   * table passes over.
   */
  async #emptyStage(table: TableMapping): Promise<string> {
    const known = this.#stages.get(table.name)
    if (known !== undefined) {
      await this.#runOn(table, `TRUNCATE ${known}`)
      return known
    }
    const stage = await this.#temporary(table, 'stage')
    this.#stages.set(table.name, stage)
    return stage
  }

  /** An empty temporary table with the target's types, dropped at the end of the transaction. */
  async #temporary(table: TableMapping, use: string): Promise<string> {
    const name = sql.name(sql.shortName(`${use}_${table.name}`))
    await this.#run(`DROP TABLE IF EXISTS pg_temp.${name}`)
    await this.#runOn(
      table,
      `CREATE TEMP TABLE ${name} ON COMMIT DROP AS SELECT ${sql.columnList(table.columns)} FROM ${this.#table(table)} WITH NO DATA`,
    )
    return `pg_temp.${name}`
  }

  async deleteKeys(table: TableMapping, keys: readonly RowKey[]): Promise<void> {
    const columns = table.key?.columns ?? []
    const arrays = keyArrays(columns, keys)
    if (arrays === null) return
    const match = sql
      .keyColumns(columns)
      .map((column, at) => `t.${sql.name(column.name)} = u.c${at}::${column.castType}`)
    await this.#runOn(
      table,
      `DELETE FROM ${this.#table(table)} t USING ${sql.unnested(columns.length)} WHERE ${match.join(' AND ')}`,
      arrays,
    )
  }

  async replaceTable(
    table: TableMapping,
    batches: AsyncIterable<readonly TargetRow[]>,
  ): Promise<readonly RefusedRow[]> {
    const wanted = await this.#temporary(table, 'whole')
    const held = this.#table(table)
    await this.#forbidNulls(table, wanted)
    const refused: RefusedRow[] = []
    for await (const rows of batches) {
      const outcome = await this.#write(table, rows, { tail: '', into: wanted })
      if ('refused' in outcome) refused.push(...outcome.refused)
    }
    const columns = table.columns.map((column) => sql.name(column.name))
    const whole = `ROW(${columns.map((column) => `${column}::text`).join(', ')})::text`
    const numbered = (from: string): string =>
      `SELECT ctid AS place, ${whole} AS image, row_number() OVER (PARTITION BY ${whole}) AS copy FROM ${from}`
    await this.#runOn(
      table,
      `DELETE FROM ${held} WHERE ctid IN (SELECT h.place FROM (${numbered(held)}) h LEFT JOIN (${numbered(wanted)}) w USING (image, copy) WHERE w.place IS NULL)`,
    )
    await this.#runOn(
      table,
      `INSERT INTO ${held} (${columns.join(', ')}) SELECT ${columns.join(', ')} FROM ${wanted} WHERE ctid IN
       (SELECT w.place FROM (${numbered(wanted)}) w LEFT JOIN (${numbered(held)}) h USING (image, copy) WHERE h.place IS NULL)`,
    )
    return refused
  }

  /** What the target's own NOT NULLs refuse is then refused row by row. */
  async #forbidNulls(table: TableMapping, temporary: string): Promise<void> {
    const names = table.columns.map((column) => column.name)
    const filled = await this.#runOn(
      table,
      'SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnotnull AND attname = ANY ($2)',
      [this.#table(table), names],
    )
    if (filled.length === 0) return
    const changes = filled.map(({ name }) => `ALTER ${sql.name(String(name))} SET NOT NULL`)
    await this.#run(`ALTER TABLE ${temporary} ${changes.join(', ')}`)
  }

  async referencedValues(parent: TableMapping, edge: Edge, keys: readonly RowKey[]): Promise<(readonly string[])[]> {
    const columns = parent.key?.columns ?? []
    const arrays = keyArrays(columns, keys)
    if (arrays === null) return []
    const wanted = sql.keyColumns(edge.parentKey.columns).map((column) => `t.${sql.name(column.name)}`)
    const match = sql
      .keyColumns(columns)
      .map((column, at) => `t.${sql.name(column.name)} = u.c${at}::${column.castType}`)
    const rows = await this.#runOn(
      parent,
      `SELECT ${wanted.map((column, at) => `${column}::text AS v${at}`).join(', ')} FROM ${this.#table(parent)} t JOIN ${sql.unnested(columns.length)} ON ${match.join(' AND ')}
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
        `SELECT DISTINCT ${keys} FROM ${this.#table(child)} t JOIN ${sql.unnested(columns.length)} ON ${match.join(' AND ')}`,
      arrays,
    )
  }

  orphanKeys(child: TableMapping, parent: TableMapping, edge: Edge): AsyncIterable<RowKey[]> {
    const orphans = sql.orphans(this.#settings.schema, edge, { child, parent })
    return this.#keysOf(child, (keys) => `SELECT ${keys} ${orphans}`, [])
  }

  async sampleKeys(table: TableMapping): Promise<RowKey[]> {
    const names = sql.keyColumns(table.key?.columns ?? []).map((column) => `t.${sql.name(column.name)}`)
    const edge = (way: string): string => names.map((name) => `${name} ${way}`).join(', ')
    const from = this.#table(table)
    const anywhere = `tablesample system (least(100, 100.0 * ${SAMPLED_ROWS} / greatest(1, pg_relation_size('${from.replaceAll("'", "''")}') / 8192)))`
    const { keys, toKey } = keyTexts(table)
    const rows = await this.#runOn(
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
    const few = await this.#runOn(table, `${query} LIMIT ${KEYS_A_PAGE + 1}`, values)
    if (few.length <= KEYS_A_PAGE) {
      if (few.length > 0) yield few.map(toKey)
      return
    }
    const cursor = `keys_${++this.#cursors}`
    await this.#runOn(table, `DECLARE ${cursor} NO SCROLL CURSOR FOR ${query}`, values)
    for (;;) {
      const page = await this.#run(`FETCH ${KEYS_A_PAGE} FROM ${cursor}`)
      if (page.length === 0) break
      yield page.map(toKey)
    }
    await this.#run(`CLOSE ${cursor}`)
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
    try {
      await this.#run('SET CONSTRAINTS ALL IMMEDIATE')
      await this.#run('SET CONSTRAINTS ALL DEFERRED; RELEASE SAVEPOINT constraints')
    } catch (error) {
      if (!this.#session.broken) await this.#backTo('constraints')
      throw error
    }
  }

  async countRows(table: TableMapping): Promise<number> {
    const [row] = await this.#runOn(table, `SELECT count(*)::float8 AS n FROM ${this.#table(table)}`)
    return Number(row?.['n'])
  }

  async keysAfter(table: TableMapping, after: readonly string[] | null, limit: number): Promise<KeyPage> {
    return this.#onKey(table, (key, run) => key.page(run, after, limit))
  }

  async deleteStrays(table: TableMapping, strays: KeyPage['strays']): Promise<void> {
    await this.#onKey(table, (key, run) => key.delete(run, strays))
  }

  async #onKey<T>(table: TableMapping, work: (key: TargetKey, run: Run) => Promise<T>): Promise<T> {
    const run: Run = (text, values) => this.#runOn(table, text, values)
    return work(await TargetKey.read(run, this.#table(table), table), run)
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

function insertStaged(into: string, table: TableMapping, stage: string, tail: string): string {
  const columns = sql.columnList(table.columns)
  return `INSERT INTO ${into} AS t (${columns}) SELECT ${columns} FROM ${stage}${tail}`
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
