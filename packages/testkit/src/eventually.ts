const FIRST_PAUSE_MS = 5
const MAX_PAUSE_MS = 100

/**
 * Polls `predicate` until it returns something truthy, and returns that.
 * An exception of the predicate counts as "not yet". The pause grows from 5 to 100 ms.
 *
 * @param what names the awaited state; it opens the error's message
 * @throws Error after `deadlineMs`, naming what the last attempt returned or threw; the latter is also its `cause`
 */
export async function eventually<T>(
  what: string,
  predicate: () => T | Promise<T>,
  deadlineMs: number,
): Promise<Exclude<Awaited<T>, false | null | undefined | 0 | ''>> {
  const end = performance.now() + deadlineMs
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, MAX_PAUSE_MS)) {
    const attempt = await attemptOnce(predicate)
    if (attempt.value) return attempt.value as Exclude<Awaited<T>, false | null | undefined | 0 | ''>
    if (performance.now() >= end) {
      throw new Error(`not within ${deadlineMs} ms: ${what} (last: ${attempt.said})`, { cause: attempt.error })
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

interface Attempt<T> {
  readonly value?: T
  readonly error?: unknown
  readonly said: string
}

async function attemptOnce<T>(predicate: () => T | Promise<T>): Promise<Attempt<Awaited<T>>> {
  try {
    const value = await predicate()
    return { value, said: String(value) }
  } catch (error) {
    return { error, said: error instanceof Error ? error.message : String(error) }
  }
}
