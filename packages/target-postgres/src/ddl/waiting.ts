import type { Database, Row, Session } from '../connection/database.js'

/** The most transactions that a message names. */
const NAMED = 3

interface OpenRow extends Row {
  readonly id: string
  readonly who: string
}

/** Open transactions of other roles in this database. Every role can see their locks, but not when they started. */
const OPEN = `SELECT l.virtualtransaction AS id, format('process %s of %s', l.pid, a.usename) AS who
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
  WHERE l.locktype = 'virtualxid' AND l.granted AND a.usename <> current_user
    AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY l.pid`

/**
 * Names the transactions that delay a statement which, like CREATE INDEX CONCURRENTLY, waits for all that were open before
 * it. Any role that can connect can delay it with a transaction that stays open; lock_timeout bounds each wait.
 */
export class Waiting {
  readonly #database: Database
  #since = performance.now()
  #before: readonly OpenRow[] = []

  constructor(database: Database) {
    this.#database = database
  }

  async begin(session: Session): Promise<void> {
    this.#since = performance.now()
    this.#before = await session.rows<OpenRow>(OPEN)
  }

  get ms(): number {
    return performance.now() - this.#since
  }

  /** Says which transactions were open before the statement and still are. */
  async forWhat(): Promise<string> {
    const now = await this.#database.transaction((session) => session.rows<OpenRow>(OPEN))
    const still = this.#before.filter(({ id }) => now.some((row) => row.id === id)).map(({ who }) => who)
    if (still.length === 0) return 'it waits for other transactions to end'
    const more = still.length > NAMED ? ` and ${still.length - NAMED} more` : ''
    return `it waits for a transaction to end: ${still.slice(0, NAMED).join(', ')}${more}`
  }
}
