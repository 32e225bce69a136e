import { createHash } from 'node:crypto'
import type { ServerSet, TargetConnection } from '@mylab-sync/testkit'

type Admin = Awaited<ReturnType<ServerSet['sourceAdmin']>>
type Reader = Pick<TargetConnection, 'query'>

const ROWS = 50_000

/** Returns one digest over every row of a table with an integer key `id`. Both servers must print its values alike. */
export async function contentOf(side: Admin | Reader, table: string): Promise<string> {
  const hash = createHash('sha256')
  for (let after = -1, more = true; more; ) {
    const query = `SELECT * FROM ${table} WHERE id > ${after} ORDER BY id LIMIT ${ROWS}`
    const rows = await textRows(side, query)
    for (const row of rows) hash.update(`${JSON.stringify(row)}\n`)
    more = rows.length === ROWS
    after = Number(rows.at(-1)?.[0] ?? after)
  }
  return hash.digest('hex')
}

/** Rows of a query, as the text that both drivers return. */
export async function textRows(side: Admin | Reader, query: string): Promise<(string | null)[][]> {
  if ('execute' in side) {
    const [rows] = await side.query({ sql: query, rowsAsArray: true, typeCast: (field) => field.string() })
    return rows as unknown as (string | null)[][]
  }
  const types = { getTypeParser: () => (text: string) => text }
  return (await side.query({ text: query, rowMode: 'array', types })).rows as (string | null)[][]
}

/** Rows of a query in an order that both sides share, to compare them as multisets. */
export async function sortedRows(side: Admin | Reader, query: string): Promise<string[]> {
  return (await textRows(side, query)).map((row) => JSON.stringify(row)).sort()
}
