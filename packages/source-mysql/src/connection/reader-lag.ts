interface Sender {
  pause(): unknown
  resume(): unknown
}

/** Pauses the sender of a result while its reader lags, and wakes the reader when more has arrived. */
export class ReaderLag {
  readonly #sender: Sender
  #isPaused = false
  #hasEnded = false
  #wake = (): void => undefined

  constructor(sender: Sender) {
    this.#sender = sender
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Nothing more arrives. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** The reader has something to read. `isEnough`: so much waits that the sender pauses until the reader asks for more. */
  arrived(isEnough: boolean): void {
    if (isEnough && !this.#isPaused) {
      this.#isPaused = true
      this.#sender.pause()
    }
    this.#wake()
  }

  /** Nothing more of this result arrives. The end of a result may come with rows that have paused the sender, which the next one needs. */
  end(): void {
    this.#hasEnded = true
    this.#resume()
    this.#wake()
  }

  #resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#sender.resume()
  }

  /** Lets the sender continue. Returns once something has arrived, or the end has. */
  async more(isThere: () => boolean): Promise<void> {
    this.#resume()
    // Resuming handles packets that have arrived, at once.
    if (!isThere() && !this.#hasEnded) await new Promise<void>((resolve) => (this.#wake = resolve))
  }
}
