/** Work of which no two pieces run at once; each begins when all that came before it have ended. */
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

  /** For work that is no single call; the caller leaves by what this returns. */
  async enter(): Promise<() => void> {
    const before = this.#last
    let leave = (): void => undefined
    this.#last = new Promise<void>((resolve) => (leave = resolve))
    await before
    return leave
  }
}
