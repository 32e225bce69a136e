import type { IndexPlan, TableMapping, TargetRow, UniqueHolder } from '@mylab-sync/core'
import type { Session } from '../connection/database.js'
import * as sql from '../sql.js'
import { columnArrays, keyOfTexts } from './statements.js'

type Unique = Pick<IndexPlan, 'name' | 'parts'>

/** A batch that violated a UNIQUE, and the name of that UNIQUE. */
export interface Conflict {
  readonly table: TableMapping
  readonly rows: readonly TargetRow[]
  readonly violated: string
}

/** Finds other rows of the target that hold one of these rows' values in a UNIQUE that cannot be deferred. */
export async function holders(
  session: Session,
  schema: string,
  conflict: Conflict,
  uniques: readonly IndexPlan[],
): Promise<UniqueHolder[]> {
  const { table, rows, violated } = conflict
  const key = table.key
  if (!key) return []
  const target = sql.tableName(schema, table)
  // In a suspended UNIQUE equal values are no conflict.
  const standing = await uniqueNames(session, target)
  const all: Unique[] = uniques.filter(({ name }) => standing.has(name))
  // A UNIQUE that is not planned: one of the user's.
  if (!all.some((unique) => unique.name === violated)) all.push(await indexByName(session, target, violated))
  const found: UniqueHolder[] = []
  for (const unique of all.filter(({ parts }) => parts.length > 0)) {
    const { text, columns } = holderQuery(target, table, unique)
    const arrays = columnArrays(rows, columns)
    for (const row of await session.rows<Record<string, string>>(text, arrays)) {
      const texts = key.columns.map((_, at) => row[`k${at}`] ?? '')
      found.push({ key: keyOfTexts(key.columns, texts), unique: unique.name })
    }
  }
  return found
}

async function uniqueNames(session: Session, target: string): Promise<ReadonlySet<string>> {
  const rows = await session.rows<{ name: string }>(
    'SELECT c.relname AS name FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = $1::regclass AND x.indisunique',
    [target],
  )
  return new Set(rows.map((row) => row.name))
}

async function indexByName(session: Session, target: string, name: string): Promise<Unique> {
  const rows = await session.rows<{ part: string }>(
    `SELECT pg_get_indexdef(x.indexrelid, n::int, true) AS part FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid, generate_series(1, x.indnkeyatts) n
     WHERE x.indrelid = $1::regclass AND c.relname = $2 ORDER BY n`,
    [target, name],
  )
  return { name, parts: rows.map((row) => row.part) }
}

/** SQL that finds one UNIQUE's holders, and the positions of its parameter columns: only those that the key and the UNIQUE read. */
export function holderQuery(
  target: string,
  table: TableMapping,
  unique: Unique,
): { readonly text: string; readonly columns: readonly number[] } {
  const keyNames = sql.keyColumns(table.key?.columns ?? []).map((column) => sql.name(column.name))
  const expressions = unique.parts.map((part) => part.replace(/ (DESC|ASC)$/, ''))
  const read = (name: string): boolean =>
    keyNames.includes(sql.name(name)) ||
    expressions.some((expression) => expression.includes(name.replaceAll('"', '""')))
  const columns = [...table.columns.keys()].filter((at) => read(table.columns[at]?.name ?? ''))
  const typed = columns.map((at, place) => {
    const column = table.columns[at]
    return `u.c${place}::${column?.castType} AS ${sql.name(column?.name ?? '')}`
  })
  const fields = [
    ...expressions.map((expression, at) => `${expression} AS e${at}`),
    ...keyNames.map((name, at) => `${name} AS k${at}`),
  ].join(', ')
  const texts = keyNames.map((_, at) => `h.k${at}::text AS k${at}`).join(', ')
  const same = expressions.map((_, at) => `n.e${at} = h.e${at}`).join(' AND ')
  const differ = keyNames.map((_, at) => `n.k${at} IS DISTINCT FROM h.k${at}`).join(' OR ')
  const text = `SELECT DISTINCT ${texts} FROM (SELECT ${fields} FROM (SELECT ${typed.join(', ')} FROM ${sql.unnested(columns.length)}) r) n
     JOIN (SELECT ${fields} FROM ${target}) h ON ${same} WHERE ${differ}`
  return { text, columns }
}
