import type { Row, Session } from '../connection/database.js'

/** An object that depends on columns of a table and blocks their change. */
export interface Dependent {
  readonly kind:
    | 'view'
    | 'rule'
    | 'trigger'
    | 'policy'
    | 'generated'
    | 'function'
    | 'publication'
    | 'constraint'
    | 'index'
  /** The table of a constraint; for any other object, its own schema and name. */
  readonly holder: string
  readonly name: string
  /** PostgreSQL rebuilds the object for another type; a user's object that is `plain`, whatever the values are. */
  readonly follows: boolean
  readonly plain: boolean
  /** The statement that drops the object. */
  readonly drop: string
}

interface Found extends Row {
  readonly kind: Dependent['kind']
  readonly holder: string
  readonly name: string
  readonly plain: boolean
  readonly drop: string
}

/** Objects that depend on these columns, in a valid order of dropping. A non-unique index over plain columns is `plain`. */
export async function dependentsOf(session: Session, table: string, places: readonly number[]): Promise<Dependent[]> {
  if (places.length === 0) return []
  const { rows } = await session.raw<Found>(DEPENDENTS, [table, places])
  return rows.map((row) => ({ ...row, follows: row.kind === 'constraint' || row.kind === 'index' }))
}

/**
 * Lists views deepest first. Omits a column's NOT NULL, a constraint since PostgreSQL 18, which follows its column.
 * `to_jsonb` reads catalog columns that older versions lack, such as conditions of publications.
 */
const DEPENDENTS = `
  WITH RECURSIVE direct AS (
    SELECT d.classid, d.objid FROM pg_depend d
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::regclass AND d.refobjsubid = ANY ($2::int[])
  ), seen AS (
    SELECT r.ev_class AS view, 1 AS depth FROM direct d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    WHERE r.ev_class <> $1::regclass
    UNION
    SELECT r.ev_class, s.depth + 1 FROM seen s JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.view AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid WHERE r.ev_class <> s.view AND s.depth < 100
  ), views AS (SELECT view, max(depth) AS depth FROM seen GROUP BY view)
  SELECT * FROM (
    SELECT 'view' AS kind, v.view::regclass::text AS holder, c.relname::text AS name, 100 - v.depth AS place, false AS plain,
      format('DROP %sVIEW %s', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END, v.view::regclass) AS drop
    FROM views v JOIN pg_class c ON c.oid = v.view
    UNION ALL SELECT 'rule', r.ev_class::regclass::text, r.rulename::text, 200, false, format('DROP RULE %I ON %s', r.rulename, r.ev_class::regclass)
    FROM direct d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid WHERE r.ev_class = $1::regclass
    UNION ALL SELECT 'trigger', t.tgrelid::regclass::text, t.tgname::text, 200, false, format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass)
    FROM direct d JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid WHERE NOT t.tgisinternal
    UNION ALL SELECT 'policy', p.polrelid::regclass::text, p.polname::text, 200, false, format('DROP POLICY %I ON %s', p.polname, p.polrelid::regclass)
    FROM direct d JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
    UNION ALL SELECT 'function', p.oid::regprocedure::text, p.proname::text, 200, false, format('DROP ROUTINE %s', p.oid::regprocedure)
    FROM direct d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
    UNION ALL SELECT 'publication', '', p.pubname::text, 200, false, format('ALTER PUBLICATION %I DROP TABLE %s', p.pubname, r.prrelid::regclass)
    FROM direct d JOIN pg_publication_rel r ON d.classid = 'pg_publication_rel'::regclass AND r.oid = d.objid JOIN pg_publication p ON p.oid = r.prpubid
    WHERE to_jsonb(r) ->> 'prqual' IS NOT NULL
    UNION ALL SELECT 'generated', a.attrelid::regclass::text, a.attname::text, 300, false, format('ALTER TABLE %s DROP COLUMN %I', a.attrelid::regclass, a.attname)
    FROM direct d JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
    WHERE to_jsonb(a) ->> 'attgenerated' <> ''
    UNION ALL SELECT 'constraint', h.relname::text, k.conname::text, CASE k.contype WHEN 'f' THEN 400 ELSE 500 END, false, format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname)
    FROM direct d JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid JOIN pg_class h ON h.oid = k.conrelid
    WHERE k.contype <> 'n'
    UNION ALL SELECT 'index', c.relname::text, c.relname::text, 600, NOT x.indisunique AND x.indexprs IS NULL AND x.indpred IS NULL, format('DROP INDEX %s', c.oid::regclass)
    FROM direct d JOIN pg_index x ON d.classid = 'pg_class'::regclass AND x.indexrelid = d.objid JOIN pg_class c ON c.oid = x.indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))
  ) found GROUP BY kind, holder, name, place, plain, drop ORDER BY place, holder, name`

/** Separates our objects from the user's: ours are the key, and those on record or planned under their name. */
export interface Ours {
  /** Names of indexes and of constraints of the table. */
  readonly names: ReadonlySet<string>
  /** Foreign keys on record, as the holder's name and their own. */
  readonly foreignKeys: ReadonlySet<string>
}

export function isOurs({ kind, holder, name }: Dependent, table: string, ours: Ours): boolean {
  if (kind === 'index') return ours.names.has(name)
  return (
    kind === 'constraint' && ((holder === table && ours.names.has(name)) || ours.foreignKeys.has(`${holder} ${name}`))
  )
}

export function dropsOf(dependents: readonly Dependent[]): string[] {
  return dependents.map(({ drop }) => drop)
}
