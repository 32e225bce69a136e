/** Runs pieces of work one at a time, in the order in which they were submitted. */
export class OneByOne {
  #last: Promise<void> = Promise.resolve()

  async run<T>(work: () => Promise<T>): Promise<T> {
    const leave = await this.enter()
    try {
      return await work()
    } finally {
      leave()
    }
  }

  /** For work that is not a single call; the caller ends it by calling the returned function. */
  async enter(): Promise<() => void> {
    const before = this.#last
    let leave = (): void => undefined
    this.#last = new Promise<void>((resolve) => (leave = resolve))
    await before
    return leave
  }
}
