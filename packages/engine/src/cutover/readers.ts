import { isLockTimeout } from '@mylab-sync/core'
import { retry } from '@mylab-sync/runtime'

/** The writes are stopped meanwhile. */
const ATTEMPTS = 3
const PAUSES = { firstMs: 300, longestMs: 300 }

/** Retries a change of the target's tables while readers hold one of them; each attempt waits 2 s for its locks. */
export function untilReadersLeave<T>(change: () => Promise<T>): Promise<T> {
  return retry(change, { ...PAUSES, attempts: ATTEMPTS, isRetryable: isLockTimeout })
}
