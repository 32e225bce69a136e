import { type Finding, isCarried, TABLE_STATES, type TableMapping } from '@mylab-sync/core'
import type { Database, Row } from '../connection/database.js'
import { differences, hasRows } from '../ddl/tables.js'
import * as sql from '../sql.js'
import { type Check, finding } from './check.js'

interface Standing extends Row {
  readonly name: string
  readonly kind: string
  readonly writable: boolean
  readonly owned: boolean
  readonly owner: string
  readonly usable: boolean
}

const KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialised view',
  f: 'a foreign table',
  S: 'a sequence',
  i: 'an index',
  c: 'a type',
}

/** Existing relations with the wanted names must be tables that we may alter, and must fit or be empty. */
export const standingTables: Check = async ({ database, tables, facts }) => {
  const { schema } = database.settings
  const byName = new Map<string, TableMapping>(tables.map((table) => [table.name, table]))
  const carried = await carriedTables(database)
  const found: Finding[] = []
  for (const standing of await standingIn(database, [...byName.keys()])) {
    const table = byName.get(standing.name)
    if (table === undefined) continue
    const obstacle = obstacleOf(standing, schema, facts.account)
    if (obstacle !== null) found.push(obstacle)
    else if (standing.usable && !carried.has(table.source.name)) found.push(...(await contentOf(database, table)))
  }
  return found
}

async function standingIn(database: Database, names: readonly string[]): Promise<Standing[]> {
  return database.transaction((session) =>
    session.rows<Standing>(
      `SELECT c.relname::text AS name, c.relkind::text AS kind, pg_has_role(c.relowner, 'USAGE') AS owned, pg_get_userbyid(c.relowner)::text AS owner,
         has_schema_privilege(n.oid, 'USAGE') AS usable, c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
           AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE') AS writable
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY($2) ORDER BY 1`,
      [database.settings.schema, names],
    ),
  )
}

function obstacleOf(standing: Standing, schema: string, account: string): Finding | null {
  const { name, kind, writable, owned, owner } = standing
  const quoted = sql.tableName(schema, { name })
  if (kind !== 'r' && kind !== 'p')
    return finding(
      'error',
      'target-name-taken',
      `${name} is ${KINDS[kind] ?? 'something other than a table'} in schema ${schema}, where the table of that name belongs`,
      `ALTER ${kind === 'v' ? 'VIEW' : 'TABLE'} ${quoted} RENAME TO ${sql.name(`${name}_old`)}; or give target.schema another name`,
    )
  if (owned) return null
  return finding(
    'error',
    'target-not-owner',
    `table ${name} belongs to ${owner}: ${account} can${writable ? ' write to it but' : 'not write to it and'} not give it indexes and constraints`,
    `ALTER TABLE ${quoted} OWNER TO ${sql.name(account)};`,
  )
}

/** Examines a table that we did not fill. A copy would stop at columns that it lacks, and at rows that the source lacks. */
async function contentOf(database: Database, table: TableMapping): Promise<Finding[]> {
  const quoted = sql.tableName(database.settings.schema, table)
  const lacking = await differences(database, table)
  if (lacking.length > 0)
    return [
      finding(
        'error',
        'target-table-differs',
        `table ${table.name} already exists and cannot hold the source's rows: ${lacking.join('; ')}`,
        `ALTER TABLE ${quoted} RENAME TO ${sql.name(`${table.name}_old`)}; then mylab-sync initial --create-tables re-creates it (mylab-sync plan --sql shows how)`,
      ),
    ]
  if (!(await hasRows(database, table))) return []
  const keyless = table.key === null ? ' (here at any, since it has no key to compare by)' : ''
  return [
    finding(
      'warning',
      'target-table-not-empty',
      `table ${table.name} already holds rows: they are compared, and rows that the source lacks stop the copy${keyless}`,
      `TRUNCATE ${quoted}; or, to let the source win: mylab-sync initial --table ${table.source.name} --take-over`,
    ),
  ]
}

/** Tables whose rows we carry; none if our state does not exist. */
async function carriedTables(database: Database): Promise<ReadonlySet<string>> {
  const { stateSchema } = database.settings
  const carried = TABLE_STATES.filter(isCarried)
  return database.transaction(async (session) => {
    const [there] = await session.rows<{ there: boolean }>(
      `SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = 'sync_progress' AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) AS there`,
      [stateSchema],
    )
    if (!there?.there) return new Set()
    const rows = await session.rows<{ table_name: string }>(
      `SELECT table_name FROM ${sql.name(stateSchema)}.sync_progress WHERE state = ANY($1)`,
      [carried],
    )
    return new Set(rows.map((row) => row.table_name))
  })
}
