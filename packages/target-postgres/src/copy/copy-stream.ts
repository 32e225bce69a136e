import type { BlockStream, TableMapping, TargetRow } from '@mylab-sync/core'
import { from as copyFrom } from 'pg-copy-streams'
import type { Session } from '../connection/database.js'
import { RowsFailed } from '../errors.js'
import * as sql from '../sql.js'
import { BinaryEncoder } from './binary-encoder.js'
import type { BinaryPlan } from './binary-forms.js'
import { BlockEncoder } from './block-encoder.js'
import { COPY_BYTES } from './copy-buffer.js'
import { copyPieces } from './copy-text.js'

/** Rows that a COPY was given, and the server's count of rows written: a trigger may drop some. */
export interface Copied {
  readonly given: number
  readonly affected: number
}

/** Streams rows into a table. Throws the driver's error, or RowsFailed if reading the rows failed. */
export async function copyInto(
  session: Session,
  into: string,
  columns: TableMapping['columns'],
  batches: AsyncIterable<readonly TargetRow[]>,
): Promise<Copied> {
  return copied(session, copyStatement(into, columns), {
    parts: batches,
    write: async (rows, writer) => {
      for (const piece of copyPieces(rows, COPY_BYTES)) await writer.add(piece)
      return rows.length
    },
    end: async () => 0,
  })
}

/** As `copyInto`, for undecoded rows; the refused ones do not count as given. Null plans: as text. */
export async function copyBlocks(
  session: Session,
  into: string,
  { table, rows, binary = null }: { table: TableMapping; rows: BlockStream; binary?: readonly BinaryPlan[] | null },
): Promise<Copied> {
  const encoder = binary === null ? new BlockEncoder(table, rows) : new BinaryEncoder(table, binary)
  const format = binary === null ? '' : ' (FORMAT binary)'
  return copied(session, `${copyStatement(into, table.columns)}${format}`, {
    parts: rows.blocks,
    write: async (block, writer) => {
      await encoder.encode(block, (data) => writer.send(data))
      return 0
    },
    end: async (writer) => {
      await encoder.end((data) => writer.send(data))
      return encoder.rows
    },
  })
}

function copyStatement(into: string, columns: TableMapping['columns']): string {
  return `COPY ${into} (${sql.columnList(columns)}) FROM STDIN`
}

/** `write` and `end` return how many more rows were given. */
interface Feed<T> {
  readonly parts: AsyncIterable<T>
  write(part: T, writer: CopyWriter): Promise<number>
  end(writer: CopyWriter): Promise<number>
}

async function copied<T>(session: Session, statement: string, feed: Feed<T>): Promise<Copied> {
  const writer = new CopyWriter(session, statement)
  const iterator = feed.parts[Symbol.asyncIterator]()
  let given = 0
  try {
    for (;;) {
      const next = await iterator.next().catch((cause: unknown) => Promise.reject(new RowsFailed(cause)))
      if (next.done) break
      given += await feed.write(next.value, writer)
    }
    given += await feed.end(writer)
    return { given, affected: await writer.finish() }
  } catch (error) {
    writer.abort()
    // Ends a generator that may be waiting for the source; its own error is irrelevant.
    if (!(error instanceof RowsFailed)) await iterator.return?.().catch(() => {})
    throw error
  }
}

class CopyWriter {
  readonly #stream: ReturnType<typeof copyFrom>
  readonly #failed: Promise<never>
  #failure: Error | null = null
  readonly #session: Session
  #parts: Buffer[] = []
  #bytes = 0

  constructor(session: Session, statement: string) {
    this.#session = session
    this.#stream = session.client.query(copyFrom(statement))
    this.#failed = new Promise<never>((_, reject) => {
      this.#stream.on('error', (error) => {
        this.#failure ??= error
        session.noteFailure(error)
        reject(error)
      })
    })
    // The awaiting caller gets the rejection; until then it must not end the process.
    this.#failed.catch(() => {})
  }

  async add(data: Buffer): Promise<void> {
    this.#parts.push(data)
    this.#bytes += data.length
    if (this.#bytes >= COPY_BYTES) await this.#flush()
  }

  async #flush(): Promise<void> {
    if (this.#bytes === 0) return
    const data = this.#parts.length === 1 ? (this.#parts[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#parts)
    this.#parts = []
    this.#bytes = 0
    await this.send(data)
  }

  /** Returns once more can be sent: true if nothing refers to these bytes any longer, so that they may be overwritten. */
  async send(data: Buffer): Promise<boolean> {
    // Without this check a refused COPY would read its source to the end.
    if (this.#failure) throw this.#failure
    if (!this.#stream.write(data)) await this.#await('drain')
    return this.#stream.writableLength === 0 && this.#session.client.connection.stream.writableLength === 0
  }

  /** Returns the server's count of rows. */
  async finish(): Promise<number> {
    await this.#flush()
    if (this.#failure) throw this.#failure
    const finished = this.#await('finish')
    this.#stream.end()
    await finished
    return this.#stream.rowCount
  }

  /** Also rejects on an error of the stream or of its connection. */
  async #await(event: 'drain' | 'finish'): Promise<void> {
    const since = performance.now()
    const end = this.#session.watch(() => performance.now() - since)
    const come = new Promise<void>((resolve) => this.#stream.once(event, () => resolve()))
    await Promise.race([this.#failed, come]).finally(end)
  }

  /** Sends CopyFail if COPY still runs; the connection stays usable. */
  abort(): void {
    if (this.#failure === null) this.#stream.destroy(new Error('the rows of this COPY failed'))
  }
}
