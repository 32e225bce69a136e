/** One result row, undecoded. */
export type RawValues = (Buffer | null)[]

/** Some rows of one statement of a packet. */
export interface ResultRows {
  /** The statement's place in its packet. */
  readonly at: number
  readonly rows: RawValues[]
}

const BATCH_ROWS = 500
const BATCH_BYTES = 1_000_000
/** Batches' worth of unread rows at which reading should pause. */
const WAITING_BATCHES = 2

/** Groups received rows into batches of bounded size, each of one statement. */
export class RowBatches {
  readonly #complete: ResultRows[] = []
  #open: ResultRows = { at: 0, rows: [] }
  #openBytes = 0
  #waitingRows = 0
  #waitingBytes = 0

  /** Whether so much waits that the sender should pause until all of it is taken. */
  get isEnough(): boolean {
    return this.#waitingRows >= WAITING_BATCHES * BATCH_ROWS || this.#waitingBytes >= WAITING_BATCHES * BATCH_BYTES
  }

  get hasComplete(): boolean {
    return this.#complete.length > 0
  }

  /** Adds a row; returns whether this completed a batch. */
  add(at: number, row: RawValues): boolean {
    const isOther = at !== this.#open.at && this.#open.rows.length > 0
    if (isOther) this.#complete.push(this.#close(at))
    else if (at !== this.#open.at) this.#close(at)
    this.#open.rows.push(row)
    for (const value of row) this.#openBytes += value === null ? 1 : value.length
    if (this.#open.rows.length < BATCH_ROWS && this.#openBytes < BATCH_BYTES) return isOther
    this.#complete.push(this.#close(at))
    return true
  }

  /** The oldest complete batch; undefined if there is none. */
  take(): ResultRows | undefined {
    const batch = this.#complete.shift()
    if (batch !== undefined) return batch
    this.#waitingRows = 0
    this.#waitingBytes = 0
    return undefined
  }

  /** The batch that the last row left open. */
  last(): ResultRows {
    return this.#close(this.#open.at)
  }

  #close(next: number): ResultRows {
    const batch = this.#open
    this.#waitingRows += batch.rows.length
    this.#waitingBytes += this.#openBytes
    this.#open = { at: next, rows: [] }
    this.#openBytes = 0
    return batch
  }
}
