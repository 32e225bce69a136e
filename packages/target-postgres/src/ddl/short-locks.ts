import { isLockTimeout } from '@mylab-sync/core'
import { retry } from '@mylab-sync/runtime'
import type { Database, Session } from '../connection/database.js'

const LOCK = ["SET LOCAL lock_timeout = '2s'"]
const LOCK_ATTEMPTS = 10
/** Those who queued behind us get their turn. */
const PAUSES = { firstMs: 300, longestMs: 300 }

/** A definition's locks are waited for 2 s at a time, so that nobody queues behind us for longer. */
export async function withShortLocks(database: Database, work: (session: Session) => Promise<unknown>): Promise<void> {
  await retry(() => database.transaction(work, LOCK), {
    ...PAUSES,
    attempts: LOCK_ATTEMPTS,
    isRetryable: isLockTimeout,
  })
}
