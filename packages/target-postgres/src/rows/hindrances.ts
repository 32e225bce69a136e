import { SyncError, TableBroken, type TableHindrance, type TableMapping } from '@mylab-sync/core'
import type { Row, Session } from '../connection/database.js'
import { isStranger } from '../strangers.js'
import { copyAgain } from '../errors.js'
import * as sql from '../sql.js'

type Kind =
  | 'relation'
  | 'owner'
  | 'rule'
  | 'policy'
  | 'child'
  | 'partition'
  | 'unlogged'
  | 'collation'
  | 'action'
  | 'trigger'

/** An object of the target that may keep a table from storing rows as given. */
interface Found extends Row {
  readonly table: string
  readonly kind: Kind
  /** The object's name; for a policy `FORCE` or the empty string. */
  readonly name: string
  /** The object's table, or a detail shown beside the name. */
  readonly at: string
}

/** What the target does with rows of one table besides storing them. */
export interface Hindrances {
  readonly found: readonly Found[]
  /** Names of enabled triggers, and of rules with side effects. */
  readonly triggers: readonly string[]
}

export const NO_HINDRANCES: Hindrances = { found: [], triggers: [] }

/** Enabled for sessions such as ours. */
const enabled = (column: string): string =>
  `(${column} = 'A' OR ${column} = CASE current_setting('session_replication_role') WHEN 'replica' THEN 'R' ELSE 'O' END)`

/** Actions that change rows of the child; RESTRICT and NO ACTION raise an error instead. */
const ACTS = "k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))"

/**
 * Preselects tables by flags of pg_class, which cover all kinds below but collations; foreign keys set `relhastriggers` too.
 * Takes 0.4 ms for a drain's tables, most of it planning, and 6 ms for 400.
 */
const SUSPECTS = `
  SELECT c.oid, c.relname::text AS name, c.relkind, c.relpersistence FROM pg_class c
  WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relname = ANY ($2)
    AND (c.relkind <> 'r' OR c.relpersistence <> 'p' OR c.relhasrules OR c.relhassubclass OR c.relrowsecurity OR ${isStranger('c.relowner')}
    OR c.relhastriggers AND EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)
    OR c.relhastriggers AND EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND ${ACTS}))`

/** Names of tables that need a closer look. Nothing of this can change once the transaction has written to them. */
export async function suspects(session: Session, schema: string, tables: readonly string[]): Promise<string[]> {
  const rows = await session.rows<{ name: string }>(SUSPECTS, [schema, tables])
  return rows.map((row) => row.name)
}

const LOOK = `
  WITH RECURSIVE s AS (${SUSPECTS}),
  t AS (SELECT s.oid AS root, s.name AS root_name, s.relkind AS root_kind, s.oid AS rel, s.name, s.relkind AS kind, s.relpersistence AS kept FROM s
    UNION ALL SELECT t.root, t.root_name, t.root_kind, c.oid, c.relname::text, c.relkind, c.relpersistence
      FROM t JOIN pg_inherits i ON i.inhparent = t.rel JOIN pg_class c ON c.oid = i.inhrelid)
  SELECT t.root_name AS table, 'relation' AS kind, t.name, t.kind::text AS at FROM t WHERE t.rel = t.root AND t.kind NOT IN ('r', 'p')
  UNION ALL SELECT t.root_name, 'owner', pg_get_userbyid(c.relowner)::text, t.rel::regclass::text FROM t JOIN pg_class c ON c.oid = t.rel
    WHERE t.kind IN ('r', 'p') AND (t.rel = t.root OR t.root_kind = 'p') AND ${isStranger('c.relowner')}
  UNION ALL SELECT t.root_name, 'rule', r.rulename::text, CASE WHEN r.is_instead OR r.ev_type IN ('2', '3') THEN 'instead' ELSE 'also' END
    FROM t JOIN pg_rewrite r ON r.ev_class = t.rel WHERE t.rel = t.root AND t.kind IN ('r', 'p') AND r.ev_type <> '1' AND ${enabled('r.ev_enabled')}
  UNION ALL SELECT t.root_name, 'policy', CASE WHEN c.relforcerowsecurity AND pg_has_role(c.relowner, 'USAGE') THEN 'FORCE' ELSE '' END,
      coalesce((SELECT string_agg(p.polname::text, ', ' ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = c.oid), '')
    FROM t JOIN pg_class c ON c.oid = t.rel WHERE t.rel = t.root AND row_security_active(c.oid)
  UNION ALL SELECT t.root_name, 'child', t.name, t.rel::regclass::text FROM t WHERE t.rel <> t.root AND t.root_kind = 'r'
  UNION ALL SELECT t.root_name, 'partition', t.name, t.rel::regclass::text FROM t WHERE t.rel <> t.root AND t.root_kind = 'p' AND t.kind = 'f'
  UNION ALL SELECT t.root_name, 'unlogged', t.name, t.rel::regclass::text FROM t WHERE t.kept = 'u' AND (t.rel = t.root OR t.root_kind = 'p')
  UNION ALL SELECT t.root_name, 'action', k.conname::text, t.rel::regclass::text FROM t JOIN pg_constraint k ON k.conrelid = t.rel WHERE t.rel = t.root AND ${ACTS}
  UNION ALL SELECT t.root_name, 'trigger', g.tgname::text, t.rel::regclass::text FROM t JOIN pg_trigger g ON g.tgrelid = t.rel
    WHERE t.kind <> 'v' AND NOT g.tgisinternal AND ${enabled('g.tgenabled')} AND (t.rel = t.root OR t.root_kind = 'p')
  ORDER BY 1, 2, 3`

