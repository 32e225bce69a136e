import type { TableMapping, TargetDefinition, TargetTableName } from '@mylab-sync/core'
import type { Database, Session } from '../connection/database.js'
import * as sql from '../sql.js'
import { columnRecords } from './adapt.js'
import { columnsOf, strangers, waitingKeys } from './columns.js'
import { counterRecords, freeSequence } from './counters.js'
import { type MadeObject, MadeObjects } from './made-objects.js'
import { checkRecords } from './planned.js'
import { tableStatements } from './statements.js'
import { holds } from './types.js'

/** Names of those of these tables that exist, under any kind of relation. */
export async function existingTables(
  database: Database,
  tables: readonly TableMapping[],
): Promise<Set<TargetTableName>> {
  return database.transaction((session) => existingIn(session, database.settings.schema, tables))
}

async function existingIn(
  session: Session,
  schema: string,
  tables: readonly TableMapping[],
): Promise<Set<TargetTableName>> {
  const { rows } = await session.raw<{ name: TargetTableName }>(
    'SELECT n.name FROM unnest($1::text[], $2::text[]) AS n(name, place) WHERE to_regclass(n.place) IS NOT NULL',
    [tables.map(({ name }) => name), tables.map((table) => sql.tableName(schema, table))],
  )
  return new Set(rows.map(({ name }) => name))
}

export async function hasRows(database: Database, table: TableMapping): Promise<boolean> {
  return database.transaction(async (session) => {
    const { rows } = await session.raw<{ some: boolean }>(
      `SELECT EXISTS (SELECT 1 FROM ${sql.tableName(database.settings.schema, table)}) AS some`,
    )
    return rows[0]?.some ?? false
  })
}

/** Lists the reasons why an existing table cannot hold the mapping's values. */
export async function differences(database: Database, table: TableMapping): Promise<string[]> {
  const rows = await columnsOf(database, table)
  const found = new Map(rows.map((row) => [row.name, row]))
  const lacking = table.columns.flatMap((column) => {
    const held = found.get(column.name)
    if (held === undefined) return [`column ${column.name} is missing`]
    if (!holds(held.type, column.type)) return [`column ${column.name} is ${held.type}, not ${column.type}`]
    if (held.identity === 'a' || held.computed)
      return [`column ${column.name} is GENERATED ALWAYS and accepts no value from the source`]
    return held.notNull && !column.notNull
      ? [`column ${column.name} is NOT NULL and accepts no NULL from the source`]
      : []
  })
  return [
    ...lacking,
    ...strangers(rows, table).map((name) => `column ${name} is NOT NULL and not in the source`),
    ...(await waitingKeys(database, table)).map((name) => `constraint ${name} over the key is DEFERRABLE`),
  ]
}

type Definition = Pick<TargetDefinition, 'table' | 'objects'>

export function createTable(database: Database, definition: Definition): Promise<void> {
  return database.transaction((session) => createTablesIn(session, database, [definition]))
}

/** Creates columns, defaults, comments and checks; indexes follow the data. Leaves existing tables as they are. */
export async function createTablesIn(
  session: Session,
  { settings: { schema, stateSchema } }: Database,
  definitions: readonly Definition[],
): Promise<void> {
  const existing = await existingIn(
    session,
    schema,
    definitions.map(({ table }) => table),
  )
  const statements: string[] = []
  const records = new Map<string, MadeObject[]>()
  for (const { table, objects } of definitions) {
    if (existing.has(table.name)) continue
    const sequence = objects.sequence && (await freeSequence(session, schema, objects.sequence))
    const own = { ...objects, sequence }
    // A column of this type in any other table, even a temporary one, would block every later change of a column's type.
    const revoke = `REVOKE ALL ON TYPE ${sql.tableName(schema, table)} FROM PUBLIC`
    statements.push(...tableStatements(schema, table, own), revoke)
    records.set(table.name, [
      ...columnRecords(table.columns, own),
      ...counterRecords(own),
      ...checkRecords(schema, table, own),
    ])
  }
  if (records.size === 0) return
  await session.raw(statements.join('; '))
  const made = new MadeObjects(stateSchema)
  await made.clear(session, [...records.keys()])
  await made.noteAll(session, records)
}
