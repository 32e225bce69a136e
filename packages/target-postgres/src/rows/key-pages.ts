import { type KeyColumn, type KeyPage, type RowKey, SyncError, type TableMapping, ValueRefused } from '@mylab-sync/core'
import * as sql from '../sql.js'
import { isInRange, keyOfTexts } from './statements.js'
import type { TableSql } from './table-sql.js'

export type Run = (text: string, values?: readonly unknown[]) => Promise<Record<string, unknown>[]>

/** The key columns of a target table with their types there, which may be wider than the mapping's. */
export class TargetKey {
  readonly #columns: readonly KeyColumn[]
  readonly #names: readonly string[]
  readonly #types: readonly string[]
  readonly #target: string

  private constructor(target: string, columns: readonly KeyColumn[], types: readonly string[]) {
    this.#target = target
    this.#columns = columns
    this.#names = sql.keyColumns(columns).map((column) => `t.${sql.name(column.name)}`)
    this.#types = types
  }

  static async read(run: Run, target: string, table: TableMapping): Promise<TargetKey> {
    const columns = table.key?.columns ?? []
    // A modifier of -1 names the type without a length: `bit` alone would be bit(1).
    const rows = await run(
      'SELECT attname::text AS name, format_type(atttypid, -1) AS type FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped',
      [target],
    )
    const types = new Map(rows.map((row) => [String(row['name']), String(row['type'])]))
    return new TargetKey(
      target,
      columns,
      columns.map(({ column }) => types.get(column.name) ?? column.castType),
    )
  }

  /** As the port's `keysAfter`; up to and including the texts `until`. */
  async page(
    run: Run,
    after: readonly string[] | null,
    { limit, until = null }: { readonly limit: number; readonly until?: readonly string[] | null },
  ): Promise<KeyPage> {
    const [low, high] = [after ?? [], until ?? []]
    const places = (from: number): string => this.#types.map((type, at) => `$${from + at + 1}::${type}`).join(', ')
    const key = `(${this.#names.join(', ')})`
    const conditions = [
      ...(after === null ? [] : [`${key} > (${places(0)})`]),
      ...(until === null ? [] : [`${key} <= (${places(low.length)})`]),
    ]
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
    const rows = await run(
      `SELECT ${this.#names.map((name, at) => `${name}::text AS k${at}`).join(', ')} FROM ${this.#target} t ${where}
       ORDER BY ${this.#names.join(', ')} LIMIT ${Math.floor(limit)}`,
      [...low, ...high],
    )
    const texts = rows.map((row) => this.#columns.map((_, at) => String(row[`k${at}`])))
    const strays = await this.#strays(run, texts)
    const keys = texts.flatMap((row): RowKey[] => (strays.has(row) ? [] : [keyOfTexts(this.#columns, row)]))
    return { keys, strays: [...strays], next: texts.length < limit ? null : (texts.at(-1) ?? null) }
  }

  /** Selects rows `t` with exactly these texts: a FROM item with its condition. */
  rowsOf(rows: readonly (readonly string[])[]): { from: string; match: string; values: (string | null)[][] } {
    return {
      from: sql.unnested(this.#names.length),
      match: this.#names.map((name, at) => `${name} = u.c${at}::${this.#types[at]}`).join(' AND '),
      values: this.#names.map((_, at) => rows.map((row) => row[at] ?? null)),
    }
  }

  /** Texts that no key of the source converts to: another spelling, other digits, or a value that the source's type lacks. */
  async #strays(run: Run, rows: readonly (readonly string[])[]): Promise<Set<readonly string[]>> {
    const strays = new Set<readonly string[]>()
    const doubtful: { readonly row: readonly string[]; readonly given: readonly string[] }[] = []
    for (const row of rows) {
      const given = givenTexts(this.#columns, row)
      if (given === null) strays.add(row)
      else if (given.some((text, at) => text !== row[at])) doubtful.push({ row, given })
    }
    if (doubtful.length === 0) return strays
    // Different texts may be one value: 0.1 and 0.10000000149011612 are the same REAL.
    const differ = this.#types.map((type, at) => `u.c${2 * at}::${type} IS DISTINCT FROM u.c${2 * at + 1}::${type}`)
    const found = await run(
      `SELECT n::int AS n FROM ROWS FROM (${unnests(2 * this.#types.length)}) WITH ORDINALITY AS u(${names(2 * this.#types.length)}, n) WHERE ${differ.join(' OR ')}`,
      this.#types.flatMap((_, at) => [doubtful.map(({ row }) => row[at]), doubtful.map(({ given }) => given[at])]),
    )
    for (const { n } of found) {
      const stray = doubtful[Number(n) - 1]
      if (stray) strays.add(stray.row)
    }
    return strays
  }
}

function unnests(count: number): string {
  return Array.from({ length: count }, (_, at) => `unnest($${at + 1}::text[])`).join(', ')
}

function names(count: number): string {
  return Array.from({ length: count }, (_, at) => `c${at}`).join(', ')
}

/** The target's texts of the key that these texts represent; null if they represent none. */
function givenTexts(columns: readonly KeyColumn[], row: readonly string[]): string[] | null {
  try {
    const texts = columns.map((column, at) => column.toTarget(column.fromTarget(row[at] ?? '')))
    return columns.every(({ column }, at) => isInRange(column.type, texts[at] ?? '')) ? texts : null
  } catch (error) {
    // A value that cannot be carried, or a member that the type lacks.
    if (error instanceof ValueRefused || (error instanceof SyncError && error.code === 'generation-changed'))
      return null
    throw error
  }
}

/** Runs `work` with the key of a table as the target defines it. */
export async function onKey<T>(
  statements: TableSql,
  table: TableMapping,
  work: (key: TargetKey, run: Run) => T,
): Promise<Awaited<T>> {
  const run: Run = (text, values) => statements.runOn(table, text, values)
  return await work(await TargetKey.read(run, statements.nameOf(table), table), run)
}
