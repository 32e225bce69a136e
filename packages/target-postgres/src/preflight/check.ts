import type { Finding, FindingCode, Severity, TableMapping } from '@mylab-sync/core'
import type { Database, Row } from '../connection/database.js'

/** Facts that the server reports about itself, the database and our account in it; read once. */
export interface Facts extends Row {
  readonly version: number
  readonly version_text: string
  readonly encoding: string
  readonly recovery: boolean
  readonly read_only: boolean
  readonly replication_role: string
  readonly account: string
  readonly database: string
  readonly create_schema: boolean
  readonly temporary: boolean
  readonly max_connections: number
  readonly connections: number
}

export interface Subject {
  readonly database: Database
  readonly facts: Facts
  readonly tables: readonly TableMapping[]
}

/** Examines one condition. Changes nothing. */
export type Check = (subject: Subject) => Finding[] | Promise<Finding[]>

export async function readFacts(database: Database): Promise<Facts> {
  return database.transaction(async (session) => {
    const { rows } = await session.raw<Facts>(
      `SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS version_text,
         current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS recovery,
         current_setting('transaction_read_only') = 'on' AS read_only, current_setting('session_replication_role') AS replication_role, current_user::text AS account, current_database()::text AS database,
         has_database_privilege(current_database(), 'CREATE') AS create_schema, has_database_privilege(current_database(), 'TEMP') AS temporary,
         current_setting('max_connections')::int AS max_connections, (SELECT count(*)::int FROM pg_stat_activity) AS connections`,
    )
    const [facts] = rows
    if (facts === undefined) throw new Error('a SELECT without FROM gave no row')
    return facts
  })
}

export function finding(severity: Severity, code: FindingCode, cause: string, remedy: string): Finding {
  return { code, severity, side: 'target', cause, remedy }
}
