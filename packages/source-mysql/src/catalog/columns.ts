import type { SourceColumn } from '@mylab-sync/core'
import type { TextRow } from '../connection/session.js'
import { mariadbDefault, members, mysqlDefault } from './literals.js'

/** A row of the `columns` query as a column. */
export function column(row: TextRow, vendor: 'mariadb' | 'mysql', jsonChecked: boolean): SourceColumn {
  const [, name, type, columnType, nullable, length, precision, scale, fraction, charset, collation, defaultValue, extra] = row.map((value) => value ?? '')
  const dataType = (type ?? '').toLowerCase()
  const list = members(columnType ?? '')
  const attributes = list === null ? (columnType ?? '').toLowerCase() : ''
  const generated = generation(extra ?? '', row[14] ?? '')
  return {
    name: name ?? '',
    dataType,
    columnType: columnType ?? '',
    unsigned: /\bunsigned\b/.test(attributes),
    zerofill: /\bzerofill\b/.test(attributes),
    nullable: nullable === 'YES',
    length: number(length),
    precision: number(precision),
    scale: number(scale),
    fraction: number(fraction) ?? 0,
    charset: charset === '' ? null : (charset ?? null),
    collation: collation === '' ? null : (collation ?? null),
    members: list,
    json: dataType === 'json' || jsonChecked,
    generated,
    invisible: /\bINVISIBLE\b/i.test(extra ?? ''),
    autoIncrement: /\bauto_increment\b/i.test(extra ?? ''),
    defaultValue: generated !== null ? { kind: 'none' } : vendor === 'mariadb' ? mariadbDefault(row[11] ?? null) : mysqlDefault(row[11] ?? null, extra ?? '', dataType),
    onUpdate: /\bon update\b/i.test(extra ?? ''),
    comment: row[13] ?? '',
  }
}

/** MariaDB's ROW START and ROW END columns of a system-versioned table. */
export function isPeriodColumn(row: TextRow): boolean {
  return /^ROW (START|END)$/i.test(row[14] ?? '')
}

/** MySQL's DEFAULT_GENERATED is no generated column. */
function generation(extra: string, expression: string): SourceColumn['generated'] {
  if (/\b(STORED GENERATED|PERSISTENT)\b/i.test(extra)) return 'stored'
  if (/\bVIRTUAL( GENERATED)?\b/i.test(extra)) return 'virtual'
  return expression === '' ? null : 'stored'
}

function number(value: string | undefined): number | null {
  return value === undefined || value === '' ? null : Number(value)
}
