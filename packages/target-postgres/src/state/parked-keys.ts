import type { ParkedKey, ParkedKeys, ParkedParent, RowKey, TableState } from '@mylab-sync/core'
import { indexedKey, ROWS_PER_STATEMENT, type StateSql } from './state-sql.js'

/**
 * One look-up per key; OFFSET 0 keeps the planner from reversing it. The table fills and empties within minutes and its
 * statistics lag: EXPLAIN shows plans of a plain join that compare every row with every key, and one such statement ran for
 * eight minutes, over 12,000 keys of 300,000, while no drain could run.
 */
const UNPARK = `
  DELETE FROM sync_parked WHERE ctid = ANY (ARRAY(
    SELECT found.row FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u(t, k, d), LATERAL (
      SELECT p.ctid AS row FROM sync_parked p
      WHERE p.table_name = u.t AND ${indexedKey('p.row_key')} = ${indexedKey('u.k')} AND p.drain_no = u.d AND p.reason = 'closed' AND p.row_key = u.k OFFSET 0) AS found))`

/** `sync_parked` without its quarantined rows, and `sync_parked_parent`. */
export class Parked implements ParkedKeys {
  readonly #sql: StateSql

  constructor(sql: StateSql) {
    this.#sql = sql
  }

  async park(keys: readonly ParkedKey[]): Promise<void> {
    for (let at = 0; at < keys.length; at += ROWS_PER_STATEMENT) {
      const part = keys.slice(at, at + ROWS_PER_STATEMENT)
      await this.#sql.rows(
        `INSERT INTO sync_parked AS p (table_name, row_key, drain_no, reason, is_start)
         SELECT t, k, d, 'closed', bool_or(s) FROM unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[]) AS u(t, k, d, s) GROUP BY t, k, d
         ON CONFLICT (table_name, ${indexedKey('row_key')}, drain_no, reason) DO UPDATE SET is_start = p.is_start OR EXCLUDED.is_start`,
        [part.map((k) => k.table), part.map((k) => k.key), part.map((k) => k.drain), part.map((k) => k.start)],
      )
    }
  }

  async read(tables: readonly string[], limit: number): Promise<ParkedKey[]> {
    const rows = await this.#sql.rows<{ table_name: string; row_key: string; drain_no: number; is_start: boolean }>(
      "SELECT table_name, row_key, drain_no::float8 AS drain_no, is_start FROM sync_parked WHERE reason = 'closed' AND table_name = ANY($1) LIMIT $2",
      [tables, limit],
    )
    return rows.map((row) => ({ table: row.table_name, key: row.row_key, drain: row.drain_no, start: row.is_start }))
  }

  async among(table: string, keys: readonly RowKey[]): Promise<ReadonlySet<RowKey>> {
    const rows = await this.#sql.rows<{ row_key: string }>(
      `SELECT row_key FROM sync_parked WHERE reason = 'closed' AND table_name = $1 AND ${indexedKey('row_key')} = ANY (ARRAY(SELECT ${indexedKey('k')} FROM unnest($2::text[]) AS u(k)))`,
      [table, keys],
    )
    return new Set(rows.map((row) => row.row_key))
  }

  async counts(tables?: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#sql.rows<{ table_name: string; n: number }>(
      "SELECT table_name, count(*)::int AS n FROM sync_parked WHERE reason = 'closed' AND ($1::text[] IS NULL OR table_name = ANY($1)) GROUP BY 1",
      [tables ?? null],
    )
    return new Map(rows.map((row) => [row.table_name, row.n]))
  }

  async isAnyOf(states: readonly TableState[]): Promise<boolean> {
    const [row] = await this.#sql.rows<{ some: boolean }>(
      `SELECT EXISTS (SELECT FROM sync_progress t WHERE t.state = ANY($1) AND EXISTS (
         SELECT FROM sync_parked p WHERE p.table_name = t.table_name AND p.reason = 'closed' OFFSET 0)) AS some`,
      [states],
    )
    return row?.some ?? false
  }

  async remove(keys: readonly ParkedKey[]): Promise<void> {
    for (let at = 0; at < keys.length; at += ROWS_PER_STATEMENT) {
      const part = keys.slice(at, at + ROWS_PER_STATEMENT)
      await this.#sql.rows(UNPARK, [part.map((k) => k.table), part.map((k) => k.key), part.map((k) => k.drain)])
    }
  }

  async parkParents(parents: readonly ParkedParent[]): Promise<void> {
    for (let at = 0; at < parents.length; at += ROWS_PER_STATEMENT) {
      const part = parents.slice(at, at + ROWS_PER_STATEMENT)
      await this.#sql.rows(
        `INSERT INTO sync_parked_parent AS p (child_table, edge, tokens, tokens_id, drain_no)
         SELECT t, e, v, ${indexedKey("array_to_string(v, ',')")}, max(d)
         FROM (SELECT x ->> 0 AS t, x ->> 1 AS e, array(SELECT jsonb_array_elements_text(x -> 2)) AS v, (x ->> 3)::bigint AS d FROM jsonb_array_elements($1::jsonb) AS x) AS u GROUP BY 1, 2, 3
         ON CONFLICT (child_table, edge, tokens_id) DO UPDATE SET drain_no = greatest(p.drain_no, EXCLUDED.drain_no)`,
        [JSON.stringify(part.map(({ child, edge, tokens, drain }) => [child, edge, tokens, drain]))],
      )
    }
  }

  async readParents(children: readonly string[]): Promise<ParkedParent[]> {
    const rows = await this.#sql.rows<{ child_table: string; edge: string; tokens: string[]; drain_no: number }>(
      'SELECT child_table, edge, tokens, drain_no::float8 AS drain_no FROM sync_parked_parent WHERE child_table = ANY($1)',
      [children],
    )
    return rows.map((row) => ({ child: row.child_table, edge: row.edge, tokens: row.tokens, drain: row.drain_no }))
  }

  async removeParents(children: readonly string[]): Promise<void> {
    await this.#sql.rows('DELETE FROM sync_parked_parent WHERE child_table = ANY($1)', [children])
  }
}
