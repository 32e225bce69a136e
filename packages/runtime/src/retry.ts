import { sleep } from './sleep.js'

export interface Pauses {
  /** The pause after the first failure; each further one is twice as long. */
  readonly firstMs: number
  readonly longestMs: number
}

export interface RetryOptions<E> extends Pauses {
  /** Failures in a row after which the last one is thrown; if absent, retries never end. */
  readonly attempts?: number
  /**
   * Ends a pause early. The work, which listens to it too, then runs one last time; a failure after the signal is
   * thrown.
   */
  readonly signal?: AbortSignal
  readonly isRetryable: (error: unknown) => error is E
  /** Called before each pause. */
  readonly onRetry?: (error: E) => void
}

/**
 * Milliseconds until the next try: exponential, capped, with jitter over the upper half, so that processes that failed
 * together do not retry together.
 */
export function backoffMs(
  failures: number,
  { firstMs, longestMs }: Pauses,
  chance: () => number = Math.random,
): number {
  const full = Math.min(longestMs, firstMs * 2 ** Math.max(0, Math.min(failures - 1, 30)))
  return Math.round(full * (0.5 + chance() / 2))
}

/**
 * Retries idempotent `work` until it succeeds. Throws an error that is not retryable, the last of `attempts` failures
 * in a row, and any failure after the signal. Work that calls `progressed` resets the count of failures.
 */
export async function retry<T, E>(
  work: (progressed: () => void) => Promise<T>,
  { attempts = Number.POSITIVE_INFINITY, signal, isRetryable, onRetry, ...pauses }: RetryOptions<E>,
): Promise<T> {
  let failures = 0
  for (;;) {
    try {
      return await work(() => {
        failures = 0
      })
    } catch (error) {
      if (!isRetryable(error) || ++failures >= attempts || signal?.aborted) throw error
      onRetry?.(error)
      await sleep(backoffMs(failures, pauses), signal)
    }
  }
}

/** Like `retry`, for work that runs until the signal. A retryable failure after the signal is only reported. */
export async function retryUntil<E>(
  signal: AbortSignal,
  work: (progressed: () => void) => Promise<void>,
  options: Omit<RetryOptions<E>, 'signal'>,
): Promise<void> {
  try {
    await retry(work, { ...options, signal })
  } catch (error) {
    if (!signal.aborted || !options.isRetryable(error)) throw error
    options.onRetry?.(error)
  }
}

/** Asks at most `attempts` times, or until the signal. Returns true once the answer is yes. */
export async function poll(
  ask: () => Promise<boolean>,
  {
    everyMs,
    attempts,
    signal,
  }: { readonly everyMs: number; readonly attempts: number; readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  for (let asked = 1; !(await ask()); asked++) {
    if (asked >= attempts || signal?.aborted) return false
    await sleep(everyMs, signal)
  }
  return true
}
