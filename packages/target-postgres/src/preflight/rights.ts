import type { Row } from '../connection/database.js'
import * as sql from '../sql.js'
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

/** A schema that is missing needs the right to make it; one that is there, the right to make tables in it. */
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

interface Standing extends Row {
  readonly name: string
  readonly kind: string
  readonly writable: boolean
  readonly owned: boolean
  readonly owner: string
}

const KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialised view',
  f: 'a foreign table',
  S: 'a sequence',
  i: 'an index',
  c: 'a type',
}

/** Tables of the wanted names that stand already: they must be tables, and ours to write and to put indexes on. */
export const standingTables: Check = async ({ database, tables, facts }) => {
  const { schema } = database.settings
  const rows = await database.transaction((session) =>
    session.rows<Standing>(
      `SELECT c.relname::text AS name, c.relkind::text AS kind, pg_has_role(c.relowner, 'USAGE') AS owned, pg_get_userbyid(c.relowner)::text AS owner,
         c.relkind NOT IN ('r', 'p') OR (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) AS writable
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY($2) ORDER BY 1`,
      [schema, tables.map((table) => table.name)],
    ),
  )
  const account = sql.name(facts.account)
  return rows.flatMap(({ name, kind, writable, owned, owner }) => {
    const table = sql.tableName(schema, { name })
    if (kind !== 'r' && kind !== 'p')
      return finding(
        'error',
        'target-name-taken',
        `${name} is ${KINDS[kind] ?? 'something else than a table'} in schema ${schema}, where the table of that name is to be`,
        `ALTER ${kind === 'v' ? 'VIEW' : 'TABLE'} ${table} RENAME TO ${sql.name(`${name}_old`)}; or give target.schema another name`,
      )
    if (owned) return []
    return finding(
      'error',
      'target-not-owner',
      `table ${name} belongs to ${owner}: ${account} can${writable ? ' write to it but' : 'not write to it and'} not give it indexes and constraints`,
      `ALTER TABLE ${table} OWNER TO ${account};`,
    )
  })
}
