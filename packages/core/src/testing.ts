import type { SourceColumn, SourceTable } from './model/source-table.js'

/** A column of the plainest kind, for tests: NOT NULL, without a default. */
export function sourceColumn(name: string, dataType = 'int', more: Partial<SourceColumn> = {}): SourceColumn {
  return {
    name,
    dataType,
    columnType: dataType,
    unsigned: false,
    zerofill: false,
    nullable: false,
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
    ...more,
  }
}

/** A table of the plainest kind, for tests: InnoDB, without a key. */
export function sourceTable(
  name: string,
  columns: readonly SourceColumn[],
  more: Partial<SourceTable> = {},
): SourceTable {
  return {
    name,
    engine: 'InnoDB',
    systemVersioned: false,
    columns,
    primaryKey: null,
    indexes: [],
    foreignKeys: [],
    checks: [],
    comment: '',
    estimatedRows: 0,
    estimatedBytes: 0,
    fault: null,
    ...more,
  }
}
