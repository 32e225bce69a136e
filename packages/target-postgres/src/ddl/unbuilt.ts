import type { TargetDefinition, Unbuilt } from '@mylab-sync/core'
import type { Session } from '../connection/database.js'
import type { Ddl } from './ddl.js'
import { isMissingCheck, isMissingIndex } from './standing-indexes.js'

interface Standing {
  /** As `objectNames`, by table. */
  readonly objects: ReadonlyMap<string, ReadonlyMap<string, string>>
  /** Names of the validated foreign keys, by table. */
  readonly validated: ReadonlyMap<string, ReadonlySet<string>>
}

const NONE: ReadonlyMap<string, string> = new Map()

/** Compares the plan with all that stands, in one query however many tables there are. */
export async function unbuilt(ddl: Ddl, definitions: readonly TargetDefinition[]): Promise<Unbuilt> {
  const { objects, validated } = await ddl.database.transaction((session) => readStanding(session, ddl.schema))
  const isUnbuilt = ({ table, objects: planned }: TargetDefinition): boolean => {
    const present = objects.get(table.name) ?? NONE
    return planned.indexes.some(isMissingIndex(present)) || planned.checks.some(isMissingCheck(present))
  }
  return {
    tables: new Set(definitions.filter(isUnbuilt).map(({ table }) => table.name)),
    isForeignKeyDue: (child, edge) => !validated.get(child.name)?.has(edge.name),
  }
}

async function readStanding(session: Session, schema: string): Promise<Standing> {
  const { rows } = await session.raw<{ table: string; name: string; kind: string }>(STANDING, [schema])
  const objects = new Map<string, Map<string, string>>()
  const validated = new Map<string, Set<string>>()
  for (const { table, name, kind } of rows) {
    if (kind === 'foreign-key') validated.set(table, (validated.get(table) ?? new Set()).add(name))
    else objects.set(table, (objects.get(table) ?? new Map<string, string>()).set(name, kind))
  }
  return { objects, validated }
}

const STANDING = `
  WITH t AS (SELECT c.oid, c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p'))
  SELECT t.name AS table, c.relname::text AS name,
    CASE WHEN NOT x.indisvalid THEN 'invalid' WHEN k.oid IS NOT NULL THEN 'constraint' ELSE 'index' END AS kind
  FROM t JOIN pg_index x ON x.indrelid = t.oid JOIN pg_class c ON c.oid = x.indexrelid
    LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.contype IN ('u', 'p')
  UNION ALL SELECT t.name, k.conname::text, CASE k.contype WHEN 'c' THEN 'constraint' ELSE 'foreign-key' END
  FROM t JOIN pg_constraint k ON k.conrelid = t.oid WHERE k.contype = 'c' OR (k.contype = 'f' AND k.convalidated)`
