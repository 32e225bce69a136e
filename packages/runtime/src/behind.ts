/** Runs pieces of work one at a time, each while its caller goes on. */
export class Behind {
  #last: Promise<void> = Promise.resolve()

  /** Begins this piece once the one before has ended. Rejects with that one's error. */
  async start(work: () => Promise<void>): Promise<void> {
    await this.#last
    this.#last = work()
    // The next call or `ended` rejects; until then the rejection must not end the process.
    this.#last.catch(() => undefined)
  }

  /** Ends with the last piece, and rejects with its error. */
  async ended(): Promise<void> {
    await this.#last
  }
}
