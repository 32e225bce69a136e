import { lineFindings } from '@mylab-sync/core'
import { verifies, verifyRemedy } from '@mylab-sync/runtime'
import * as sql from '../sql.js'
import { type Check, finding } from './check.js'

const OLDEST = 110_000
/** Enough for workers, a drain and the queries of `status` at once. */
const CONNECTIONS = 12

export const version: Check = ({ facts }) =>
  facts.version >= OLDEST
    ? []
    : [
        finding(
          'error',
          'target-version',
          `PostgreSQL ${facts.version_text} is not supported`,
          'upgrade the target to PostgreSQL 11 or later',
        ),
      ]

export const line: Check = async ({ database }) => {
  const { address, encrypted } = await database.outside(async (session) => Promise.resolve(session.line))
  if (address === null) return []
  const verified = verifies(database.settings.tls.mode)
  return lineFindings({ side: 'target', host: address, encrypted, verified, remedy: verifyRemedy('PGSQL') })
}

export const encoding: Check = ({ facts }) =>
  facts.encoding === 'UTF8'
    ? []
    : [
        finding(
          'error',
          'target-encoding',
          `database ${facts.database} has the encoding ${facts.encoding}, which cannot hold all text of the source`,
          `CREATE DATABASE ${sql.name(`${facts.database}_utf8`)} ENCODING 'UTF8' TEMPLATE template0; and name that one as the target`,
        ),
      ]

export const readOnly: Check = ({ facts }) => {
  if (facts.recovery)
    return [
      finding(
        'error',
        'target-read-only',
        'the target is a standby in recovery: nothing can be written',
        'connect to its primary (on the server itself: SELECT pg_promote();)',
      ),
    ]
  if (!facts.read_only) return []
  return [
    finding(
      'error',
      'target-read-only',
      `transactions of ${facts.account} in database ${facts.database} are read-only (default_transaction_read_only)`,
      `ALTER ROLE ${sql.name(facts.account)} IN DATABASE ${sql.name(facts.database)} SET default_transaction_read_only = off;`,
    ),
  ]
}

/** If a superuser gave our role another value, PostgreSQL runs no foreign key check and no user trigger in our sessions. */
export const replicationRole: Check = ({ facts }) =>
  facts.replication_role === 'origin'
    ? []
    : [
        finding(
          'warning',
          'target-replication-role',
          `sessions of ${facts.account} have session_replication_role = ${facts.replication_role}: foreign keys of the target are not checked, and triggers of your own may not run, for the rows that are carried`,
          `ALTER ROLE ${sql.name(facts.account)} RESET session_replication_role; and the same with IN DATABASE ${sql.name(facts.database)}`,
        ),
      ]

export const connections: Check = ({ facts }) => {
  const left = facts.max_connections - facts.connections
  if (left >= CONNECTIONS) return []
  return [
    finding(
      'warning',
      'target-connections',
      `only ${left} of ${facts.max_connections} connections are free, and one process of this product may hold ${CONNECTIONS}`,
      `ALTER SYSTEM SET max_connections = ${facts.max_connections + 100}; and restart the server`,
    ),
  ]
}

/** Detects a pooler in between: one server process answers two sessions that are open at the same time. */
export const pooler: Check = async ({ database }) => {
  const process = 'SELECT pg_backend_pid()::text AS pid'
  const pids = await database.outside(async (first) => {
    const [one] = await first.rows<{ pid: string }>(process)
    return database.outside(async (second) => {
      const [other] = await second.rows<{ pid: string }>(process)
      return [one?.pid, other?.pid] as const
    })
  })
  return poolerFinding(pids[0] === pids[1])
}

export function poolerFinding(shared: boolean): ReturnType<typeof finding>[] {
  if (!shared) return []
  return [
    finding(
      'note',
      'target-pooler',
      'a pooler in transaction mode (PgBouncer) sits in front of the target: it works, but a pool smaller than the processes makes drains wait for copies',
      `give this database ${CONNECTIONS} server connections a process (pool_size), or connect to the server directly`,
    ),
  ]
}
