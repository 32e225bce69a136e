import { counted } from '@mylab-sync/core'
import type { Row } from '../connection/database.js'
import * as sql from '../sql.js'
import { isStranger } from '../strangers.js'
import { type Check, finding, type Subject } from './check.js'

interface SchemaRights extends Row {
  readonly name: string
  readonly usable: boolean
  readonly creatable: boolean
}

async function schemas({ database }: Subject): Promise<Map<string, SchemaRights>> {
  const { schema, stateSchema } = database.settings
  return database.transaction(async (session) => {
    const rows = await session.rows<SchemaRights>(
      `SELECT nspname::text AS name, has_schema_privilege(oid, 'USAGE') AS usable, has_schema_privilege(oid, 'CREATE') AS creatable
       FROM pg_namespace WHERE nspname = ANY($1)`,
      [[schema, stateSchema]],
    )
    return new Map(rows.map((row) => [row.name, row]))
  })
}

/** A missing schema requires the right to create it; an existing one, the right to create tables in it. */
export const schemaRights: Check = async (subject) => {
  const { facts, database } = subject
  const account = sql.name(facts.account)
  const present = await schemas(subject)
  const wanted = [...new Set([database.settings.schema, database.settings.stateSchema])]
  const missing = wanted.filter((name) => !present.has(name))
  const closed = wanted.filter((name) => {
    const rights = present.get(name)
    return rights !== undefined && !(rights.usable && rights.creatable)
  })
  const found = closed.map((name) =>
    finding(
      'error',
      'target-right-missing',
      `${account} may not create tables in schema ${name}`,
      `GRANT USAGE, CREATE ON SCHEMA ${sql.name(name)} TO ${account};`,
    ),
  )
  if (missing.length === 0 || facts.create_schema) return found
  return [
    ...found,
    finding(
      'error',
      'target-right-missing',
      `${account} may not create the schema ${missing.join(' and ')} in database ${facts.database}`,
      `GRANT CREATE ON DATABASE ${sql.name(facts.database)} TO ${account};`,
    ),
  ]
}

/** Up to PostgreSQL 14 every role may create objects in `public`. Databases upgraded from there keep that grant. */
export const openSchemas: Check = async ({ database }) => {
  const { schema, stateSchema } = database.settings
  const open = await database.transaction((session) =>
    session.rows<{ name: string }>(
      `SELECT nspname::text AS name FROM pg_namespace n WHERE nspname = ANY ($1)
         AND EXISTS (SELECT FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a WHERE a.grantee = 0 AND a.privilege_type = 'CREATE') ORDER BY 1`,
      [[schema, stateSchema, 'public']],
    ),
  )
  return open.map(({ name }) =>
    finding(
      'warning',
      'target-schema-open',
      `everybody who can connect may create objects in schema ${name} (CREATE is granted to PUBLIC): our statements find none of them, but triggers and functions of yours that name theirs without a schema may find another role's instead`,
      `REVOKE CREATE ON SCHEMA ${sql.name(name)} FROM PUBLIC;`,
    ),
  )
}

interface TriggerGrant extends Row {
  readonly role: string
  readonly tables: number
  readonly first: string
}

/** Triggers of such a role run with our rights, in every table that we may write. Runs one query for all tables. */
export const grantedTriggers: Check = async ({ database }) => {
  const { schema } = database.settings
  const granted = await database.transaction((session) =>
    session.rows<TriggerGrant>(
      `SELECT coalesce(quote_ident(pg_get_userbyid(nullif(g.grantee, 0))), 'PUBLIC') AS role, count(*)::int4 AS tables, min(g.name) AS first
       FROM (SELECT DISTINCT c.relname::text AS name, c.relowner, a.grantee FROM pg_class c, aclexplode(c.relacl) a
         WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'USAGE')
           AND a.privilege_type = 'TRIGGER' AND a.grantee <> c.relowner) g
       WHERE CASE WHEN g.grantee = 0 THEN true ELSE ${isStranger('g.grantee')} END
       GROUP BY g.grantee ORDER BY 1`,
      [sql.name(schema)],
    ),
  )
  return granted.map(({ role, tables, first }) =>
    finding(
      'warning',
      'target-triggers-granted',
      `${role === 'PUBLIC' ? 'everyone who can connect' : role} may put triggers on ${counted(tables, 'table', 'tables')} of schema ${schema}, ${first} the first, which then run with our rights`,
      `REVOKE TRIGGER ON ALL TABLES IN SCHEMA ${sql.name(schema)} FROM ${role};`,
    ),
  )
}

export const temporaryTables: Check = ({ facts }) =>
  facts.temporary
    ? []
    : [
        finding(
          'error',
          'target-right-missing',
          `${sql.name(facts.account)} may not create temporary tables in database ${facts.database}, through which larger drains write`,
          `GRANT TEMPORARY ON DATABASE ${sql.name(facts.database)} TO ${sql.name(facts.account)};`,
        ),
      ]
