import type {
  BlockStream,
  ColumnMapping,
  Edge,
  KeyColumn,
  KeyMapping,
  RowBlock,
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
    passage: { kind: 'same' },
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

/** A foreign key by the child's second column to the parent's first, whose changes change rows of the child. */
export function testEdge(child: TableMapping, parent: TableMapping): Edge {
  return {
    name: `${child.name}_parent_fk`,
    child: child.source.name,
    parent: parent.source.name,
    childKey: testKey(child.columns.slice(1, 2)),
    parentKey: testKey(parent.columns.slice(0, 1)),
    action: true,
    byKey: true,
    overlapping: false,
    text: false,
    captureOnlyParent: false,
    notCarried: null,
  }
}

/** A block of these rows, with their keys if `keyed`. */
export function testBlock(rows: readonly TargetRow[], keyed = true): RowBlock {
  const columns = (rows[0]?.values.length ?? 0) + (keyed ? 1 : 0)
  const values = rows.flatMap(({ key, values }) => [
    ...(keyed ? [Buffer.from(key)] : []),
    ...values.map((value) => (value === null ? null : Buffer.from(value.toString('utf8')))),
  ])
  const bounds = new Int32Array(2 * values.length)
  let at = 0
  for (const [index, value] of values.entries()) {
    bounds[2 * index] = value === null ? -1 : at
    at += value?.length ?? 0
    bounds[2 * index + 1] = value === null ? -1 : at
  }
  return {
    bytes: Buffer.concat(values.filter((value) => value !== null)),
    bounds,
    rows: rows.length,
    columns,
    keyed,
  }
}

/** Rows whose values are in the target what they are in the source. */
export async function* blocksOf(
  batches: Iterable<readonly TargetRow[]> | AsyncIterable<readonly TargetRow[]>,
  keyed = true,
): AsyncIterable<RowBlock> {
  for await (const rows of batches) yield testBlock(rows, keyed)
}

export function testStream(
  batches: Iterable<readonly TargetRow[]> | AsyncIterable<readonly TargetRow[]>,
  keyed = true,
): BlockStream {
  return { keyed, blocks: blocksOf(batches, keyed), convert: (row) => row }
}
