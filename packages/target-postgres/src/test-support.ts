import type {
  ColumnMapping,
  KeyColumn,
  KeyMapping,
  SourceColumn,
  TableMapping,
  TargetRow,
  TargetTableName,
} from '@mylab-sync/core'

function sourceColumn(name: string, nullable: boolean): SourceColumn {
  return {
    name,
    nullable,
    dataType: 'int',
    columnType: 'int(11)',
    unsigned: false,
    zerofill: false,
    length: null,
    precision: null,
    scale: null,
    fraction: 0,
    charset: null,
    collation: null,
    members: null,
    json: false,
    generated: null,
    expression: null,
    invisible: false,
    autoIncrement: false,
    defaultValue: { kind: 'none' },
    onUpdate: false,
    comment: '',
  }
}

/** A column whose target's text is the source's; not null where `type` ends in `!`. */
export function testColumn(name: string, typed: string): ColumnMapping {
  const notNull = typed.endsWith('!')
  const type = typed.replace(/!$/, '')
  const castType = type.replace(/^character varying.*/, 'varchar').replace(/\(.*\)/, '')
  return {
    source: sourceColumn(name, !notNull),
    name,
    type,
    castType,
    notNull,
    collateC: false,
    read: 'plain',
    convert: null,
    standIn: null,
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
    source: {
      name,
      engine: 'InnoDB',
      systemVersioned: false,
      columns: mapped.map((column) => column.source),
      primaryKey: key,
      indexes: [],
      foreignKeys: [],
      checks: [],
      comment: `it's ${name}`,
      estimatedRows: 0,
      estimatedBytes: 0,
      fault: null,
    },
    name: name as TargetTableName,
    columns: mapped,
    key: key === null ? null : testKey(mapped.filter((column) => key.includes(column.name))),
  }
}

/** A row whose first value is its key. */
export function testRow(...values: readonly (string | null)[]): TargetRow {
  return { key: values[0] ?? '', values: values.map((value) => (value === null ? null : Buffer.from(value))) }
}
