import type { ReferentialAction, SourceForeignKey } from '@mylab-sync/core'
import type { Session, TextRow } from '../connection/session.js'
import * as sql from '../sql.js'

export type Grouped = ReadonlyMap<string, TextRow[]>

export function grouped(rows: readonly TextRow[], by = 0): Map<string, TextRow[]> {
  const groups = new Map<string, TextRow[]>()
  for (const row of rows) {
    const name = row[by] ?? ''
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [row])
    else group.push(row)
  }
  return groups
}

export function foreignKeys(
  columnRows: readonly TextRow[],
  actions: readonly TextRow[],
  database: string,
): SourceForeignKey[] {
  return [...grouped(columnRows, 1)].map(([name, group]) => {
    const rule = actions.find((entry) => entry[1] === name)
    const parentDatabase = group[0]?.[3] ?? database
    return {
      name,
      columns: group.map((entry) => entry[2] ?? ''),
      parentDatabase: parentDatabase === database ? null : parentDatabase,
      parent: group[0]?.[4] ?? '',
      parentColumns: group.map((entry) => entry[5] ?? ''),
      onDelete: action(rule?.[2]),
      onUpdate: action(rule?.[3]),
    }
  })
}

/**
 * Rows that REFERENTIAL_CONSTRAINTS hides from an account with only SELECT, read from SHOW CREATE TABLE. Such an account sees
 * a key's columns but not its actions, so a CASCADE would count as no action.
 */
export async function hiddenActions(
  session: Session,
  database: string,
  seen: { readonly keyColumns: readonly TextRow[]; readonly actions: readonly TextRow[] },
): Promise<TextRow[]> {
  const known = new Set(seen.actions.map(([table, key]) => JSON.stringify([table, key])))
  const hidden = seen.keyColumns.filter(([table, key]) => !known.has(JSON.stringify([table, key])))
  const found: TextRow[] = []
  for (const [table, keys] of grouped(hidden)) {
    const [row] = await session.rows(`SHOW CREATE TABLE ${sql.name(database)}.${sql.name(table)}`)
    const names = [...grouped(keys, 1).keys()]
    found.push(...actionsIn(row?.[1] ?? '', names).map((actions) => [table, ...actions]))
  }
  return found
}

const TAIL =
  /\)(?: ON DELETE (CASCADE|SET NULL|SET DEFAULT|NO ACTION))?(?: ON UPDATE (CASCADE|SET NULL|SET DEFAULT|NO ACTION))?,?$/

/**
 * Name, ON DELETE and ON UPDATE action of these foreign keys, from a CREATE TABLE statement as servers print it. Lines are
 * found by name, in which MariaDB up to 10.11.18 does not double backticks.
 */
export function actionsIn(
  statement: string,
  names: readonly string[],
): [name: string, onDelete: string, onUpdate: string][] {
  const lines = statement.split('\n').map((line) => line.trimStart())
  return names.map((name) => {
    const starts = [sql.name(name), `\`${name}\``, name].map((printed) => `CONSTRAINT ${printed} FOREIGN KEY `)
    const line = lines.find((each) => starts.some((start) => each.startsWith(start))) ?? ''
    const [, onDelete = 'RESTRICT', onUpdate = 'RESTRICT'] = TAIL.exec(line) ?? []
    return [name, onDelete, onUpdate]
  })
}

const ACTIONS: ReadonlySet<string> = new Set(['CASCADE', 'SET NULL', 'SET DEFAULT', 'RESTRICT'])

function isAction(rule: string): rule is ReferentialAction {
  return ACTIONS.has(rule)
}

function action(rule: string | null | undefined): ReferentialAction {
  return typeof rule === 'string' && isAction(rule) ? rule : 'NO ACTION'
}
