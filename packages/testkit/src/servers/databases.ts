import mysql from 'mysql2/promise'
import pg from 'pg'

export interface WantedDatabase {
  readonly name: string
  readonly mayDrop: boolean
}

const VERSION_WITH_FORCE = 130_000

/** Creates an empty database. Throws if it exists and must not be dropped. */
export async function recreateSourceDatabase(admin: mysql.Connection, wanted: WantedDatabase): Promise<void> {
  const quoted = mysql.escapeId(wanted.name, true)
  if (!wanted.mayDrop) {
    const sql = 'SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?'
    const [rows] = await admin.query<mysql.RowDataPacket[]>(sql, [wanted.name])
    refuse(rows.length, wanted)
  }
  await admin.query(`DROP DATABASE IF EXISTS ${quoted}; CREATE DATABASE ${quoted} CHARACTER SET utf8mb4`)
}

/** As recreateSourceDatabase; terminates sessions in the old database. */
export async function recreateTargetDatabase(
  admin: pg.Client,
  /** `create`: the CREATE DATABASE statement. */
  wanted: WantedDatabase & { readonly create: string },
): Promise<void> {
  const quoted = pg.escapeIdentifier(wanted.name)
  const { rowCount } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [wanted.name])
  if (!wanted.mayDrop) refuse(rowCount ?? 0, wanted)
  if (rowCount !== 0) {
    const { rows } = await admin.query<{ version: number }>(
      "SELECT current_setting('server_version_num')::int AS version",
    )
    const force = (rows[0]?.version ?? 0) >= VERSION_WITH_FORCE
    const end = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1'
    if (!force) await admin.query(end, [wanted.name])
    await admin.query(`DROP DATABASE IF EXISTS ${quoted}${force ? ' WITH (FORCE)' : ''}`)
  }
  await admin.query(wanted.create)
}

function refuse(existing: number, { name }: WantedDatabase): void {
  if (existing > 0)
    throw new Error(`database ${name} exists on a server given by URL: drop it yourself, or use a name sync_test_...`)
}
