import type { ColumnDefault, SourceColumn } from '@mylab-sync/core'
import type { TextRow } from '../connection/session.js'
import { mariadbDefault, members, mysqlDefault } from './literals.js'

/** Column positions in the `columns` query. */
const AT = {
  name: 1,
  dataType: 2,
  columnType: 3,
  nullable: 4,
  length: 5,
  precision: 6,
  scale: 7,
  fraction: 8,
  charset: 9,
  collation: 10,
  defaultValue: 11,
  extra: 12,
  comment: 13,
  generation: 14,
} as const

type Vendor = 'mariadb' | 'mysql'

/** Maps a row of the `columns` query. */
export function column(row: TextRow, vendor: Vendor, jsonChecked: boolean): SourceColumn {
  const columnType = text(row, 'columnType')
  const dataType = text(row, 'dataType').toLowerCase()
  const extra = text(row, 'extra')
  const list = members(columnType)
  const attributes = list === null ? columnType.toLowerCase() : ''
  const generated = generation(extra, text(row, 'generation'))
  return {
    name: text(row, 'name'),
    dataType,
    columnType,
    unsigned: /\bunsigned\b/.test(attributes),
    zerofill: /\bzerofill\b/.test(attributes),
    nullable: text(row, 'nullable') === 'YES',
    length: number(row, 'length'),
    precision: number(row, 'precision'),
    scale: number(row, 'scale'),
    fraction: number(row, 'fraction') ?? 0,
    charset: row[AT.charset] ?? null,
    collation: row[AT.collation] ?? null,
    members: list,
    json: dataType === 'json' || jsonChecked,
    generated,
    expression: generated === null ? null : text(row, 'generation'),
    invisible: /\bINVISIBLE\b/i.test(extra),
    autoIncrement: /\bauto_increment\b/i.test(extra),
    defaultValue: generated === null ? defaultOf(row, vendor) : { kind: 'none' },
    onUpdate: /\bon update\b/i.test(extra),
    comment: text(row, 'comment'),
  }
}

/**
 * What can change a value, from one table's rows of the `columns` query in their order: everything but comments, and but
 * defaults unless a column is generated, since its expression may read them.
 */
export function columnFacts(rows: readonly TextRow[]): TextRow[] {
  const isRead = rows.some((row) => text(row, 'generation') !== '')
  return rows.map((row) => row.filter((_, at) => at !== AT.comment && (isRead || at !== AT.defaultValue)))
}

/** MariaDB's ROW START and ROW END columns of a system-versioned table. */
export function isPeriodColumn(row: TextRow): boolean {
  return /^ROW (START|END)$/i.test(text(row, 'generation'))
}

function defaultOf(row: TextRow, vendor: Vendor): ColumnDefault {
  const value = row[AT.defaultValue] ?? null
  return vendor === 'mariadb'
    ? mariadbDefault(value)
    : mysqlDefault(value, text(row, 'extra'), text(row, 'dataType').toLowerCase())
}

/** MySQL's DEFAULT_GENERATED does not mean a generated column. */
function generation(extra: string, expression: string): SourceColumn['generated'] {
  if (/\b(STORED GENERATED|PERSISTENT)\b/i.test(extra)) return 'stored'
  if (/\bVIRTUAL( GENERATED)?\b/i.test(extra)) return 'virtual'
  return expression === '' ? null : 'stored'
}

function text(row: TextRow, field: keyof typeof AT): string {
  return row[AT[field]] ?? ''
}

function number(row: TextRow, field: keyof typeof AT): number | null {
  const value = text(row, field)
  return value === '' ? null : Number(value)
}
