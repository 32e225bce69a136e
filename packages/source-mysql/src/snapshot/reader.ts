import type { RawRow, RowBlock } from '@mylab-sync/core'
import { ER } from '../connection/error-numbers.js'
import { sourceError } from '../connection/errors.js'
import { OneByOne } from '@mylab-sync/runtime'
import { withoutKey } from '../connection/row-blocks.js'
import type { RawValues, Session, TextRow } from '../connection/session.js'

const SAVE = 'SAVEPOINT r'
/** Releases the metadata lock and keeps the snapshot. */
const BACK = 'ROLLBACK TO SAVEPOINT r'
/** Values truncated or replaced by NULL: max_allowed_packet (1301), GROUP_CONCAT (1260), data truncated (1265). Others, such as 1292 of a comparison, lose nothing. */
const LOSSES = new Set([ER.WARN_ALLOWED_PACKET_OVERFLOWED, ER.CUT_VALUE_GROUP_CONCAT, ER.DATA_TRUNCATED].map(String))

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

  /** Reads the key and columns of each row. The caller must not start another read of this snapshot inside the loop. */
  async *batches(sql: string): AsyncGenerator<RawRow[], void, void> {
    const leave = await this.#reads.enter()
    try {
      await this.#session.run(SAVE)
      for await (const batch of this.#session.stream(sql)) yield batch.map(rawRow)
      await this.#checkWarnings()
      await this.#session.run(BACK)
    } finally {
      leave()
    }
  }

  /** As `batches`, undecoded. */
  async *blocks(
    sql: string,
    of: { readonly columns: number; readonly keyed: boolean },
  ): AsyncGenerator<RowBlock, void, void> {
    const leave = await this.#reads.enter()
    try {
      await this.#session.run(SAVE)
      yield* this.#session.blocks(sql, of)
      await this.#checkWarnings()
      await this.#session.run(BACK)
    } finally {
      leave()
    }
  }

  /** As `batches`, all rows at once. */
  async all(sql: string): Promise<RawRow[]> {
    const rows: RawRow[] = []
    for await (const batch of this.batches(sql)) for (const row of batch) rows.push(row)
    return rows
  }

  /** Rows of a query on tables of this product, outside a savepoint. */
  texts(query: string): Promise<TextRow[]> {
    return this.alone(() => this.#session.rows(query))
  }

  async #checkWarnings(): Promise<void> {
    const warnings = await this.#session.rows('SHOW WARNINGS')
    const loss = warnings.find(([level, code]) => level === 'Error' || LOSSES.has(code ?? ''))
    if (loss === undefined) return
    throw sourceError('truncated-read', `a read lost data (warning ${loss[1] ?? '?'})`, {
      remedy: "raise the source's max_allowed_packet",
    })
  }
}

function rawRow(values: RawValues): RawRow {
  const [key, ...rest] = values
  if (key === null || key === undefined) throw withoutKey()
  return { key: key.toString('latin1'), values: rest }
}
