import type { SyncError } from '@mylab-sync/core'
import { type EngineContext, runDaemon } from '@mylab-sync/engine'

/** Live sync beside a test. `await using` ends it without a word: whoever wants to know how it ended calls `stop`. */
export interface RunningDaemon extends AsyncDisposable {
  /** What it reported and retries, with the time of `performance.now()`. */
  readonly problems: readonly { readonly error: SyncError; readonly atMs: number }[]
  /** What has ended it, undefined while it runs. */
  readonly failure: unknown
  /** Ends it in good order; throws what has ended it before. */
  stop(): Promise<void>
}

export function startDaemon(context: EngineContext, intervalMs = 1_000): RunningDaemon {
  const ended = new AbortController()
  const problems: { readonly error: SyncError; readonly atMs: number }[] = []
  let failure: unknown
  const onProblem = (error: SyncError): number => problems.push({ error, atMs: performance.now() })
  const running = runDaemon(context, { intervalMs, onInterval: () => {}, onProblem }, ended.signal)
  running.catch((error: unknown) => (failure = error))
  return {
    problems,
    get failure() {
      return failure
    },
    async stop() {
      ended.abort()
      await running
    },
    async [Symbol.asyncDispose]() {
      ended.abort()
      await running.catch(() => {})
    },
  }
}
