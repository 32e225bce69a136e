import type { CheckPlan, IndexPlan, TableMapping, TableObjects, TargetDefinition } from '@mylab-sync/core'
import * as sql from '../sql.js'
import { digestOf, type MadeObject } from './made-objects.js'
import {
  addCheck,
  addForeignKey,
  addUnique,
  createIndex,
  foreignKeyIndex,
  foreignKeyIndexName,
  targetColumns,
} from './statements.js'

/** Planned objects of a table besides its columns, in the form in which they are recorded once created. */
export function plannedObjects(schema: string, definition: TargetDefinition): MadeObject[] {
  const { table, objects, foreignKeyColumns, foreignKeys } = definition
  const target = sql.tableName(schema, table)
  return [
    ...objects.indexes.map((index) => indexRecord(target, index)),
    ...foreignKeyColumns.map((sources) => foreignKeyIndexRecord(schema, table, targetColumns(table, sources))),
    ...checkRecords(schema, table, objects),
    ...foreignKeys.map(({ edge, parent }): MadeObject => {
      const statement = addForeignKey(schema, edge, { child: table, parent: parent.table })
      return { kind: 'foreign-key', name: edge.name, definition: digestOf(statement), state: 'made' }
    }),
  ]
}

export function indexRecord(target: string, index: IndexPlan): MadeObject {
  const statements = [createIndex(target, index, ''), ...(index.deferrable ? [addUnique(target, index)] : [])]
  return { kind: 'index', name: index.name, definition: digestOf(statements.join('; ')), state: 'made' }
}

export function foreignKeyIndexRecord(schema: string, table: TableMapping, columns: readonly string[]): MadeObject {
  const definition = digestOf(foreignKeyIndex(schema, table, columns))
  return { kind: 'index', name: foreignKeyIndexName(table, columns), definition, state: 'made' }
}

export function checkRecord(target: string, check: CheckPlan): MadeObject {
  return { kind: 'check', name: check.name, definition: digestOf(addCheck(target, check)), state: 'made' }
}

export function checkRecords(schema: string, table: TableMapping, { checks }: TableObjects): MadeObject[] {
  return checks.map((check) => checkRecord(sql.tableName(schema, table), check))
}
