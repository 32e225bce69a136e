import type { ColumnMapping, KeyColumn, KeyMapping, SourceColumn, TokenRule } from '@mylab-sync/core'
import { sourceColumn } from '@mylab-sync/core/testing'

/** Model objects for tests that compare SQL text. */
export function column(name: string, dataType: string, change: Partial<SourceColumn> = {}): SourceColumn {
  return sourceColumn(name, dataType, { charset: dataType === 'varchar' ? 'latin1' : null, ...change })
}

export function columnMapping(source: SourceColumn): ColumnMapping {
  return {
    source,
    name: source.name,
    type: 'text',
    castType: 'text',
    notNull: true,
    collateC: false,
    read: 'plain',
    convert: null,
    passage: { kind: 'same' },
    standIn: null,
    digest: null,
  }
}

export function keyColumn(source: SourceColumn, rule: TokenRule): KeyColumn {
  return { column: columnMapping(source), rule, toTarget: (token) => token, fromTarget: (text) => text }
}

export function keyMapping(columns: readonly KeyColumn[], layout = 1): KeyMapping {
  return { columns, layout, sameOrder: false }
}
