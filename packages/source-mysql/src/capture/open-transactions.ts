import { SyncError } from '@mylab-sync/core'
import type { Session } from '../connection/session.js'

const NAMED = 3

/**
 * Names open transactions, those that have written first, then the oldest. The server does not say which of them holds a
 * table's definition. Returns null if there are none, or the account lacks PROCESS.
 */
export async function openTransactions(session: Session): Promise<string | null> {
  try {
    // The server gives local times, whatever the session's time zone is.
    const open = await session.rows(
      `SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM')) FROM information_schema.INNODB_TRX
       WHERE trx_mysql_thread_id NOT IN (0, CONNECTION_ID()) ORDER BY trx_rows_modified = 0, trx_started LIMIT ${NAMED}`,
    )
    const sessions = new Map(
      (await session.rows('SHOW PROCESSLIST')).map(([id, user, host]) => [id, `${user}@${host}`]),
    )
    const texts = open.map(
      ([id = null, seconds = null]) =>
        `connection ${id} of ${sessions.get(id) ?? 'another account'}, whose transaction began ${seconds} s ago`,
    )
    return texts.length === 0 ? null : texts.join('; ')
  } catch (error) {
    if (error instanceof SyncError && error.code === 'missing-right') return null
    throw error
  }
}
