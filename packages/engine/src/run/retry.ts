import { isRetryable, isTransient } from '@mylab-sync/core'
import { type Pauses, retry } from '@mylab-sync/runtime'
import { type EngineContext, limitsOf, type Progress } from '../context.js'
import { LONGEST_RETRY_MS } from './cadence.js'

/** Attempts that outlast a held lock or a restarting server: about a minute. */
const TRANSIENT_ATTEMPTS = 17

export function pausesOf(context: EngineContext): Pauses {
  return { firstMs: limitsOf(context).retryDelayMs, longestMs: LONGEST_RETRY_MS }
}

/** Retries idempotent `work` through transient failures, for about a minute, and reports each. */
export function retryTransient<T>(
  { context, progress, signal }: { context: EngineContext; progress: Progress; signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  return retry(work, {
    ...pausesOf(context),
    attempts: TRANSIENT_ATTEMPTS,
    signal,
    isRetryable: isTransient,
    onRetry: (error) => progress({ kind: 'note', text: `${error.message}; it will be retried` }),
  })
}

/** Retries idempotent `work` through failures that no person has to fix first, up to `attempts` of the limits. */
export function retryAsConfigured<T>(context: EngineContext, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const { attempts } = limitsOf(context)
  return retry(work, { ...pausesOf(context), attempts, signal, isRetryable })
}
