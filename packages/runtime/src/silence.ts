const LOOK_MS = 1_000
const ASK_AFTER_MS = 8_000

export interface Awaited {
  /** How long the other side has been silent; 0 while it is ours to go on. */
  readonly silentMs: () => number
  /** Whether the server answers anybody at all; false or an error within seconds where it does not. */
  readonly answers: () => Promise<boolean>
  /** An answer is waited for no longer than this, however well the server is. */
  readonly mostMs: number
  /** Called once, with how long it was silent. */
  readonly lost: (silentMs: number) => void
}

/**
 * Looks after an answer that may never come: a connection of which only one end is left is silent for ever, and the
 * kernel says so after a quarter of an hour. A long statement is silent too, so after 8 s, and then again and again,
 * another connection asks whether the server answers at all. Returns what ends the watch.
 */
export function watchSilence(awaited: Awaited): () => void {
  let asking = false
  let ended = false
  const end = (): void => {
    ended = true
    clearInterval(timer)
  }
  const lose = (): void => {
    if (ended) return
    const silentMs = awaited.silentMs()
    end()
    awaited.lost(silentMs)
  }
  const ask = async (): Promise<void> => {
    asking = true
    const answered = await awaited.answers().catch(() => false)
    asking = false
    // it may have spoken meanwhile
    if (!answered && awaited.silentMs() >= ASK_AFTER_MS) lose()
  }
  const timer = setInterval(() => {
    const silentMs = awaited.silentMs()
    if (silentMs >= awaited.mostMs) lose()
    else if (silentMs >= ASK_AFTER_MS && !asking) void ask()
  }, LOOK_MS)
  timer.unref()
  return end
}