/** Columns whose collation equates different texts. PostgreSQL 11 has no such collation. */
const LOOSE = `
  SELECT c.relname::text AS table, 'collation' AS kind, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS at
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_collation l ON l.oid = a.attcollation
  WHERE n.nspname = $1 AND c.relname = ANY ($2) AND a.attnum > 0 AND to_jsonb(l) ->> 'collisdeterministic' = 'false' ORDER BY 1, 3`

/** All hindrances of these tables, by the target's name; tables without any are absent. */
export async function lookAt(
  session: Session,
  schema: string,
  tables: readonly string[],
): Promise<Map<string, Hindrances>> {
  if (tables.length === 0) return new Map()
  const found: Found[] = []
  for (const look of [LOOK, LOOSE]) found.push(...(await session.rows<Found>(look, [schema, tables])))
  const byTable = new Map<string, Found[]>()
  for (const each of found) byTable.set(each.table, [...(byTable.get(each.table) ?? []), each])
  return new Map([...byTable].map(([table, list]) => [table, { found: list, triggers: triggersOf(list) }]))
}

function triggersOf(found: readonly Found[]): string[] {
  const names = found.filter(({ kind, at }) => kind === 'trigger' || (kind === 'rule' && at === 'also'))
  return [...new Set(names.map(({ name }) => name))]
}

/** Returns why this table would not store rows as given, with the statements that fix it; null if it does. */
export function brokenBy(schema: string, table: TableMapping, { found }: Hindrances): TableBroken | null {
  const target = sql.tableName(schema, table)
  const reasons: string[] = []
  const statements: string[] = []
  for (const each of found) {
    const said = REASONS[each.kind]?.({ found: each, target, table })
    if (!said) continue
    reasons.push(said[0])
    statements.push(said[1])
  }
  if (reasons.length === 0) return null
  return new TableBroken(table.source.name, `the target does not keep what it is given: ${reasons.join('; ')}`, {
    remedy: `${statements.join('; ')}; then ${copyAgain(table)}`,
  })
}

interface Said {
  readonly found: Found
  readonly target: string
  readonly table: TableMapping
}

type Reason = (said: Said) => readonly [reason: string, statement: string] | null

const RELATIONS: Readonly<Record<string, readonly [what: string, altered: string]>> = {
  v: ['a view', 'VIEW'],
  m: ['a materialised view', 'MATERIALIZED VIEW'],
  f: ['a foreign table', 'FOREIGN TABLE'],
  S: ['a sequence', 'SEQUENCE'],
  c: ['a type', 'TYPE'],
}

