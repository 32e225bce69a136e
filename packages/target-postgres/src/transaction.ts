import {
  BatchRefused,
  ConstraintViolated,
  type IndexPlan,
  type KeyColumn,
  type KeyPage,
  type RefusedRow,
  type RowKey,
  SyncError,
  type TableMapping,
  type TargetRow,
  type TargetTransaction,
  type UpsertOutcome,
} from '@mylab-sync/core'
import { OUR_NAMES, type Session, type TargetSettings, THEIR_NAMES } from './connection/database.js'
import { isRowRefusal, mapped, refusalMessage, sqlState, violatedUnique } from './errors.js'
import * as sql from './sql.js'
import { copyInto } from './rows/copy-stream.js'
import { holders } from './rows/conflicts.js'
import { Keeper } from './rows/keeper.js'
import type { KnownTables } from './rows/known-tables.js'
import { Lookups } from './rows/lookup.js'
import { bytesOf, columnArrays, insertSelect, keyArrays, upsertTail } from './rows/statements.js'

/** Fewer rows go as arrays in one statement; more through a temporary table. */
const UNNEST_ROWS = 500
/** Larger batches go as bytes: one string holds 512 MB at most, and costs several times its size. */
const UNNEST_BYTES = 512 << 10

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
export class Transaction extends Lookups {
  readonly #stages = new Map<string, string>()
  readonly #keeper: Keeper
  #ended = false
  /** Nothing was written since the deferred constraints were checked. */
  #isChecked = true

  constructor(session: Session, settings: TargetSettings, known: KnownTables) {
    super(session, settings, known)
    this.#keeper = new Keeper(session, known)
  }

  async commit(): Promise<void> {
    if (!this.#isChecked) await this.checkConstraints()
    await this.#keeper.confirm().catch((error: unknown) => Promise.reject(mapped(error)))
    const result = await this.session.raw('COMMIT').catch((error: unknown) => Promise.reject(mapped(error)))
    // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK, and no error.
    if (result.command === 'ROLLBACK') {
      this.#end()
      throw new SyncError('internal', 'target: a failed transaction was asked to commit')
    }
    this.#end()
  }

  async rollback(): Promise<void> {
    if (this.#ended) return
    await this.session.rollback()
    this.#end()
  }

  #end(): void {
    this.#ended = true
    this.session.release()
  }

  protected override async refused(table: TableMapping, error: unknown): Promise<never> {
    throw await this.#keeper.explain(table, error)
  }

  /** Writes rows by `write`, which returns how many the target counted. */
  #write(table: TableMapping, write: (names: string) => Promise<number>): Promise<number> {
    this.#isChecked = false
    return this.#keeper.watched(table, write)
  }

