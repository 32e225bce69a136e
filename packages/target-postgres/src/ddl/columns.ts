import type { TableMapping } from '@mylab-sync/core'
import type { Database, Row, Session } from '../connection/database.js'
import * as sql from '../sql.js'

/** An existing column of the target. */
export interface StandingColumn {
  readonly name: string
  readonly place: number
  readonly type: string
  /** Every INSERT must supply a value. */
  readonly required: boolean
  readonly notNull: boolean
  readonly identity: '' | 'a' | 'd'
  readonly hasDefault: boolean
  /** GENERATED ALWAYS AS an expression. */
  readonly computed: boolean
}

export async function standingColumns(session: Session, table: string): Promise<StandingColumn[]> {
  const { rows } = await session.raw<StandingColumn & Row>(
    `SELECT a.attname::text AS name, a.attnum::int AS place, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS required,
       a.attnotnull AS "notNull", a.attidentity::text AS identity, a.atthasdef AS "hasDefault",
       coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '' AS computed
     FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped`,
    [table],
  )
  return rows
}

export function columnsOf(database: Database, table: TableMapping): Promise<StandingColumn[]> {
  return database.transaction((session) => standingColumns(session, sql.tableName(database.settings.schema, table)))
}

/** NOT NULL columns that the source lacks. They reject every row of the source. */
export function strangers(standing: readonly StandingColumn[], table: TableMapping): string[] {
  const ours = new Set(table.columns.map((column) => column.name))
  return standing.filter((column) => column.required && !ours.has(column.name)).map((column) => column.name)
}

/** Deferrable constraints over the key. ON CONFLICT infers every UNIQUE over its columns, in any order; it rejects these. */
export async function waitingKeys(database: Database, table: TableMapping): Promise<string[]> {
  const key = (table.key?.columns ?? []).map(({ column }) => column.name)
  return database.transaction(async (session) => {
    const { rows } = await session.raw<{ name: string }>(
      `SELECT conname AS name FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('p', 'u') AND condeferrable
       AND cardinality(conkey) = cardinality($2::text[])
       AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = conrelid AND a.attnum = ANY (conkey) AND a.attname <> ALL ($2))`,
      [sql.tableName(database.settings.schema, table), key],
    )
    return rows.map(({ name }) => name)
  })
}

/** PostgreSQL refuses UPDATE and DELETE if a publication contains the table and it has no replica identity. */
export async function lacksIdentity(session: Session, target: string): Promise<boolean> {
  const { rows } = await session.raw(
    `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_publication_tables p ON p.schemaname = n.nspname AND p.tablename = c.relname
     WHERE c.oid = $1::regclass AND (c.relreplident = 'n'
       OR c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary))`,
    [target],
  )
  return rows.length > 0
}
