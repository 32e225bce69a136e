import type { TableMapping, TargetRow } from '@mylab-sync/core'
import { from as copyFrom } from 'pg-copy-streams'
import type { Session } from '../connection/database.js'
import { RowsFailed } from '../errors.js'
import * as sql from '../sql.js'
import { copyPieces } from './copy-text.js'

/** Bytes per write: each is a protocol message, and small ones cost more than they carry. */
const COPY_BYTES = 64 << 10

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
  const writer = new CopyWriter(session, `COPY ${into} (${sql.columnList(columns)}) FROM STDIN`)
  const iterator = batches[Symbol.asyncIterator]()
  let rows = 0
  try {
    for (;;) {
      const next = await iterator.next().catch((cause: unknown) => Promise.reject(new RowsFailed(cause)))
      if (next.done) break
      rows += next.value.length
      for (const piece of copyPieces(next.value, COPY_BYTES)) await writer.add(piece)
    }
    return { given: rows, affected: await writer.finish() }
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
    // Without this check a refused COPY would read its source to the end.
    if (this.#failure) throw this.#failure
    if (this.#bytes === 0) return
    const data = this.#parts.length === 1 ? (this.#parts[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#parts)
    this.#parts = []
    this.#bytes = 0
    if (this.#stream.write(data)) return
    await this.#await('drain')
  }

  /** Returns the server's count of rows. */
  async finish(): Promise<number> {
    await this.#flush()
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
