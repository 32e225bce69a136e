import type {
  DigestScope,
  Edge,
  KeyRange,
  KeysOf,
  RawRow,
  RowBlock,
  RowDigest,
  RowKey,
  RowsRead,
  SnapshotRows,
  TableMapping,
} from '@mylab-sync/core'
import { ofTable, sourceError } from '../connection/errors.js'
import * as sql from '../sql.js'
import { selectDigest } from './digest.js'
import type { Reader } from './reader.js'
import {
  selectColumnByColumn,
  selectChildKeys,
  selectKeyAfter,
  selectKeys,
  selectRange,
  selectSamples,
} from './statements.js'

export class RowReads implements SnapshotRows {
  readonly #reader: Reader

  constructor(reader: Reader) {
    this.#reader = reader
  }

  readRange(table: TableMapping, range: KeyRange): AsyncIterable<RawRow[]> {
    return this.#batches(table, selectRange(table, range))
  }

  async *readBlocks(
    table: TableMapping,
    range: KeyRange,
    { keyed }: { readonly keyed: boolean },
  ): AsyncGenerator<RowBlock, void, void> {
    const columns = table.columns.length + (keyed ? 1 : 0)
    try {
      yield* this.#reader.blocks(
        { table: table.source.name, sql: selectRange(table, range, keyed) },
        { columns, keyed },
      )
    } catch (error) {
      throw ofTable(table.source.name, error)
    }
  }

  async *readKeys(wanted: readonly KeysOf[]): AsyncGenerator<RowsRead, void, void> {
    const queries = wanted
      .filter(({ keys }) => keys.length > 0)
      .map((of) => ({ table: of.table.source.name, of, sql: selectKeys(of.table, of.keys) }))
    for await (const { query, rows } of this.#reader.batches(queries)) yield { of: query.of, rows }
  }

  async readColumns(table: TableMapping, keys: readonly RowKey[], columns: readonly string[]): Promise<RawRow[]> {
    if (keys.length === 0) return []
    const mapped = columns.map((name) => {
      const column = table.columns.find((each) => each.source.name === name)
      if (column === undefined) throw sourceError('internal', `table ${table.source.name} has no mapped column ${name}`)
      return column
    })
    return await this.#all(table, selectKeys(table, keys, mapped))
  }

  async heldKeys(wanted: readonly KeysOf[]): Promise<RowKey[][]> {
    const asked = wanted.filter(({ keys }) => keys.length > 0)
    const results = await this.#reader.several(
      asked.map(({ table, keys }) => ({ table: table.source.name, sql: selectKeys(table, keys, []) })),
    )
    const held = new Map(asked.map((each, at) => [each, (results[at] ?? []).map((row) => row.key)]))
    return wanted.map((each) => held.get(each) ?? [])
  }

  async sampleKeys(tables: readonly TableMapping[]): Promise<RowKey[][]> {
    const queries = tables.flatMap((table, of) =>
      selectSamples(table).map((statement) => ({ table: table.source.name, sql: statement, of })),
    )
    const found = tables.map(() => new Set<RowKey>())
    for (const [at, rows] of (await this.#reader.several(queries)).entries())
      for (const { key } of rows) found[queries[at]?.of ?? 0]?.add(key)
    return found.map((keys) => [...keys])
  }

  async findAgain(table: TableMapping, keys: readonly RowKey[]): Promise<RowKey[]> {
    if (keys.length === 0) return []
    const wanted = new Set(keys)
    const rows = await this.#all(table, selectColumnByColumn(table, keys))
    return rows.map((row) => row.key).filter((key) => wanted.has(key))
  }

  async *childKeys(
    child: TableMapping,
    edge: Edge,
    parents: readonly (readonly string[])[],
  ): AsyncGenerator<RowKey[], void, void> {
    if (parents.length === 0) return
    for await (const rows of this.#batches(child, selectChildKeys(child, edge, parents)))
      yield rows.map((row) => row.key)
  }

  async keyAfter(table: TableMapping, after: RowKey | null, rows: number): Promise<RowKey | null> {
    const [row] = await this.#all(table, selectKeyAfter(table, after, rows))
    return row?.key ?? null
  }

  async firstBounds(
    wanted: readonly { readonly table: TableMapping; readonly rows: number }[],
  ): Promise<(RowKey | null)[]> {
    const queries = wanted.map(({ table, rows }) => ({
      table: table.source.name,
      sql: selectKeyAfter(table, null, rows),
    }))
    return (await this.#reader.several(queries)).map(([row]) => row?.key ?? null)
  }

  async counts(tables: readonly string[]): Promise<number[]> {
    const queries = tables.map((table) => ({ table, sql: `SELECT COUNT(*) FROM ${sql.name(table)}` }))
    return (await this.#reader.several(queries)).map(([row]) => Number(row?.key ?? 0))
  }

  async digest(table: TableMapping, scope: DigestScope): Promise<RowDigest> {
    const [row] = await this.#all(table, selectDigest(table, scope))
    const [a, b] = row?.values ?? []
    return {
      rows: Number(row?.key ?? 0),
      sums: [BigInt(a?.toString('latin1') ?? 0), BigInt(b?.toString('latin1') ?? 0)],
    }
  }

  async *#batches({ source: { name } }: TableMapping, statement: string): AsyncGenerator<RawRow[], void, void> {
    for await (const { rows } of this.#reader.batches([{ table: name, sql: statement }])) yield rows
  }

  async #all(table: TableMapping, statement: string): Promise<RawRow[]> {
    const rows: RawRow[] = []
    for await (const batch of this.#batches(table, statement)) for (const row of batch) rows.push(row)
    return rows
  }
}
