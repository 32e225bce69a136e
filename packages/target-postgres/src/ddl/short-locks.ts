import { concernsAll, isLockTimeout, SyncError } from '@mylab-sync/core'
import { retry } from '@mylab-sync/runtime'
import type { Database, Session } from '../connection/database.js'

const LOCK = ["SET LOCAL lock_timeout = '2s'"]
const LOCK_ATTEMPTS = 10
/** Lets sessions that queued behind ours run. */
const PAUSES = { firstMs: 300, longestMs: 300 }

/** Runs `work`, and retries it when a lock takes more than 2 s: no session queues behind ours for longer. */
export async function withShortLocks<T>(database: Database, work: (session: Session) => Promise<T>): Promise<T> {
  return await retry(() => database.transaction(work, LOCK), {
    ...PAUSES,
    attempts: LOCK_ATTEMPTS,
    isRetryable: isLockTimeout,
  })
}

/** Short enough to give up before PostgreSQL looks for a deadlock, which would roll back a drain. */
const TOGETHER = ["SET LOCAL lock_timeout = '500ms'"]

/**
 * Runs `work` on many tables in one transaction. Returns false, with nothing done, if a lock takes long or PostgreSQL refuses
 * any of it: alone, each table waits for its own locks and shows its own cause.
 */
export async function together(database: Database, work: (session: Session) => Promise<unknown>): Promise<boolean> {
  try {
    await database.transaction(work, TOGETHER)
    return true
  } catch (error) {
    if (concernsAll(error) && !isAnyRelationMissing(error)) throw error
    return false
  }
}

/** The server's code does not tell a table that somebody has dropped from one of ours. */
function isAnyRelationMissing(error: unknown): boolean {
  return error instanceof SyncError && error.code === 'not-migrated'
}
