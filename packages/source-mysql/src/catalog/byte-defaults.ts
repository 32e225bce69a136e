import { type SourceColumn, type SourceTable, SyncError } from '@mylab-sync/core'
import type { Session } from '../connection/session.js'
import * as sql from '../sql.js'

/**
 * MySQL's catalog shows the bytes of a default up to the first zero byte. The full default is read by DEFAULT() on an empty
 * result; for a table that cannot be read, the catalog's text remains, and the default is listed as not carried.
 */
export async function withByteDefaults(session: Session, table: SourceTable): Promise<SourceTable> {
  const cut = table.columns.filter(isCut)
  if (cut.length === 0 || table.fault !== null) return table
  const wanted = cut.map(({ name }) => `HEX(DEFAULT(t.${sql.name(name)}))`).join(', ')
  try {
    const [row = []] = await session.rows(
      `SELECT ${wanted} FROM (SELECT 1) AS one LEFT JOIN ${sql.name(table.name)} AS t ON FALSE`,
    )
    const whole = new Map(cut.map(({ name }, at) => [name, row[at] ?? null]))
    return { ...table, columns: table.columns.map((column) => withDefault(column, whole.get(column.name))) }
  } catch (error) {
    if (session.broken || !(error instanceof SyncError)) throw error
    return table
  }
}

function isCut({ dataType, defaultValue }: SourceColumn): boolean {
  return (
    /^(var)?binary$/.test(dataType) && defaultValue.kind === 'expression' && /^0x[0-9a-f]*$/i.test(defaultValue.text)
  )
}

function withDefault(column: SourceColumn, hex: string | null | undefined): SourceColumn {
  return typeof hex === 'string' ? { ...column, defaultValue: { kind: 'bytes', hex } } : column
}