  async copyRows(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<number> {
    await this.#keeper.beginWithoutKey(table)
    return this.#allOrRefused(table, async () => {
      let given = 0
      const affected = await this.#write(table, async () => {
        const copied = await copyInto(this.session, this.targetName(table), table.columns, batches)
        given = copied.given
        return copied.affected
      })
      await this.#keeper.compareCount(table, { given, affected })
      return given
    })
  }

  async mergeRows(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<number> {
    await this.#keeper.begin(table)
    const stage = await this.#emptyStage(table)
    return this.#allOrRefused(table, async () => {
      const { given } = await copyInto(this.session, stage, table.columns, batches)
      const into = { into: this.targetName(table), tail: upsertTail(table), stage }
      const affected = await this.#write(table, (names) => this.#count(insertStaged(table, into, names)))
      await this.#keeper.compareStage(table, stage, { given, affected })
      return given
    })
  }

  /** Throws the driver's error. */
  async #count(text: string, values: readonly unknown[] = []): Promise<number> {
    return (await this.session.raw(text, values)).rowCount ?? 0
  }

  /** Throws BatchRefused, with nothing written, for what a smaller part of the rows may be free of. */
  async #allOrRefused(table: TableMapping, write: () => Promise<number>): Promise<number> {
    await this.run('SAVEPOINT copy')
    try {
      const rows = await write()
      await this.run('RELEASE SAVEPOINT copy')
      return rows
    } catch (error) {
      if (!this.session.broken) await this.#backTo('copy')
      if (isRowRefusal(error, table) || violatedUnique(error, table) !== null) throw new BatchRefused(sqlState(error))
      return this.refused(table, error)
    }
  }

  async insertRows(table: TableMapping, rows: readonly TargetRow[]): Promise<readonly RefusedRow[]> {
    await this.#keeper.beginWithoutKey(table)
    const outcome = await this.#writeAll(table, rows, { tail: '', into: this.targetName(table) })
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
    const outcome = await this.#writeAll(table, latest, { tail: upsertTail(table), into: this.targetName(table) })
    if ('refused' in outcome) return { kind: 'done', refused: outcome.refused }
    const { violated } = outcome
    try {
      const held = await holders(this.session, this.settings.schema, { table, rows: latest, violated }, uniques)
      if (held.length > 0) return { kind: 'held', holders: held }
    } catch (error) {
      throw mapped(error)
    }
    // Two rows of the source collide with each other: the UNIQUE itself does not hold.
    throw new ConstraintViolated(table.name, violated, 'unique')
  }

  /** Writes all or, where rows are refused, all others; where a UNIQUE is violated, nothing. */
  async #writeAll(table: TableMapping, rows: readonly TargetRow[], into: Into): Promise<Written> {
    if (rows.length === 0) return { refused: [] }
    // Rows are compared with what they became from a stage, which has the target's own types.
    const { triggers } = await this.#keeper.begin(table)
    const isSmall = triggers.length === 0 && rows.length < UNNEST_ROWS && bytesOf(rows) < UNNEST_BYTES
    return this.#writePart(table, rows, { ...into, stage: isSmall ? null : await this.#emptyStage(table) })
  }

  async #writePart(table: TableMapping, rows: readonly TargetRow[], way: Way): Promise<Written> {
    await this.run('SAVEPOINT batch')
    try {
      await this.#writeBatch(table, rows, way)
      await this.run('RELEASE SAVEPOINT batch')
      return { refused: [] }
    } catch (error) {
      const refusal = isRowRefusal(error, table)
      const violated = violatedUnique(error, table)
      if (!this.session.broken) await this.#backTo('batch')
      if (!refusal && violated === null) return this.refused(table, error)
      if (violated !== null) return { violated }
      if (refusal && error.code === '54000') await this.#throwIfIndex(table, error.constraint)
      const [row] = rows
      if (rows.length > 1 || !row) return this.#halves(table, rows, way)
      return { refused: [{ key: row.key, code: sqlState(error), message: refusalMessage(error, table.name) }] }
    }
  }

  /** No row is refused for the sake of an index that makes nothing unique. */
  async #throwIfIndex(table: TableMapping, name: string | undefined): Promise<void> {
    const [index] = await this.run(
      'SELECT x.indisunique AS unique FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = $1::regclass AND c.relname = $2',
      [this.targetName(table), name ?? ''],
    )
    if (name !== undefined && index?.['unique'] === false) throw new ConstraintViolated(table.name, name, 'index')
  }

  async #halves(table: TableMapping, rows: readonly TargetRow[], way: Way): Promise<Written> {
    const middle = rows.length >> 1
    await this.run('SAVEPOINT halves')
    const refused: RefusedRow[] = []
    for (const half of [rows.slice(0, middle), rows.slice(middle)]) {
      const outcome = await this.#writePart(table, half, way)
      if ('violated' in outcome) {
        await this.#backTo('halves')
        return outcome
      }
      refused.push(...outcome.refused)
      if (way.stage !== null) await this.run(`DELETE FROM ${way.stage}`)
    }
    await this.run('RELEASE SAVEPOINT halves')
    return { refused }
  }

  #backTo(savepoint: string): Promise<unknown> {
    return this.run(`ROLLBACK TO SAVEPOINT ${savepoint}; RELEASE SAVEPOINT ${savepoint}`)
  }

  /** Throws the driver's error. */
  async #writeBatch(table: TableMapping, rows: readonly TargetRow[], { into, tail, stage }: Way): Promise<void> {
    const given = rows.length
    if (stage === null) {
      const values = columnArrays(rows, [...table.columns.keys()])
      const affected = await this.#write(table, () => this.#count(insertSelect(into, table, tail), values))
      if (affected !== given) await this.#expectKeys(table, rows)
      return
    }
    async function* one(): AsyncIterable<readonly TargetRow[]> {
      yield rows
    }
    await copyInto(this.session, stage, table.columns, one())
    const affected = await this.#write(table, (names) => this.#count(insertStaged(table, { into, tail, stage }, names)))
    if (table.key === null || tail === '') await this.#keeper.compareCount(table, { given, affected })
    else await this.#keeper.compareStage(table, stage, { given, affected })
  }

  /** Rows that an upsert has left as they were are there. */
  async #expectKeys(table: TableMapping, rows: readonly TargetRow[]): Promise<void> {
    const columns = table.key?.columns ?? []
    const match = keyOf(columns)
    const arrays = columnArrays(
      rows,
      columns.map(({ column }) => table.columns.indexOf(column)),
    )
    const affected = await this.#count(
      `SELECT FROM ${this.targetName(table)} t JOIN ${sql.unnested(columns.length)} ON ${match}`,
      arrays,
    )
    await this.#keeper.compareCount(table, { given: rows.length, affected })
  }

  /**
   * A table of its own for batches of these rows. To be asked for outside of savepoints: TRUNCATE in a later one than the
   * table is of takes new storage, and leaves the old and a dead row of pg_class until the end, which every look at the
   * table passes over.
   */
  async #emptyStage(table: TableMapping): Promise<string> {
    const known = this.#stages.get(table.name)
    if (known !== undefined) {
      await this.run(`TRUNCATE ${known}`)
      return known
    }
    const stage = await this.#temporary(table, 'stage')
    this.#stages.set(table.name, stage)
    return stage
  }

  /** An empty temporary table with the target's types, dropped at the end of the transaction. */
  async #temporary(table: TableMapping, use: string): Promise<string> {
    const name = sql.name(sql.shortName(`${use}_${table.name}`))
    await this.run(`DROP TABLE IF EXISTS pg_temp.${name}`)
    const rows = `SELECT ${sql.columnList(table.columns)} FROM ${this.targetName(table)}`
    // What is wrong with the table is told of it, before what every temporary table would meet.
    await this.runOn(table, `${rows} LIMIT 0`)
    await this.run(`CREATE TEMP TABLE ${name} ON COMMIT DROP AS ${rows} WITH NO DATA`)
    return `pg_temp.${name}`
  }

  async deleteKeys(table: TableMapping, keys: readonly RowKey[]): Promise<void> {
    const columns = table.key?.columns ?? []
    const arrays = keyArrays(columns, keys)
    if (arrays === null) return
    const [given, match] = [sql.unnested(columns.length), keyOf(columns)]
    await this.#delete(table, `${given} WHERE ${match}`, arrays)
    await this.#keeper.expectNone(table, `FROM ${this.targetName(table)} t JOIN ${given} ON ${match}`, arrays)
  }

  async deleteStrays(table: TableMapping, strays: KeyPage['strays']): Promise<void> {
    const { from, match, values } = await this.onKey(table, (key) => key.rowsOf(strays))
    await this.#delete(table, `${from} WHERE ${match}`, values)
    await this.#keeper.expectNone(table, `FROM ${this.targetName(table)} t JOIN ${from} ON ${match}`, values)
  }

  async #delete(table: TableMapping, using: string, values: readonly unknown[]): Promise<void> {
    const text = `DELETE FROM ${this.targetName(table)} t USING ${using}`
    await this.#write(table, (names) => this.#count(`${text} AND ${names}`, values)).catch((error: unknown) =>
      this.refused(table, error),
    )
  }

  async replaceTable(
    table: TableMapping,
    batches: AsyncIterable<readonly TargetRow[]>,
  ): Promise<readonly RefusedRow[]> {
    const { triggers } = await this.#keeper.begin(table)
    const wanted = await this.#temporary(table, 'whole')
    await this.#forbidNulls(table, wanted)
    const refused: RefusedRow[] = []
    for await (const rows of batches) {
      const outcome = await this.#writeAll(table, rows, { tail: '', into: wanted })
      if ('violated' in outcome) throw new ConstraintViolated(table.name, outcome.violated, 'unique')
      refused.push(...outcome.refused)
    }
    const difference = replacement(table, this.targetName(table), wanted)
    try {
      for (const change of [difference.remove, difference.add])
        await this.#write(table, (names) => this.#count(`${change} AND ${names}`))
      const left = await this.#count(triggers.length > 0 ? difference.unlike : difference.uneven)
      await this.#keeper.compareCount(table, { given: 0, affected: left })
    } catch (error) {
      return this.refused(table, error)
    }
    return refused
  }

  /** What the target's own NOT NULLs refuse is then refused row by row. */
  async #forbidNulls(table: TableMapping, temporary: string): Promise<void> {
    const names = table.columns.map((column) => column.name)
    const filled = await this.runOn(
      table,
      'SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnotnull AND attname = ANY ($2)',
      [this.targetName(table), names],
    )
    if (filled.length === 0) return
    const changes = filled.map(({ name }) => `ALTER ${sql.name(String(name))} SET NOT NULL`)
    await this.run(`ALTER TABLE ${temporary} ${changes.join(', ')}`)
  }

  async checkConstraints(): Promise<void> {
    await this.run('SAVEPOINT constraints')
    try {
      await this.#keeper.settle(() => this.session.raw(`${THEIR_NAMES}; SET CONSTRAINTS ALL IMMEDIATE; ${OUR_NAMES}`))
      await this.session.raw('SET CONSTRAINTS ALL DEFERRED; RELEASE SAVEPOINT constraints')
    } catch (error) {
      if (this.session.broken) throw mapped(error)
      await this.#backTo('constraints')
      throw await this.#keeper.deferredFault(error)
    }
    this.#isChecked = true
  }

  /** For comparisons that share no code with the product. */
  async texts(query: string): Promise<(string | null)[][]> {
    const result = await this.session.client.query<(string | null)[]>({ text: query, rowMode: 'array' })
    return result.rows
  }
}

export function isTransaction(transaction: TargetTransaction): transaction is Transaction {
  return transaction instanceof Transaction
}

function insertStaged(
  table: TableMapping,
  { into, stage, tail }: Into & { readonly stage: string },
  names: string,
): string {
  const columns = sql.columnList(table.columns)
  return `INSERT INTO ${into} AS t (${columns}) SELECT ${columns} FROM ${stage} WHERE ${names}${tail}`
}

/** Rows `t` of the keys that are given as arrays. */
function keyOf(columns: readonly KeyColumn[]): string {
  return sql
    .keyColumns(columns)
    .map((column, at) => `t.${sql.name(column.name)} = u.c${at}::${column.castType}`)
    .join(' AND ')
}

interface Replacement {
  readonly remove: string
  readonly add: string
  /** A row where the two tables differ: as multisets, or in their number of rows. */
  readonly unlike: string
  readonly uneven: string
}

/** Makes `held` equal to `wanted` as a multiset of rows. In a partitioned table a place is one of its partition. */
function replacement(table: TableMapping, held: string, wanted: string): Replacement {
  const columns = table.columns.map((column) => sql.name(column.name))
  const whole = `ROW(${columns.map((column) => `${column}::text`).join(', ')})::text`
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
