import { SyncError } from '@mylab-sync/core'
import { readdirSync, readFileSync } from 'node:fs'
import type { Database, Session } from '../connection/database.js'
import * as sql from '../sql.js'

const FOLDER = new URL('../../migrations/', import.meta.url)

function migrationFiles(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.sql'))
    .sort()
}

/** Numbered migrations that only expand; a state newer than this program is refused. */
export async function migrate(database: Database): Promise<void> {
  const files = migrationFiles()
  const schema = sql.name(database.settings.stateSchema)
  await database.transaction(async (session) => {
    await session.raw('SELECT pg_advisory_xact_lock(hashtext($1))', [
      `mylab-sync migrate ${database.settings.stateSchema}`,
    ])
    await createSchemas(session, [database.settings.stateSchema, database.settings.schema])
    await session.raw(
      `CREATE TABLE IF NOT EXISTS ${schema}.sync_schema_version (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
    )
    const applied = await appliedVersions(session, database.settings.stateSchema)
    await session.raw(`SET LOCAL search_path = ${schema}`)
    await refuseUnversioned(session, { applied, schema: database.settings.stateSchema })
    for (const [at, file] of files.entries()) {
      if (applied.has(at + 1)) continue
      await session.raw(readFileSync(new URL(file, FOLDER), 'utf8'))
      await session.raw(`INSERT INTO sync_schema_version (version) VALUES (${at + 1})`)
    }
    for (const statement of LAST_DRAIN) await session.raw(statement)
  })
}

/**
 * Where somebody has deleted what names the last drain, one that the source has never seen takes its place: nothing that is
 * left tells what the target holds, so everything is read again.
 */
const LAST_DRAIN = [
  `DELETE FROM sync_drain_token WHERE NOT EXISTS (SELECT FROM sync_drain JOIN sync_drain_token ON drain_no = number)`,
  `INSERT INTO sync_drain (number) SELECT coalesce(max(drain_no), 0) FROM sync_drain_size ON CONFLICT DO NOTHING`,
  `WITH named AS (
     INSERT INTO sync_drain_token SELECT number, md5(random()::text || clock_timestamp()::text) FROM sync_drain
     WHERE NOT EXISTS (SELECT FROM sync_drain_token) RETURNING drain_no
   ) UPDATE sync_drain SET source_identity = NULL, keys_from = drain_no + 1 FROM named`,
]

/** Which of the migrations made what is there cannot be told any more. */
async function refuseUnversioned(
  session: Session,
  { applied, schema }: { readonly applied: ReadonlySet<number>; readonly schema: string },
): Promise<void> {
  if (applied.size > 0) return
  const { rows } = await session.raw("SELECT FROM pg_class WHERE oid = to_regclass('sync_progress')")
  if (rows.length === 0) return
  throw new SyncError('not-migrated', `target: rows of ${schema}.sync_schema_version were deleted`, {
    remedy: `DROP SCHEMA ${sql.name(schema)} CASCADE, then mylab-sync initial: everything is compared with the source again`,
  })
}

/** IF NOT EXISTS asks for the right to create even where the schema stands. */
async function createSchemas(session: Session, names: readonly string[]): Promise<void> {
  const { rows } = await session.raw<{ nspname: string }>('SELECT nspname FROM pg_namespace WHERE nspname = ANY($1)', [
    names,
  ])
  const present = new Set(rows.map((row) => row.nspname))
  for (const name of names.filter((wanted) => !present.has(wanted)))
    await session.raw(`CREATE SCHEMA IF NOT EXISTS ${sql.name(name)}`)
}

/** Throws SyncError not-migrated where the state is newer than this program. */
async function appliedVersions(session: Session, stateSchema: string): Promise<ReadonlySet<number>> {
  const { rows } = await session.raw<{ version: number }>(
    `SELECT version FROM ${sql.name(stateSchema)}.sync_schema_version`,
  )
  const applied = new Set(rows.map((row) => row.version))
  if (Math.max(0, ...applied) > migrationFiles().length) {
    throw new SyncError('not-migrated', `target: the state in schema ${stateSchema} is newer than this program`, {
      remedy: 'use the newer program',
    })
  }
  return applied
}

/** True when all migrations of this program are in. */
export async function migrated(database: Database): Promise<boolean> {
  const { stateSchema } = database.settings
  return database.transaction(async (session) => {
    const { rows } = await session.raw<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
      `${sql.name(stateSchema)}.sync_schema_version`,
    ])
    if (!rows[0]?.there) return false
    const applied = await appliedVersions(session, stateSchema)
    return applied.size === migrationFiles().length
  })
}