/** Foreign key actions are not among the reasons: such a foreign key is suspended. */
const REASONS: Readonly<Partial<Record<Kind, Reason>>> = {
  relation: ({ found, target }) => {
    const [what, altered] = RELATIONS[found.at] ?? ['no table', 'INDEX']
    return [`it is ${what}`, `ALTER ${altered} ${target} RENAME TO ${sql.name(sql.shortName(`${found.name}_old`))}`]
  },
  // The owner can create triggers at any time, which would run with our rights, and can read the rows.
  owner: ({ found }) => [
    `${found.at} belongs to ${found.name}, who could run anything with the rights of this account and read its rows`,
    `ALTER TABLE ${found.at} OWNER TO CURRENT_USER`,
  ],
  rule: ({ found, target }) =>
    found.at === 'also'
      ? null
      : [`its rule ${sql.name(found.name)} replaces writes`, `DROP RULE ${sql.name(found.name)} ON ${target}`],
  policy: ({ found, target }) => [
    `its row-level security hides rows from this account${found.at === '' ? '' : ` (policy ${found.at})`}`,
    `ALTER TABLE ${target} ${found.name === 'FORCE' ? 'NO FORCE' : 'DISABLE'} ROW LEVEL SECURITY`,
  ],
  child: ({ found, target }) => [
    `table ${found.at} inherits from it, so that its rows count as rows of both`,
    `ALTER TABLE ${found.at} NO INHERIT ${target}`,
  ],
  partition: ({ found, target }) => [
    `its partition ${found.at} is on another server`,
    `ALTER TABLE ${target} DETACH PARTITION ${found.at}`,
  ],
  unlogged: ({ found }) => [`${found.at} is UNLOGGED and empty after a crash`, `ALTER TABLE ${found.at} SET LOGGED`],
  collation: ({ found, target, table }) =>
    table.key?.columns.some(({ column }) => column.name === found.name)
      ? [
          `the collation of its key column ${sql.name(found.name)} treats different texts as equal`,
          `ALTER TABLE ${target} ALTER COLUMN ${sql.name(found.name)} TYPE ${found.at} COLLATE "C"`,
        ]
      : null,
}

interface Triggered {
  readonly table: TableMapping
  readonly hindrances: Hindrances
}

/** The error of a table that does not store rows as given. */
export function alteredByTriggers(schema: string, table: TableMapping, hindrances: Hindrances): TableBroken {
  const by = hindrances.triggers.length === 0 ? '' : `: ${named(hindrances)} changed or dropped a row`
  return new TableBroken(table.source.name, `the target does not keep what it is given${by}`, {
    remedy: without(schema, { table, hindrances }),
  })
}

/** The error of a table whose triggers write into `other`, which is carried too and would differ from the source. */
export function writesBeside(schema: string, triggered: Triggered & { readonly other: string }): TableBroken {
  const { table, hindrances, other } = triggered
  return new TableBroken(
    table.source.name,
    `${named(hindrances)} in the target changed rows of table ${other}, which the source alone may change`,
    { remedy: without(schema, triggered) },
  )
}

/** `meaning` with the triggers that may be its cause. */
export function refusedByTriggers(schema: string, refused: Triggered & { readonly meaning: TableBroken }): TableBroken {
  const { hindrances, meaning, table } = refused
  if (hindrances.triggers.length === 0) return meaning
  return new TableBroken(table.source.name, `${meaning.reason}; the target has ${named(hindrances)}`, {
    remedy: without(schema, refused),
    cause: meaning.cause,
  })
}

function named({ triggers }: Hindrances): string {
  return `${triggers.length === 1 ? 'trigger' : 'triggers'} ${triggers.map(sql.name).join(', ')}`
}

function without(schema: string, { table, hindrances: { found } }: Triggered): string {
  const target = sql.tableName(schema, table)
  const statements = found.flatMap(({ kind, name, at }) => {
    if (kind === 'trigger') return [`ALTER TABLE ${at} DISABLE TRIGGER ${sql.name(name)}`]
    return kind === 'rule' && at === 'also' ? [`DROP RULE ${sql.name(name)} ON ${target}`] : []
  })
  return [...statements, `then ${copyAgain(table)}`].join('; ')
}

export function hasMoreTriggers(now: Hindrances, known: Hindrances | undefined): boolean {
  return now.triggers.some((name) => !known?.triggers.includes(name))
}

/** The error of a table with triggers found late. They are known from now on, so the retry compares its rows. */
export function triggersFound({ source }: TableMapping, cause?: unknown): SyncError {
  return new SyncError('generation-changed', `table ${source.name} has triggers in the target that were unknown`, {
    cause,
  })
}

/** A foreign key whose action changes rows of this table. */
export function actingForeignKey({ found }: Hindrances): string | null {
  return found.find(({ kind }) => kind === 'action')?.name ?? null
}

/** The hindrances that a person needs to know, per table. */
export function tableHindrances(
  schema: string,
  tables: readonly TableMapping[],
  looked: ReadonlyMap<string, Hindrances>,
): TableHindrance[] {
  return tables.flatMap((table) => {
    const hindrances = looked.get(table.name)
    if (hindrances === undefined) return []
    const broken = brokenBy(schema, table, hindrances)
    return broken === null && hindrances.triggers.length === 0
      ? []
      : [{ table: table.source.name, broken, triggers: hindrances.triggers }]
  })
}
