import type { CheckPlan, IndexPlan, TableMapping } from '@mylab-sync/core'
import { SQLSTATE } from '../sql-states.js'
import type { Session } from '../connection/database.js'
import * as sql from '../sql.js'

/** Drops the index only if it belongs to this table: another table may have an index of that name. */
export async function dropIndex(
  session: Session,
  schema: string,
  table: Pick<TableMapping, 'name'>,
  index: { readonly name: string; readonly concurrently?: boolean },
): Promise<void> {
  const present = await objectNames(session, sql.tableName(schema, table))
  const how = index.concurrently ? 'CONCURRENTLY ' : ''
  if (present.has(index.name)) await session.raw(`DROP INDEX ${how}${sql.tableName(schema, index)}`)
}

export function whyNoIndex(code: string): string {
  if (code === SQLSTATE.UNIQUE_VIOLATION) return 'rows hold equal values'
  if (code === SQLSTATE.PROGRAM_LIMIT_EXCEEDED) return 'a value is too long for an index'
  return `SQLSTATE ${code}`
}

/** Judges by a table's objects, as `objectNames` returns them, whether an index or UNIQUE is still to be built. */
export function isMissingIndex(present: ReadonlyMap<string, string>): (index: IndexPlan) => boolean {
  return ({ name, deferrable }) => {
    const standing = present.get(name)
    return standing !== 'constraint' && (standing !== 'index' || deferrable)
  }
}

export function isMissingCheck(present: ReadonlyMap<string, string>): (check: CheckPlan) => boolean {
  return ({ name }) => !present.has(name)
}

/** Maps each index and CHECK of a table to 'constraint', 'index', or 'invalid' after an interrupted concurrent build. */
export async function objectNames(session: Session, table: string): Promise<Map<string, string>> {
  const { rows } = await session.raw<{ name: string; kind: string }>(
    `SELECT c.relname AS name, CASE WHEN NOT x.indisvalid THEN 'invalid' WHEN k.oid IS NOT NULL THEN 'constraint' ELSE 'index' END AS kind
     FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.contype IN ('u', 'p') WHERE x.indrelid = $1::regclass
     UNION ALL SELECT conname, 'constraint' FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c'`,
    [table],
  )
  return new Map(rows.map((row) => [row.name, row.kind]))
}
