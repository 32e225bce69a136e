import type {
  ColumnMapping,
  KeyColumn,
  KeyMapping,
  TableMapping,
  TableObjects,
  TargetRow,
  TargetTableName,
} from '@mylab-sync/core'
import { sourceColumn, sourceTable } from '@mylab-sync/core/testing'

/** Objects of a table that has none. */
export const NO_OBJECTS: TableObjects = {
  indexes: [],
  checks: [],
  defaults: new Map(),
  identity: null,
  sequence: null,
  notCarried: [],
}

/** A column whose target's text is the source's; not null where `type` ends in `!`. */
export function testColumn(name: string, typed: string): ColumnMapping {
  const notNull = typed.endsWith('!')
  const type = typed.replace(/!$/, '')
  const castType = type.replace(/^character varying.*/, 'varchar').replace(/\(.*\)/, '')
  return {
    source: sourceColumn(name, 'int', { columnType: 'int(11)', nullable: !notNull }),
    name,
    type,
    castType,
    notNull,
    collateC: false,
    read: 'plain',
    convert: null,
    standIn: null,
    digest: null,
  }
}

/** Keys whose tokens are the target's texts. */
export function testKey(columns: readonly ColumnMapping[]): KeyMapping {
  const keys = columns.map((column): KeyColumn => {
    const rule = column.castType === 'integer' ? 'integer' : 'text'
    return { column, rule, toTarget: (token) => token, fromTarget: (text) => text }
  })
  return { columns: keys, layout: 1, sameOrder: true }
}

/** `columns`: name -> type; `key`: names of the key's columns, which are its primary key. */
export function testTable(
  name: string,
  columns: Readonly<Record<string, string>>,
  key: readonly string[] | null,
): TableMapping {
  const mapped = Object.entries(columns).map(([column, type]) => testColumn(column, type))
  return {
    source: sourceTable(
      name,
      mapped.map((column) => column.source),
      { primaryKey: key, comment: `it's ${name}` },
    ),
    name: name as TargetTableName,
    columns: mapped,
    key: key === null ? null : testKey(mapped.filter((column) => key.includes(column.name))),
  }
}

/** A row whose first value is its key. */
export function testRow(...values: readonly (string | null)[]): TargetRow {
  return { key: values[0] ?? '', values: values.map((value) => (value === null ? null : Buffer.from(value))) }
}
