const LOOK_MS = 1_000
const ASK_AFTER_MS = 8_000

export interface Awaited {
  /** How long the peer has been silent; 0 while it is our turn. */
  readonly silentMs: () => number
  /** Whether the server answers a new connection; false, or an error, within seconds if not. */
  readonly answers: () => Promise<boolean>
  /** The longest wait for an answer, even from a healthy server. */
  readonly maxMs: number
  /** Called once, with the length of the silence. */
  readonly lost: (silentMs: number) => void
}

/**
 * Guards against an answer that never comes: a half-open connection is silent forever, and the kernel notices only
 * after a quarter of an hour. A long statement is silent too, so after 8 s, and then repeatedly, another connection
 * probes whether the server answers at all. Returns a function that ends the watch.
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
    // it may have answered meanwhile
    if (!answered && awaited.silentMs() >= ASK_AFTER_MS) lose()
  }
  const timer = setInterval(() => {
    const silentMs = awaited.silentMs()
    if (silentMs >= awaited.maxMs) lose()
    else if (silentMs >= ASK_AFTER_MS && !asking) void ask()
  }, LOOK_MS)
  timer.unref()
  return end
}
