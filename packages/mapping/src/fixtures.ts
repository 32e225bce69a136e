import type { SourceColumn, SourceForeignKey, SourceIndex } from '@mylab-sync/core'
import { sourceColumn } from '@mylab-sync/core/testing'

export { sourceTable as testTable } from '@mylab-sync/core/testing'

/** A column for tests: `int NOT NULL` by default. */
export function testColumn(name: string, dataType = 'int', more: Partial<SourceColumn> = {}): SourceColumn {
  const isText = /char|text|enum|set/.test(dataType)
  return sourceColumn(name, dataType, {
    charset: isText ? 'utf8mb4' : null,
    collation: isText ? 'utf8mb4_general_ci' : null,
    ...more,
  })
}

/** An index for tests; a part is a column name, or a name and a prefix length. */
export function testIndex(
  name: string,
  parts: readonly (string | readonly [string, number])[],
  more: Partial<SourceIndex> = {},
): SourceIndex {
  return {
    name,
    unique: false,
    visible: true,
    kind: 'btree',
    parts: parts.map((part) => ({
      column: typeof part === 'string' ? part : part[0],
      prefix: typeof part === 'string' ? null : part[1],
      descending: false,
    })),
    ...more,
  }
}

/** A foreign key for tests. */
export function testForeignKey(
  columns: readonly string[],
  parent: string,
  parentColumns: readonly string[],
  more: Partial<SourceForeignKey> = {},
): SourceForeignKey {
  return {
    name: `fk_${columns.join('_')}`,
    columns,
    parentDatabase: null,
    parent,
    parentColumns,
    onDelete: 'RESTRICT',
    onUpdate: 'RESTRICT',
    ...more,
  }
}
