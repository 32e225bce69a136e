import { SQLSTATE } from '../sql-states.js'
import type { Database, Session } from '../connection/database.js'
import { codeOf, targetError } from '../errors.js'
import * as sql from '../sql.js'
import { isStranger } from '../strangers.js'
import { migrations, SCHEMA_COMMENT, strangersIn, VERSIONS } from './own-tables.js'

/** Another process creates the same object. */
const MADE_MEANWHILE = new Set<string>([SQLSTATE.UNIQUE_VIOLATION, SQLSTATE.DUPLICATE_SCHEMA, SQLSTATE.DUPLICATE_TABLE])
const TRIES = 3

/** Numbered migrations that only expand; a state newer than this program is refused, and so is a schema that others use. */
export async function migrate(database: Database): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await database.transaction((session) => migrateIn(session, database))
      return
    } catch (error) {
      if (tries === TRIES || !MADE_MEANWHILE.has(codeOf(error))) throw error
    }
  }
}

async function migrateIn(session: Session, { settings: { stateSchema, schema: carried } }: Database): Promise<void> {
  const schema = sql.name(stateSchema)
  await refuseForeign(session, stateSchema, carried)
  const made = await createSchemas(session, [stateSchema, carried])
  if (made.includes(stateSchema)) await session.raw(`COMMENT ON SCHEMA ${schema} IS ${sql.text(SCHEMA_COMMENT)}`)
  await session.raw(
    `CREATE TABLE IF NOT EXISTS ${schema}.${VERSIONS} (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
  )
  // One at a time. Any role could hold an advisory lock.
  await session.raw(`LOCK TABLE ${schema}.${VERSIONS} IN EXCLUSIVE MODE`)
  const applied = await appliedVersions(session, stateSchema)
  await session.raw(`SET LOCAL search_path = ${schema}, pg_temp`)
  await refuseUnversioned(session, { applied, schema: stateSchema })
  for (const [at, { text }] of migrations().entries()) {
    if (applied.has(at + 1)) continue
    await session.raw(text())
    await session.raw(`INSERT INTO ${VERSIONS} (version) VALUES (${at + 1})`)
  }
  for (const statement of LAST_DRAIN) await session.raw(statement)
  const open = await session.rows<{ type: string }>(OPEN_ROW_TYPES, [carried])
  for (const { type } of open) await session.raw(`REVOKE ALL ON TYPE ${type} FROM PUBLIC`)
}

/** Row types that older versions left open: a column of such a type in any role's table would block every change of a column's type. */
const OPEN_ROW_TYPES = `
  SELECT format('%I.%I', n.nspname, c.relname) AS type FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = c.reltype
  WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'USAGE')
    AND c.relname IN (SELECT table_name FROM sync_progress UNION SELECT lower(table_name) FROM sync_progress)
    AND EXISTS (SELECT FROM aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a WHERE a.grantee = 0)`

/** Objects of others beside ours would block an uninstall, and functions that others create there could be called by our own names. */
async function refuseForeign(session: Session, schema: string, carried: string): Promise<void> {
  const remedy =
    'set SYNC_STATE_SCHEMA (target.stateSchema) to a schema that nobody else uses; it is created if missing'
  if (schema === carried)
    throw targetError('configuration', `${schema} is both the schema of the tables and that of the state`, {
      remedy,
    })
  const [ours] = await session.rows('SELECT FROM pg_class WHERE oid = to_regclass($1)', [
    `${sql.name(schema)}.${VERSIONS}`,
  ])
  if (ours !== undefined) return
  const [owner] = await session.rows<{ name: string }>(OWNED_BY_STRANGER, [schema])
  if (owner !== undefined)
    throw targetError(
      'configuration',
      `schema ${schema} is used by others and cannot hold our state: it belongs to ${owner.name}, who could drop it`,
      { remedy },
    )
  const strangers = await strangersIn(session, schema)
  if (strangers.length === 0) return
  throw targetError(
    'configuration',
    `schema ${schema} is used by others and cannot hold our state: it holds ${strangers.slice(0, 3).join(', ')}${strangers.length > 3 ? ' and more' : ''}`,
    { remedy },
  )
}

const OWNED_BY_STRANGER = `SELECT pg_get_userbyid(nspowner)::text AS name FROM pg_namespace WHERE nspname = $1 AND ${isStranger('nspowner')}`

/**
 * If the last drain's row was deleted, inserts one that the source has never seen: nothing shows what the target holds any
 * more, so everything is read again.
 */
const LAST_DRAIN = [
  `DELETE FROM sync_drain_token WHERE NOT EXISTS (SELECT FROM sync_drain JOIN sync_drain_token ON drain_no = number)`,
  `INSERT INTO sync_drain (number) SELECT coalesce(max(drain_no), 0) FROM sync_drain_size ON CONFLICT DO NOTHING`,
  `WITH named AS (
     INSERT INTO sync_drain_token SELECT number, md5(random()::text || clock_timestamp()::text) FROM sync_drain
     WHERE NOT EXISTS (SELECT FROM sync_drain_token) RETURNING drain_no
   ) UPDATE sync_drain SET source_identity = NULL, keys_from = drain_no + 1 FROM named`,
]

/** The error of a state whose migrations are no longer known. */
async function refuseUnversioned(
  session: Session,
  { applied, schema }: { readonly applied: ReadonlySet<number>; readonly schema: string },
): Promise<void> {
  if (applied.size > 0) return
  const { rows } = await session.raw("SELECT FROM pg_class WHERE oid = to_regclass('sync_progress')")
  if (rows.length === 0) return
  throw targetError('not-migrated', `rows of ${schema}.sync_schema_version were deleted`, {
    remedy: 'mylab-sync uninstall --yes, then mylab-sync initial: everything is compared with the source again',
  })
}

/** Checks first, since IF NOT EXISTS needs the right to create even for an existing schema. Returns the names of those that were missing. */
async function createSchemas(session: Session, names: readonly string[]): Promise<string[]> {
  const { rows } = await session.raw<{ nspname: string }>('SELECT nspname FROM pg_namespace WHERE nspname = ANY($1)', [
    names,
  ])
  const present = new Set(rows.map((row) => row.nspname))
  const missing = names.filter((wanted) => !present.has(wanted))
  for (const name of missing) await session.raw(`CREATE SCHEMA ${sql.name(name)}`)
  return missing
}

/** Throws SyncError not-migrated if the state is newer than this program. */
async function appliedVersions(session: Session, stateSchema: string): Promise<ReadonlySet<number>> {
  const { rows } = await session.raw<{ version: number }>(
    `SELECT version FROM ${sql.name(stateSchema)}.sync_schema_version`,
  )
  const applied = new Set(rows.map((row) => row.version))
  if (Math.max(0, ...applied) > migrations().length) {
    throw targetError('not-migrated', `the state in schema ${stateSchema} is newer than this program`, {
      remedy: 'use the newer program',
    })
  }
  return applied
}

/** Whether all migrations of this program are applied. */
export async function migrated(database: Database): Promise<boolean> {
  const { stateSchema } = database.settings
  return database.transaction(async (session) => {
    const { rows } = await session.raw<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
      `${sql.name(stateSchema)}.sync_schema_version`,
    ])
    if (!rows[0]?.there) return false
    const applied = await appliedVersions(session, stateSchema)
    return applied.size === migrations().length
  })
}
