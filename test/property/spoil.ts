import type { Random, TargetConnection } from '@mylab-sync/testkit'
import { COLUMNS, KEY_COLUMNS, TABLES } from './schema.js'

type Table = (typeof TABLES)[number]

/** Greater than any number that writers use, so a spoilt row collides with no other. */
const FAR = 100_000
const REFUSED = /^(22|23|40)/

/** Changes, deletes or adds one row of the table in the target, as a person with all rights would; false if nothing was spoilt. */
export async function spoil(target: TargetConnection, r: Random, table: Table): Promise<boolean> {
  const columns = COLUMNS[table]
  const keys = columns.slice(0, KEY_COLUMNS[table])
  const others = columns.filter((column) => !keys.includes(column))
  const from = `public."${table}"`
  const some = `ctid = (SELECT ctid FROM ${from} ORDER BY random() LIMIT 1)`
  const far = `${FAR + r.int(1, FAR)}`
  const valueOf = (column: string): string => newValue(r, column, { far, isKey: keys.includes(column) })
  const set = (column: string): string => `UPDATE ${from} SET "${column}" = ${valueOf(column)} WHERE ${some}`
  const ways = [
    () => set(r.pick(others)),
    () => set(r.pick(others)),
    () => `DELETE FROM ${from} WHERE ${some}`,
    () => {
      const fresh = columns.map((column) => (isUnique(table, column) ? valueOf(column) : `"${column}"`))
      return `INSERT INTO ${from} (${columns.map((c) => `"${c}"`).join(', ')}) OVERRIDING SYSTEM VALUE SELECT ${fresh.join(', ')} FROM ${from} ORDER BY random() LIMIT 1`
    },
    () => set(r.pick(keys.length > 0 ? keys : columns)),
    () => swap(from, r.pick(others)),
  ]
  try {
    // No trigger runs and no foreign key is checked: such a change leaves no trace.
    await target.query('BEGIN; SET LOCAL session_replication_role = replica')
    const { rowCount } = await target.query(r.pick(ways)())
    await target.query('COMMIT')
    return (rowCount ?? 0) > 0
  } catch (error) {
    await target.query('ROLLBACK')
    if (!REFUSED.test((error as { code?: string }).code ?? '')) throw error
    return false
  }
}

function isUnique(table: Table, column: string): boolean {
  return COLUMNS[table].indexOf(column) < KEY_COLUMNS[table] || (table === 'p' && column !== 'v') || column === 'w'
}

const TEXTS = ['code', 'k', 'w']

function newValue(
  r: Random,
  column: string,
  { far, isKey }: { readonly far: string; readonly isKey: boolean },
): string {
  const name = `"${column}"`
  if (TEXTS.includes(column))
    return r.pick([
      `${name} || ' '`,
      `upper(${name})`,
      `translate(${name}, 'aA', 'áa')`,
      `'x${far}'`,
      isKey || column === 'w' ? `${name} || 'x'` : `CASE WHEN ${name} IS NULL THEN '' END`,
    ])
  return r.pick([far, far, `${name} + 1`, column === 'v' ? `CASE WHEN ${name} IS NULL THEN 0 END` : far])
}

function swap(from: string, column: string): string {
  return `WITH two AS (SELECT ctid AS at, "${column}" AS v, row_number() OVER () AS n FROM (SELECT ctid, "${column}" FROM ${from} ORDER BY random() LIMIT 2) s)
    UPDATE ${from} t SET "${column}" = other.v FROM two own, two other WHERE t.ctid = own.at AND own.n <> other.n`
}
