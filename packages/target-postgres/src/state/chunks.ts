import type { Chunk, ChunkStore, CopiedRows, PlannedChunks } from '@mylab-sync/core'
import type { StateSql } from './state-sql.js'

/** `sync_chunk`: the key ranges of tables that are being copied. */
export class Chunks implements ChunkStore {
  readonly #sql: StateSql

  constructor(sql: StateSql) {
    this.#sql = sql
  }

  async add(planned: readonly PlannedChunks[]): Promise<void> {
    const rows = planned.flatMap(({ table, lower, bounds }) =>
      bounds.map((upper, at) => ({ table, at: at + 1, lower: at === 0 ? lower : (bounds[at - 1] ?? null), upper })),
    )
    await this.#sql.rows(
      `INSERT INTO sync_chunk (table_name, chunk_no, lower_key, upper_key)
       SELECT t, (SELECT coalesce(max(chunk_no), 0) FROM sync_chunk WHERE table_name = t) + place, lower, upper
       FROM unnest($1::text[], $2::int[], $3::text[], $4::text[]) AS u(t, place, lower, upper)`,
      [
        rows.map(({ table }) => table),
        rows.map(({ at }) => at),
        rows.map(({ lower }) => lower),
        rows.map(({ upper }) => upper),
      ],
    )
  }

  async take(tables: readonly string[], only?: number): Promise<Chunk | null> {
    const [row] = await this.#sql.rows<ChunkRow>(
      `SELECT ${CHUNK} FROM ${OPEN_CHUNKS} AND ($2::int IS NULL OR c.chunk_no = $2) ORDER BY c.chunk_no, c.table_name LIMIT 1 FOR UPDATE OF c SKIP LOCKED`,
      [tables, only ?? null],
    )
    return row ? chunkOf(row) : null
  }

  async takeWhole(
    tables: readonly string[],
    { least, most }: { readonly least: number; readonly most: number },
  ): Promise<Chunk[] | null> {
    const rows = await this.#sql.rows<ChunkRow>(
      `SELECT ${CHUNK} FROM ${OPEN_CHUNKS} AND c.lower_key IS NULL AND c.upper_key IS NULL AND NOT p.in_place
       ORDER BY c.table_name LIMIT $2 FOR UPDATE OF c SKIP LOCKED`,
      [tables, most],
    )
    return rows.length < least ? null : rows.map(chunkOf)
  }

  async done(copied: readonly CopiedRows[]): Promise<void> {
    await this.#sql.rows(
      `WITH u AS (SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS u(t, no, rows, failed)),
         p AS (UPDATE sync_progress p SET rows_synced = rows_synced + u.rows, rows_failed = rows_failed + u.failed, updated_at = now() FROM u WHERE p.table_name = u.t)
       UPDATE sync_chunk c SET state = 'done', rows = u.rows, failed = u.failed, done_at = now() FROM u WHERE c.table_name = u.t AND c.chunk_no = u.no`,
      [
        copied.map(({ chunk }) => chunk.table),
        copied.map(({ chunk }) => chunk.number),
        copied.map(({ rows }) => rows),
        copied.map(({ failed }) => failed),
      ],
    )
  }

  async countPending(tables: readonly string[]): Promise<number> {
    const [row] = await this.#sql.rows<{ n: number }>(
      "SELECT count(*)::int AS n FROM sync_chunk WHERE table_name = ANY($1) AND state = 'open'",
      [tables],
    )
    return row?.n ?? 0
  }

  async pending(tables: readonly string[], perTable: number): Promise<{ table: string; chunk: number }[]> {
    const rows = await this.#sql.rows<{ table_name: string; chunk_no: number }>(
      `SELECT table_name, chunk_no FROM (
         SELECT table_name, chunk_no, row_number() OVER (PARTITION BY table_name ORDER BY chunk_no) AS place FROM sync_chunk WHERE state = 'open' AND table_name = ANY($1)
       ) c WHERE place <= $2 ORDER BY place, array_position($1::text[], table_name)`,
      [tables, perTable],
    )
    return rows.map((row) => ({ table: row.table_name, chunk: row.chunk_no }))
  }

  async gapped(tables: readonly string[]): Promise<string[]> {
    const rows = await this.#sql.rows<{ table_name: string }>(
      `SELECT t AS table_name FROM unnest($1::text[]) AS u(t) WHERE NOT coalesce((
         SELECT bool_and(chunk_no = place AND lower_key IS NOT DISTINCT FROM before AND (upper_key IS NULL) = (place = total)) FROM (
           SELECT chunk_no, lower_key, upper_key, lag(upper_key) OVER (ORDER BY chunk_no) AS before,
             row_number() OVER (ORDER BY chunk_no) AS place, count(*) OVER () AS total FROM sync_chunk WHERE table_name = t
         ) c), false)`,
      [tables],
    )
    return rows.map((row) => row.table_name)
  }

  async forgetCopy(tables: readonly string[]): Promise<void> {
    await this.#sql.rows('DELETE FROM sync_chunk WHERE table_name = ANY($1)', [tables])
    await this.#sql.rows('DELETE FROM sync_parked WHERE table_name = ANY($1)', [tables])
    await this.#sql.rows('DELETE FROM sync_quarantined_reference WHERE table_name = ANY($1)', [tables])
    await this.#sql.rows('DELETE FROM sync_parked_parent WHERE child_table = ANY($1)', [tables])
    // Last: once a chunk's row can be deleted, a chunk that completes now has left its watermark.
    await this.#sql.rows('DELETE FROM sync_copy_mark WHERE table_name = ANY($1)', [tables])
  }
}

const CHUNK = 'c.table_name, c.chunk_no, c.lower_key, c.upper_key, p.in_place, p.generation'
const OPEN_CHUNKS =
  "sync_chunk c JOIN sync_progress p USING (table_name) WHERE c.state = 'open' AND p.state = 'copying' AND c.table_name = ANY($1)"

interface ChunkRow extends Record<string, unknown> {
  readonly table_name: string
  readonly chunk_no: number
  readonly lower_key: string | null
  readonly upper_key: string | null
  readonly in_place: boolean
  readonly generation: string | null
}

function chunkOf(row: ChunkRow): Chunk {
  const { table_name: table, chunk_no: number, lower_key: lower, upper_key: upper, in_place: inPlace } = row
  return { table, number, lower, upper, inPlace, generation: row.generation }
}
