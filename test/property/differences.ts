import type { SourceSnapshot, TargetTransaction } from '@mylab-sync/core'
import { textsOf as sourceTexts } from '@mylab-sync/source-mysql/testing'
import { textsOf as targetTexts } from '@mylab-sync/target-postgres/testing'
import { COLUMNS, KEY_COLUMNS, TABLES } from './schema.js'

type Table = (typeof TABLES)[number]
type Row = readonly (string | null)[]

export interface Differing {
  readonly table: Table
  /** Of a table without a key all of its columns. */
  readonly key: Row
  readonly kind: 'missing' | 'surplus' | 'different'
  readonly columns: readonly string[]
}

/** Every row that differs between the snapshot and these tables of the target, by SQL of its own. */
export async function differencesOf(
  snapshot: SourceSnapshot,
  target: TargetTransaction,
  live: ReadonlySet<string>,
): Promise<Differing[]> {
  const found: Differing[] = []
  for (const table of TABLES) {
    if (!live.has(table)) continue
    const columns = COLUMNS[table]
    const mine = await sourceTexts(snapshot, `SELECT ${columns.map((c) => `\`${c}\``).join(', ')} FROM \`${table}\``)
    const theirs = await targetTexts(
      target,
      `SELECT ${columns.map((c) => `"${c}"::text`).join(', ')} FROM public."${table}"`,
    )
    found.push(...(KEY_COLUMNS[table] === 0 ? differingRows(table, mine, theirs) : differingKeys(table, mine, theirs)))
  }
  return found
}

/** Null if nothing differs. */
export async function firstDifference(...sides: Parameters<typeof differencesOf>): Promise<string | null> {
  const [first] = await differencesOf(...sides)
  return first === undefined ? null : nameOf(first)
}

export function nameOf({ table, key, kind, columns }: Differing): string {
  return `${table} ${JSON.stringify(key)} ${kind} ${columns.join()}`
}

function differingKeys(table: Table, mine: readonly Row[], theirs: readonly Row[]): Differing[] {
  const found: Differing[] = []
  const keyOf = (row: Row): Row => row.slice(0, KEY_COLUMNS[table])
  const left = new Map(theirs.map((row) => [JSON.stringify(keyOf(row)), row]))
  for (const row of mine) {
    const key = keyOf(row)
    const held = left.get(JSON.stringify(key))
    left.delete(JSON.stringify(key))
    const columns = COLUMNS[table].filter((_, at) => row[at] !== held?.[at])
    if (held === undefined) found.push({ table, key, kind: 'missing', columns: [] })
    else if (columns.length > 0) found.push({ table, key, kind: 'different', columns })
  }
  for (const row of left.values()) found.push({ table, key: keyOf(row), kind: 'surplus', columns: [] })
  return found
}

function differingRows(table: Table, mine: readonly Row[], theirs: readonly Row[]): Differing[] {
  const counts = new Map<string, number>()
  const add = (row: Row, by: number): unknown =>
    counts.set(JSON.stringify(row), (counts.get(JSON.stringify(row)) ?? 0) + by)
  for (const row of mine) add(row, 1)
  for (const row of theirs) add(row, -1)
  return [...counts].flatMap(([row, n]) =>
    Array.from({ length: Math.abs(n) }, (): Differing => {
      return { table, key: JSON.parse(row) as Row, kind: n > 0 ? 'missing' : 'surplus', columns: [] }
    }),
  )
}
