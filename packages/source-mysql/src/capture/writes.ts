import { isLockTimeout, type LogLook, type SourceWrites, type SyncError } from '@mylab-sync/core'
import { PENDING_INDEX } from '../ddl/own-tables.js'
import type { Session } from '../connection/session.js'
import { inTransaction } from '../snapshot/acknowledge.js'
import { sourceError } from '../connection/errors.js'
import { requireTrigger } from '../ddl/require-right.js'
import type { SourceSettings } from '../settings.js'
import type { SourceContext } from '../source-context.js'
import * as sql from '../sql.js'
import { actAsDefiner } from './definer.js'
import { DDL_SESSION, runWithShortLocks } from './install.js'
import { nextEntryId } from './log-ids.js'
import { openTransactions } from './open-transactions.js'
import { instancePart } from './trigger-text.js'

/** Long enough for a statement that is just committing. */
const LOCK_WAIT = 'SET SESSION innodb_lock_wait_timeout = 1'
/** Each makes writers wait for up to 2 s. */
const FORBID_ATTEMPTS = 3
const MESSAGE = 'read-only since its cutover to PostgreSQL; mylab-sync cutover --abort makes it writable'

/**
 * Each captured write inserts into the change log, so one trigger there can refuse them all: of any account, in one
 * definition, which waits until no transaction that has written is open.
 */
export class MysqlWrites implements SourceWrites {
  readonly #context: SourceContext

  constructor(context: SourceContext) {
    this.#context = context
  }

  async look(): Promise<LogLook> {
    const { pool, settings } = this.#context
    return await pool.with(async (session) => {
      const next = await nextEntryId(session, settings)
      const log = sql.name(settings.auditTable)
      const [newest] = await session.rows(
        `SELECT id, TIMESTAMPDIFF(MICROSECOND, created_at, UTC_TIMESTAMP(6)) DIV 1000 FROM ${log} WHERE id > 0 ORDER BY id DESC LIMIT 1`,
      )
      const [id = null, idle = null] = newest ?? []
      return {
        mark: `${next} ${id}`,
        idleMs: idle === null ? null : Math.max(0, Number(idle)),
      }
    })
  }

  async counters(): Promise<ReadonlyMap<string, bigint>> {
    const { pool, settings } = this.#context
    const rows = await pool.with((session) =>
      session.definitions(
        `SELECT TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND AUTO_INCREMENT IS NOT NULL`,
      ),
    )
    return new Map(rows.map(([table, next]) => [table ?? '', BigInt(next ?? 0)]))
  }

  async areOpen(): Promise<boolean> {
    const { pool, settings } = this.#context
    return await pool.once(async (session) => {
      await session.run(LOCK_WAIT)
      return await hasUncommitted(session, settings)
    })
  }

  async isForbidden(): Promise<boolean> {
    const { pool, settings } = this.#context
    const rows = await pool.with((session) =>
      session.rows(
        `SELECT 1 FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${sql.text(settings.database)}
         AND EVENT_OBJECT_TABLE = ${sql.text(settings.auditTable)} AND TRIGGER_NAME = ${sql.text(nameOf(settings))}`,
      ),
    )
    return rows.length > 0
  }

  async forbid(): Promise<void> {
    const { pool, settings, server } = this.#context
    if (await this.isForbidden()) return
    await pool.with((session) => requireTrigger(session, settings))
    // The seal and the drains' marks are no writes of the application.
    const body = `IF NEW.synced = 0 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = ${sql.text(MESSAGE)}; END IF`
    await pool.once(async (session) => {
      await actAsDefiner(session, server)
      await session.run(DDL_SESSION)
      const statement = `CREATE DEFINER = CURRENT_USER TRIGGER ${sql.name(nameOf(settings))} BEFORE INSERT ON ${sql.name(settings.auditTable)} FOR EACH ROW ${body}`
      await runWithShortLocks(session, statement, settings.auditTable, FORBID_ATTEMPTS).catch(
        async (error: unknown) => {
          throw isLockTimeout(error) ? namedFault(error, await openTransactions(session)) : error
        },
      )
    })
  }

  async allow(): Promise<void> {
    const { pool, settings } = this.#context
    if (!(await this.isForbidden())) return
    await pool.once(async (session) => {
      await session.run(DDL_SESSION)
      await runWithShortLocks(session, `DROP TRIGGER IF EXISTS ${sql.name(nameOf(settings))}`, settings.auditTable)
    })
  }
}

function namedFault(cause: unknown, open: string | null): SyncError {
  const who = open ?? 'who holds it is visible to accounts with PROCESS only'
  return sourceError(
    'lock-timeout',
    `transactions that have written do not end, so the source was not made read-only: ${who}`,
    {
      cause,
      remedy: 'end these transactions (KILL and the number of the connection), or try again at a quieter time',
    },
  )
}

function nameOf({ instance }: SourceSettings): string {
  return `mylab_${instancePart(instance)}log_bi`
}

/** Entries of open transactions are pending and locked; under READ COMMITTED the read locks no gap that the application inserts into. */
async function hasUncommitted(session: Session, { auditTable }: SourceSettings): Promise<boolean> {
  try {
    await inTransaction(session, async () => {
      await session.rows(
        `SELECT id FROM ${sql.name(auditTable)} FORCE INDEX (${sql.name(PENDING_INDEX)}) WHERE synced = 0 AND retry_count = 0 FOR UPDATE`,
      )
    })
    return false
  } catch (error) {
    if (isLockTimeout(error)) return true
    throw error
  }
}
