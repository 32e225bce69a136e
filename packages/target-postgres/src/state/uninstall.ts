import { targetError } from '../errors.js'
import type { Database, Row, Session } from '../connection/database.js'
import * as sql from '../sql.js'
import { SCHEMA_COMMENT, stateTables, strangersIn } from './own-tables.js'

/** Statements that remove our state: our tables by name, and the schema that we created if nothing else is in it. */
export async function uninstallStatements(database: Database): Promise<string[]> {
  const { stateSchema } = database.settings
  return database.transaction(async (session) => {
    const tables = (await ownTables(session, stateSchema)).map((name) => sql.tableName(stateSchema, { name }))
    const isDropped =
      (await isOurSchema(session, stateSchema)) && (await strangersIn(session, stateSchema)).length === 0
    return [
      ...(tables.length === 0 ? [] : [`DROP TABLE ${tables.join(', ')}`]),
      ...(isDropped ? [`DROP SCHEMA ${sql.name(stateSchema)}`] : []),
    ]
  })
}

/** As the port's. */
export async function leftInState(database: Database): Promise<string[]> {
  const { stateSchema } = database.settings
  return database.transaction(async (session) => {
    const [there] = await session.rows('SELECT FROM pg_namespace WHERE nspname = $1', [stateSchema])
    if (there === undefined) return []
    const strangers = await strangersIn(session, stateSchema)
    return strangers.length === 0 && (await isOurSchema(session, stateSchema))
      ? []
      : [`schema ${stateSchema}`, ...strangers]
  })
}

/** Whether we created the schema: earlier versions left no comment, and rarely used another name. */
async function isOurSchema(session: Session, name: string): Promise<boolean> {
  const [schema] = await session.rows<{ ours: boolean }>(
    `SELECT pg_has_role(nspowner, 'USAGE') AND (starts_with(nspname, 'mylab_sync') OR obj_description(oid, 'pg_namespace') = $2) AS ours
     FROM pg_namespace WHERE nspname = $1`,
    [name, SCHEMA_COMMENT],
  )
  return schema?.ours ?? false
}

async function ownTables(session: Session, schema: string): Promise<string[]> {
  const rows = await session.rows<{ name: string }>(
    `SELECT c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname = ANY ($2) ORDER BY 1`,
    [schema, stateTables()],
  )
  return rows.map(({ name }) => name)
}

interface Obstacle extends Row {
  readonly owner: string
  readonly name: string
}

/** Throws SyncError missing-right if another role owns one of the tables, or another object depends on one. */
export async function requireUninstallRights(database: Database): Promise<void> {
  const { stateSchema, user } = database.settings
  const { foreign, views } = await database.transaction(async (session) => ({
    foreign: await session.rows<Obstacle>(
      `SELECT pg_get_userbyid(c.relowner)::text AS owner, c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname = ANY ($2) AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 2 LIMIT 1`,
      [stateSchema, stateTables()],
    ),
    views: await session.rows<{ name: string }>(DEPENDENTS, [stateSchema, stateTables()]),
  }))
  const [table] = foreign
  if (table !== undefined)
    throw targetError(
      'missing-right',
      `table ${stateSchema}.${table.name} belongs to ${table.owner}; nothing was removed`,
      {
        remedy: `mylab-sync uninstall as ${table.owner} (PGSQL_USERNAME), or as a superuser: ALTER TABLE ${sql.tableName(stateSchema, table)} OWNER TO ${sql.name(user)};`,
      },
    )
  if (views.length === 0) return
  const names = views.map(({ name }) => name).join(', ')
  throw targetError('missing-right', `${names} of another owner depends on our state tables; nothing was removed`, {
    remedy: 'drop it first, or mylab-sync uninstall --keep-target-state',
  })
}

/** Views, rules, foreign keys and functions that depend on one of the tables. */
const DEPENDENTS = `
  SELECT DISTINCT coalesce(r.ev_class::regclass::text, k.conrelid::regclass::text, pg_describe_object(d.classid, d.objid, d.objsubid)) AS name
  FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace n ON n.oid = t.relnamespace
  LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
  WHERE d.refclassid = 'pg_class'::regclass AND n.nspname = $1 AND t.relkind = 'r' AND t.relname = ANY ($2) AND d.deptype = 'n'
    AND (r.ev_class IS DISTINCT FROM t.oid) AND (k.conrelid IS NULL OR k.contype = 'f' AND k.confrelid = t.oid AND k.conrelid <> t.oid)
  ORDER BY 1`
