import type { Database, Row, Session } from '../connection/database.js'

/** As many as are named. */
const NAMED = 3

interface OpenRow extends Row {
  readonly id: string
  readonly who: string
}

/** Transactions of other roles in this database, which everybody sees by their locks, but not since when they are open. */
const OPEN = `SELECT l.virtualtransaction AS id, format('process %s of %s', l.pid, a.usename) AS who
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
  WHERE l.locktype = 'virtualxid' AND l.granted AND a.usename <> current_user
    AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY l.pid`

/**
 * A statement that waits for every transaction that was open before it, as CREATE INDEX CONCURRENTLY does: whoever can connect
 * keeps it waiting by one that stays open, and lock_timeout bounds each wait.
 */
export class Waiting {
  readonly #database: Database
  readonly #since = performance.now()
  #before: readonly OpenRow[] = []

  constructor(database: Database) {
    this.#database = database
  }

  async begin(session: Session): Promise<void> {
    this.#before = await session.rows<OpenRow>(OPEN)
  }

  get ms(): number {
    return performance.now() - this.#since
  }

  /** Those that are open since before it. */
  async forWhat(): Promise<string> {
    const now = await this.#database.transaction((session) => session.rows<OpenRow>(OPEN))
    const still = this.#before.filter(({ id }) => now.some((row) => row.id === id)).map(({ who }) => who)
    if (still.length === 0) return 'it waits for other transactions to end'
    const more = still.length > NAMED ? ` and ${still.length - NAMED} more` : ''
    return `it waits for a transaction to end: ${still.slice(0, NAMED).join(', ')}${more}`
  }
}
