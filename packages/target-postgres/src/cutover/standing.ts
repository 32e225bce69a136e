import type { Session } from '../connection/database.js'

export interface StandingConstraint {
  readonly isDeferrable: boolean
  readonly isValidated: boolean
  /** Actions of a foreign key, as pg_constraint has them: `a` is none. */
  readonly actions: string
}

export const placeOf = (table: string, name: string): string => `${table}\n${name}`

/** Foreign keys and UNIQUEs of a schema's tables, by table and name; one query for all tables. */
export async function standingConstraints(
  session: Session,
  schema: string,
): Promise<ReadonlyMap<string, StandingConstraint>> {
  const rows = await session.rows<{
    table: string
    name: string
    deferrable: boolean
    validated: boolean
    actions: string
  }>(
    `SELECT t.relname::text AS table, k.conname::text AS name, k.condeferrable AS deferrable, k.convalidated AS validated,
       concat(nullif(k.confdeltype::text, ' '), nullif(k.confupdtype::text, ' ')) AS actions
     FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE n.nspname = $1 AND k.contype IN ('f', 'u')`,
    [schema],
  )
  return new Map(
    rows.map((row) => [
      placeOf(row.table, row.name),
      { isDeferrable: row.deferrable, isValidated: row.validated, actions: row.actions },
    ]),
  )
}

/** Indexes of a schema's tables that are not valid, or belong to no constraint, by table and name. */
export async function looseIndexes(
  session: Session,
  schema: string,
): Promise<ReadonlyMap<string, { readonly isValid: boolean }>> {
  const rows = await session.rows<{ table: string; name: string; valid: boolean }>(
    `SELECT t.relname::text AS table, i.relname::text AS name, x.indisvalid AS valid
     FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE n.nspname = $1 AND x.indisunique AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))`,
    [schema],
  )
  return new Map(rows.map(({ table, name, valid }) => [placeOf(table, name), { isValid: valid }]))
}
