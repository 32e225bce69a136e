import { readdirSync, readFileSync } from 'node:fs'
import type { Session } from '../connection/database.js'

const FOLDER = new URL('../../migrations/', import.meta.url)

/** The numbered migrations, in order. */
export function migrations(): { readonly file: string; readonly text: () => string }[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => ({ file, text: () => readFileSync(new URL(file, FOLDER), 'utf8') }))
}

export const VERSIONS = 'sync_schema_version'

/** Marks a schema that we created, as opposed to one that we were given. */
export const SCHEMA_COMMENT = 'MyLab Database Sync: state'

/** All our objects in the state schema, by name. */
export function stateTables(): string[] {
  const made = migrations().flatMap(({ text }) => [...text().matchAll(/^CREATE TABLE (\w+)/gm)])
  return [VERSIONS, ...made.map(([, name]) => name ?? '')]
}

/** The first few relations, functions and standalone types of others in a schema. */
export async function strangersIn(session: Session, schema: string): Promise<string[]> {
  const rows = await session.rows<{ name: string }>(STRANGERS, [schema, stateTables()])
  return rows.map(({ name }) => name.replaceAll(/\s/g, ' '))
}

const STRANGERS = `
  WITH here AS (SELECT oid FROM pg_namespace WHERE nspname = $1),
  ours AS (SELECT c.oid, c.reltype FROM pg_class c, here WHERE c.relnamespace = here.oid AND c.relkind = 'r' AND c.relname = ANY ($2)),
  -- What stands and falls with one of our tables: its indexes, its TOAST table, the sequence of an identity.
  own AS (SELECT oid FROM ours UNION SELECT objid FROM pg_depend d JOIN ours ON d.refobjid = ours.oid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    UNION SELECT x.indexrelid FROM pg_index x JOIN ours ON x.indrelid = ours.oid)
  SELECT CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialised view ' WHEN 'S' THEN 'sequence ' WHEN 'f' THEN 'foreign table '
      WHEN 'c' THEN 'type ' WHEN 'i' THEN 'index ' ELSE 'table ' END || c.relname AS name
    FROM pg_class c, here WHERE c.relnamespace = here.oid AND c.oid NOT IN (SELECT oid FROM own)
      AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indexrelid = c.oid) AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
  UNION ALL SELECT 'function ' || p.proname FROM pg_proc p, here WHERE p.pronamespace = here.oid
  UNION ALL SELECT 'operator ' || o.oprname FROM pg_operator o, here WHERE o.oprnamespace = here.oid
  UNION ALL SELECT 'type ' || t.typname FROM pg_type t, here WHERE t.typnamespace = here.oid AND t.typrelid = 0 AND t.typelem = 0
  ORDER BY 1 LIMIT 20`
