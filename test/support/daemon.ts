import type { SyncError } from '@mylab-sync/core'
import { type EngineContext, runDaemon } from '@mylab-sync/engine'

/** Live sync beside a test. `await using` stops it and discards its error; `stop` throws it. */
export interface RunningDaemon extends AsyncDisposable {
  /** Errors that it reported and retries, each with its `performance.now()`. */
  readonly problems: readonly { readonly error: SyncError; readonly atMs: number }[]
  /** The error that ended it; undefined while it runs. */
  readonly failure: unknown
  /** Stops it gracefully. Throws the error that ended it earlier, if any. */
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
      // `failure` has it.
      await running.catch(() => {})
    },
  }
}
