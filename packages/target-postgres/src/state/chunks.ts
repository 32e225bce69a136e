import type { Chunk, ChunkStore, RowKey } from '@mylab-sync/core'
import type { StateSql } from './state-sql.js'

/** `sync_chunk`: the key ranges of tables that are being copied. */
export class Chunks implements ChunkStore {
  readonly #sql: StateSql

  constructor(sql: StateSql) {
    this.#sql = sql
  }

  async add(table: string, lower: RowKey | null, bounds: readonly (RowKey | null)[]): Promise<void> {
    await this.#sql.rows(
      `INSERT INTO sync_chunk (table_name, chunk_no, lower_key, upper_key)
       SELECT $1, (SELECT coalesce(max(chunk_no), 0) FROM sync_chunk WHERE table_name = $1) + place, lower, upper
       FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u(lower, upper, place)`,
      [table, [lower, ...bounds.slice(0, -1)], bounds],
    )
  }

  async take(tables: readonly string[], only?: number): Promise<Chunk | null> {
    const rows = await this.#sql.rows<{
      table_name: string
      chunk_no: number
      lower_key: string | null
      upper_key: string | null
      in_place: boolean
      generation: string | null
    }>(
      `SELECT c.table_name, c.chunk_no, c.lower_key, c.upper_key, p.in_place, p.generation FROM sync_chunk c JOIN sync_progress p USING (table_name)
       WHERE c.state = 'open' AND p.state = 'copying' AND c.table_name = ANY($1) AND ($2::int IS NULL OR c.chunk_no = $2) ORDER BY c.chunk_no, c.table_name LIMIT 1 FOR UPDATE OF c SKIP LOCKED`,
      [tables, only ?? null],
    )
    const [row] = rows
    if (!row) return null
    const { table_name: table, chunk_no: number, lower_key: lower, upper_key: upper, in_place: inPlace } = row
    return { table, number, lower, upper, inPlace, generation: row.generation }
  }

  async done(chunk: Chunk, rows: number, failed: number): Promise<void> {
    await this.#sql.rows(
      "UPDATE sync_chunk SET state = 'done', rows = $3, failed = $4, done_at = now() WHERE table_name = $1 AND chunk_no = $2",
      [chunk.table, chunk.number, rows, failed],
    )
    await this.#sql.rows(
      'UPDATE sync_progress SET rows_synced = rows_synced + $2, rows_failed = rows_failed + $3, updated_at = now() WHERE table_name = $1',
      [chunk.table, rows, failed],
    )
  }

  async countPending(table: string): Promise<number> {
    const [row] = await this.#sql.rows<{ n: number }>(
      "SELECT count(*)::int AS n FROM sync_chunk WHERE table_name = $1 AND state = 'open'",
      [table],
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

  async forgetCopy(table: string): Promise<void> {
    await this.#sql.rows('DELETE FROM sync_chunk WHERE table_name = $1', [table])
    await this.#sql.rows('DELETE FROM sync_parked WHERE table_name = $1', [table])
    await this.#sql.rows('DELETE FROM sync_quarantined_reference WHERE table_name = $1', [table])
    await this.#sql.rows('DELETE FROM sync_parked_parent WHERE child_table = $1', [table])
    // Last: once a chunk's row can be deleted, a chunk that completes now has left its watermark.
    await this.#sql.rows('DELETE FROM sync_copy_mark WHERE table_name = $1', [table])
  }
}
