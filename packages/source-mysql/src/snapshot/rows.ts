import type {
  DigestScope,
  Edge,
  KeyRange,
  RawRow,
  RowBlock,
  RowDigest,
  RowKey,
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
      yield* this.#reader.blocks(selectRange(table, range, keyed), { columns, keyed })
    } catch (error) {
      throw ofTable(table.source.name, error)
    }
  }

  async *readKeys(table: TableMapping, keys: readonly RowKey[]): AsyncGenerator<RawRow[], void, void> {
    if (keys.length > 0) yield* this.#batches(table, selectKeys(table, keys))
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

  async sampleKeys(table: TableMapping): Promise<RowKey[]> {
    const found = new Set<RowKey>()
    for (const statement of selectSamples(table))
      for (const { key } of await this.#reader.all(statement)) found.add(key)
    return [...found]
  }

  async findAgain(table: TableMapping, keys: readonly RowKey[]): Promise<RowKey[]> {
    if (keys.length === 0) return []
    const wanted = new Set(keys)
    const rows = await this.#reader.all(selectColumnByColumn(table, keys))
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

  async count(table: string): Promise<number> {
    try {
      const [row] = await this.#reader.all(`SELECT COUNT(*) FROM ${sql.name(table)}`)
      return Number(row?.key ?? 0)
    } catch (error) {
      throw ofTable(table, error)
    }
  }

  async digest(table: TableMapping, scope: DigestScope): Promise<RowDigest> {
    const [row] = await this.#all(table, selectDigest(table, scope))
    const [a, b] = row?.values ?? []
    return {
      rows: Number(row?.key ?? 0),
      sums: [BigInt(a?.toString('latin1') ?? 0), BigInt(b?.toString('latin1') ?? 0)],
    }
  }

  /** Rows of one table; an error names the table, so that it alone is set aside. */
  async *#batches({ source }: TableMapping, statement: string): AsyncGenerator<RawRow[], void, void> {
    try {
      yield* this.#reader.batches(statement)
    } catch (error) {
      throw ofTable(source.name, error)
    }
  }

  async #all(table: TableMapping, statement: string): Promise<RawRow[]> {
    const rows: RawRow[] = []
    for await (const batch of this.#batches(table, statement)) for (const row of batch) rows.push(row)
    return rows
  }
}
