import { SyncError } from '@mylab-sync/core'
import type { Database, Row } from '../connection/database.js'
import { heldBy } from '../state/locks.js'

const NAMED = 3

interface HolderRow extends Row {
  readonly pid: number | null
  readonly role: string | null
  readonly application: string | null
  readonly seconds: number | null
  readonly tables: string[]
}

/** Names the transactions that hold tables of the schema, in place of the lock timeout that they caused; the oldest first. */
export async function namingHolders(database: Database, timeout: SyncError): Promise<SyncError> {
  const rows = await database.transaction((session) =>
    session.rows<HolderRow>(
      `SELECT l.pid, a.usename::text AS role, a.application_name AS application, extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds,
         array_agg(DISTINCT c.relname::text) AS tables
       FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_activity a ON a.pid = l.pid
       WHERE l.locktype = 'relation' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
         AND n.nspname = $1 AND c.relkind IN ('r', 'p') AND l.pid IS DISTINCT FROM pg_backend_pid()
       GROUP BY 1, 2, 3, a.xact_start ORDER BY a.xact_start NULLS FIRST LIMIT ${NAMED}`,
      [database.settings.schema],
    ),
  )
  // They have ended meanwhile.
  if (rows.length === 0) return timeout
  const { cause } = timeout
  return new SyncError('lock-timeout', `tables that the switch changes are in use: ${rows.map(described).join('; ')}`, {
    side: 'target',
    cause,
    remedy: `end these transactions, or try again at a quieter time. In the target: ${rows.map(ended).join('; ')}`,
  })
}

function described({ pid, role, application, seconds, tables }: HolderRow): string {
  const [table = '', ...others] = tables
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  const named = application ? ` (${application})` : ''
  const who = pid === null ? 'a prepared transaction' : `process ${pid} of ${role ?? 'another role'}${named}`
  return `${heldBy({ who, seconds })}, holds ${table}${more}`
}

function ended({ pid }: HolderRow): string {
  return pid === null ? 'ROLLBACK PREPARED as pg_prepared_xacts lists it' : `SELECT pg_terminate_backend(${pid})`
}
