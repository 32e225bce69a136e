import type { RawRow, RowBlock } from '@mylab-sync/core'
import { ER } from '../connection/error-numbers.js'
import { ofTable, sourceError } from '../connection/errors.js'
import { withoutKey } from '../connection/row-blocks.js'
import type { RawValues } from '../connection/row-batches.js'
import type { Session, TextRow } from '../connection/session.js'
import { OneByOne } from '@mylab-sync/runtime'

const SAVE = 'SAVEPOINT r'
/** Releases the metadata lock and keeps the snapshot, and the savepoint. */
const BACK = 'ROLLBACK TO SAVEPOINT r'
/** Statements of a packet per query: the query itself, its warnings, and BACK. */
const PER_QUERY = 3
/** Limits of one packet. The shortest max_allowed_packet of a supported server is 4 MiB. */
const PACKET_QUERIES = 200
const PACKET_CHARACTERS = 256 << 10
/** Values truncated or replaced by NULL: max_allowed_packet (1301), GROUP_CONCAT (1260), data truncated (1265). Others, such as 1292 of a comparison, lose nothing. */
const LOSSES = new Set([ER.WARN_ALLOWED_PACKET_OVERFLOWED, ER.CUT_VALUE_GROUP_CONCAT, ER.DATA_TRUNCATED].map(String))

/** A query on one table of the source. */
export interface TableQuery {
  readonly table: string
  readonly sql: string
}

/** Serialises the reads of one snapshot, so that the statements of two reads never interleave. */
export class Reader {
  readonly #session: Session
  readonly #reads = new OneByOne()

  constructor(session: Session) {
    this.#session = session
  }

  /** Runs `use` after every earlier read has ended. */
  alone<T>(use: () => Promise<T>): Promise<T> {
    return this.#reads.run(use)
  }

  /**
   * Reads the key and columns of each row of each query, in few round trips. An error names its query's table, so that it alone
   * is set aside. The caller must not start another read of this snapshot inside the loop.
   */
  async *batches<Q extends TableQuery>(queries: readonly Q[]): AsyncGenerator<QueryRows<Q>, void, void> {
    for (const packet of packets(queries)) {
      const leave = await this.#reads.enter()
      try {
        yield* this.#streamPacket(packet)
      } finally {
        leave()
      }
    }
  }

  async *#streamPacket<Q extends TableQuery>(queries: readonly Q[]): AsyncGenerator<QueryRows<Q>, void, void> {
    const statements = packetOf(queries)
    for await (const { at, rows } of this.#session.stream(statements, (error, begun) => named(queries, error, begun))) {
      const query = queries[Math.floor((at - 1) / PER_QUERY)]
      if (query === undefined) continue
      if ((at - 1) % PER_QUERY > 0) requireWhole(query, rows)
      else yield { query, rows: rows.map((row) => rawRow(query, row)) }
    }
  }

  /** As `batches`, whole: for small results. */
  async several(queries: readonly TableQuery[]): Promise<RawRow[][]> {
    const results = new Map(queries.map((query) => [query, [] as RawRow[]]))
    for await (const { query, rows } of this.batches(queries)) results.get(query)?.push(...rows)
    return [...results.values()]
  }

  /** As `batches` for one query, undecoded. */
  async *blocks(
    query: TableQuery,
    of: { readonly columns: number; readonly keyed: boolean },
  ): AsyncGenerator<RowBlock, void, void> {
    const leave = await this.#reads.enter()
    try {
      requireWhole(query, yield* this.#session.blocks(packetOf([query]), of))
    } finally {
      leave()
    }
  }

  /** Rows of a query on tables of this product, outside a savepoint. */
  texts(query: string): Promise<TextRow[]> {
    return this.alone(() => this.#session.rows(query))
  }
}

/** Some rows of one query. */
interface QueryRows<Q extends TableQuery> {
  readonly query: Q
  readonly rows: RawRow[]
}

/** Each query stands between a savepoint and the return to it, so that no table's metadata lock is held while the next is read. */
function packetOf(queries: readonly TableQuery[]): string[] {
  return [SAVE, ...queries.flatMap(({ sql }) => [sql, 'SHOW WARNINGS', BACK])]
}

/** What an error means after so many results of the packet had begun: its query's own, or the one of its warnings. */
function named(queries: readonly TableQuery[], error: unknown, begun: number): unknown {
  const failed = queries[Math.floor((begun - 1) / PER_QUERY)]
  return failed === undefined ? error : ofTable(failed.table, error)
}

function* packets<Q extends TableQuery>(queries: readonly Q[]): Iterable<Q[]> {
  let packet: Q[] = []
  let characters = 0
  for (const query of queries) {
    if (packet.length > 0 && (packet.length >= PACKET_QUERIES || characters + query.sql.length > PACKET_CHARACTERS)) {
      yield packet
      packet = []
      characters = 0
    }
    packet.push(query)
    characters += query.sql.length
  }
  if (packet.length > 0) yield packet
}

/** Throws TableBroken if these warnings of a read say that values were lost. */
function requireWhole({ table }: TableQuery, warnings: readonly (RawValues | TextRow)[]): void {
  for (const [level, code] of warnings) {
    const number = code?.toString() ?? ''
    if (level?.toString() !== 'Error' && !LOSSES.has(number)) continue
    const text = `a read lost data (warning ${number || '?'})`
    throw ofTable(table, sourceError('truncated-read', text, { remedy: "raise the source's max_allowed_packet" }))
  }
}

function rawRow({ table }: TableQuery, values: RawValues): RawRow {
  const [key, ...rest] = values
  if (key === null || key === undefined) throw ofTable(table, withoutKey())
  return { key: key.toString('latin1'), values: rest }
}
