import type {
  DigestScope,
  KeyPage,
  KeyRange,
  MultisetDifference,
  RowComparison,
  RowDifference,
  RowDigest,
  RowKey,
  TableMapping,
  TargetRow,
} from '@mylab-sync/core'
import * as sql from '../sql.js'
import { copyInto } from '../copy/copy-stream.js'
import type { Staging } from './staging.js'
import { selectDigest } from './digest.js'
import { onKey } from './key-pages.js'
import { bytesOf, columnArrays, exactly, keyArrays, keyOf, keyOfTexts, rowImage, textsOfKey } from './statements.js'
import type { TableSql } from './table-sql.js'

/** Bounds of one statement, whose values are strings in this process. */
const MAX_ROWS = 2_000
const MAX_BYTES = 2 << 20

/** Compares rows with the target's, in its own types: a value is equal exactly where an upsert would not write it. */
export class Comparison implements RowComparison {
  readonly #sql: TableSql
  readonly #staging: Staging

  constructor(statements: TableSql, staging: Staging) {
    this.#sql = statements
    this.#staging = staging
  }

  async compare(table: TableMapping, rows: readonly TargetRow[]): Promise<RowDifference[]> {
    const differences: RowDifference[] = []
    for (const part of partsOf(rows)) differences.push(...(await this.#comparePart(table, part)))
    return differences
  }

  async #comparePart(table: TableMapping, rows: readonly TargetRow[]): Promise<RowDifference[]> {
    const keys = sql.keyColumns(table.key?.columns ?? [])
    const given = (at: number): string => `u.c${at}::${table.columns[at]?.castType ?? ''}`
    const place = new Map(table.columns.map((column, at) => [column.name, at]))
    const match = keys.map(({ name }) => `t.${sql.name(name)} = ${given(place.get(name) ?? 0)}`).join(' AND ')
    const unequal = table.columns.map(
      (column, at) =>
        `${exactly(column, `t.${sql.name(column.name)}`)} IS DISTINCT FROM ${exactly(column, `(${given(at)})`)}`,
    )
    const columns = table.columns.map((_, at) => `c${at}`)
    const arrays = columns.map((_, at) => `$${at + 1}::text[]`).join(', ')
    const found = await this.#sql.runOn(
      table,
      `SELECT u.n::int AS n, t.ctid IS NULL AS missing,
         array_remove(ARRAY[${unequal.map((test, at) => `CASE WHEN ${test} THEN ${at} END`).join(', ')}], NULL) AS columns
       FROM ROWS FROM (unnest(${arrays})) WITH ORDINALITY AS u(${columns.join(', ')}, n) LEFT JOIN ${this.#sql.nameOf(table)} t ON ${match}
       WHERE t.ctid IS NULL OR ${unequal.join(' OR ')}`,
      columnArrays(rows, [...table.columns.keys()]),
    )
    return found.map((row) => {
      const { key } = rows[Number(row['n']) - 1] ?? { key: '' }
      if (row['missing'] === true) return { key, kind: 'missing', columns: [] }
      const differing = (row['columns'] as number[]).map((at) => table.columns[at]?.source.name ?? '')
      return { key, kind: 'different', columns: differing }
    })
  }

  async digest(table: TableMapping, scope: DigestScope): Promise<RowDigest> {
    const statement = selectDigest(this.#sql.nameOf(table), table, scope)
    if (statement === null) return { rows: 0, sums: [0n, 0n] }
    const [row] = await this.#sql.runOn(table, statement.text, statement.values)
    return { rows: Number(row?.['rows']), sums: [BigInt(String(row?.['a'])), BigInt(String(row?.['b']))] }
  }

  async texts(table: TableMapping, keys: readonly RowKey[]): Promise<ReadonlyMap<RowKey, readonly (string | null)[]>> {
    const columns = table.key?.columns ?? []
    const arrays = keyArrays(columns, keys)
    if (arrays === null) return new Map()
    const texts = table.columns.map(({ name }, at) => `t.${sql.name(name)}::text AS c${at}`)
    const places = columns.map(({ column }) => table.columns.indexOf(column))
    const rows = await this.#sql.runOn(
      table,
      `SELECT ${texts.join(', ')} FROM ${this.#sql.nameOf(table)} t JOIN ${sql.unnested(columns.length)} ON ${keyOf(columns)}`,
      arrays,
    )
    return new Map(
      rows.map((row) => {
        const values = table.columns.map((_, at) => (row[`c${at}`] ?? null) as string | null)
        return [
          keyOfTexts(
            columns,
            places.map((at) => values[at] ?? ''),
          ),
          values,
        ]
      }),
    )
  }

  keysWithin(
    table: TableMapping,
    { lower, upper }: KeyRange,
    { after, limit }: { readonly after: readonly string[] | null; readonly limit: number },
  ): Promise<KeyPage> {
    const columns = table.key?.columns ?? []
    const textsOf = (key: string | null): string[] | null => (key === null ? null : textsOfKey(columns, key))
    return onKey(this.#sql, table, (key, run) =>
      key.page(run, after ?? textsOf(lower), { limit, until: textsOf(upper) }),
    )
  }

  async compareWhole(table: TableMapping, batches: AsyncIterable<readonly TargetRow[]>): Promise<MultisetDifference> {
    const stage = await this.#staging.temporary(table, 'compared')
    const copied = await copyInto(this.#sql.session, stage, table.columns, batches).catch((error: unknown) =>
      this.#sql.refused(table, error),
    )
    const image = rowImage(table)
    const counted = (from: string): string => `(SELECT ${image} AS image, count(*) AS n FROM ${from} GROUP BY 1)`
    const [row] = await this.#sql.runOn(
      table,
      `SELECT coalesce(sum(greatest(coalesce(s.n, 0) - coalesce(t.n, 0), 0)), 0)::float8 AS missing,
         coalesce(sum(greatest(coalesce(t.n, 0) - coalesce(s.n, 0), 0)), 0)::float8 AS surplus
       FROM ${counted(stage)} s FULL JOIN ${counted(this.#sql.nameOf(table))} t USING (image)`,
    )
    return { rows: copied.given, missing: Number(row?.['missing']), surplus: Number(row?.['surplus']) }
  }
}

function* partsOf(rows: readonly TargetRow[]): Iterable<readonly TargetRow[]> {
  let part: TargetRow[] = []
  let bytes = 0
  for (const row of rows) {
    const size = bytesOf([row])
    if (part.length > 0 && (part.length >= MAX_ROWS || bytes + size > MAX_BYTES)) {
      yield part
      part = []
      bytes = 0
    }
    part.push(row)
    bytes += size
  }
  if (part.length > 0) yield part
}
