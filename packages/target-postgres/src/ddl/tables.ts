import type { TableMapping, TableObjects } from '@mylab-sync/core'
import type { Database } from '../connection/database.js'
import * as sql from '../sql.js'
import { columnRecords } from './adapt.js'
import { columnsOf, strangers, waitingKeys } from './columns.js'
import { counterRecords, freeSequence } from './counters.js'
import { MadeObjects } from './made-objects.js'
import { checkRecords } from './planned.js'
import { tableStatements } from './statements.js'
import { holds } from './types.js'

export async function tableExists(database: Database, table: TableMapping): Promise<boolean> {
  return database.transaction(async (session) => {
    const { rows } = await session.raw<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
      sql.tableName(database.settings.schema, table),
    ])
    return rows[0]?.there ?? false
  })
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

/** Creates columns, defaults, comments and checks; indexes follow the data. Leaves an existing table as it is. */
export async function createTable(database: Database, table: TableMapping, objects: TableObjects): Promise<void> {
  if (await tableExists(database, table)) return
  const { schema, stateSchema } = database.settings
  await database.transaction(async (session) => {
    const sequence = objects.sequence && (await freeSequence(session, schema, objects.sequence))
    const own = { ...objects, sequence }
    for (const statement of tableStatements(schema, table, own)) await session.raw(statement)
    // A column of this type in any other table, even a temporary one, would block every later change of a column's type.
    await session.raw(`REVOKE ALL ON TYPE ${sql.tableName(schema, table)} FROM PUBLIC`)
    const made = new MadeObjects(stateSchema)
    await made.clear(session, table.name)
    await made.note(session, table.name, [
      ...columnRecords(table.columns, own),
      ...counterRecords(own),
      ...checkRecords(schema, table, own),
    ])
  })
}
