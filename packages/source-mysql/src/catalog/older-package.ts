import type { SourceSettings } from '../settings.js'

/** The comment of its log after a takeover. */
export const KEPT = 'log of the older package, kept by MyLab Database Sync'

/** Columns that identify its tables: the change log, and the progress and error log of its first copy. */
const SHAPES: readonly (readonly string[])[] = [
  ['table_name', 'record_id', 'operation', 'old_data', 'new_data', 'synced'],
  ['table_name', 'batch_offset', 'batch_size', 'failed_columns', 'sample_data'],
  ['table_name', 'total_rows', 'synced_rows', 'failed_rows', 'last_synced_offset'],
]

/** Whether it is a table of the older package: by its columns, whatever its name, or by the name or comment of its kept log. */
export function isOlderPackages(
  table: { readonly name: string; readonly comment: string; readonly columns: readonly { readonly name: string }[] },
  { auditTable }: Pick<SourceSettings, 'auditTable'>,
): boolean {
  if (table.comment === KEPT || table.name === `${auditTable}_old`) return true
  const names = new Set(table.columns.map(({ name }) => name.toLowerCase()))
  return SHAPES.some((shape) => shape.every((name) => names.has(name)))
}
