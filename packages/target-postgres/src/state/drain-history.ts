import type { DrainHistory, DrainRange, KeptDrain, KeptPage, KeptPlace, LastDrain, RowKey } from '@mylab-sync/core'
import { targetError } from '../errors.js'
import { indexedKey, iso, ROWS_PER_STATEMENT, type StateSql } from './state-sql.js'

const KEPT_DRAINS = 200
const KEPT_KEYS = 1_000_000

/** `sync_drain` and the tokens and keys of the latest drains, and `sync_copy_mark`. */
export class History implements DrainHistory {
  readonly #sql: StateSql

  constructor(sql: StateSql) {
    this.#sql = sql
  }

  async last(): Promise<LastDrain> {
    const [row] = await this.#sql.rows<
      { number: number; token: string } & Record<'as_of' | 'source_identity', string | null>
    >(
      `SELECT number::float8 AS number, token, to_char(consistent_as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS as_of, source_identity
       FROM sync_drain JOIN sync_drain_token ON drain_no = number`,
    )
    if (!row)
      throw targetError('not-migrated', 'rows of sync_drain or sync_drain_token were deleted', {
        remedy: 'mylab-sync migrate restores them; then everything is read again',
      })
    const { number, token, as_of: consistentAsOf, source_identity: identity } = row
    return { number, token, consistentAsOf, identity }
  }

  async kept(): Promise<KeptDrain[]> {
    return await this.#sql.rows<{ number: number; token: string; recordedAt: string }>(
      `SELECT drain_no::float8 AS number, token, ${iso('recorded_at')} AS "recordedAt" FROM sync_drain_token WHERE drain_no <= (SELECT number FROM sync_drain) ORDER BY drain_no`,
    )
  }

  async record(drain: Parameters<DrainHistory['record']>[0]): Promise<void> {
    // The newest drain's keys are always kept: they are the most likely to be needed.
    const [kept] = await this.#sql.rows<{ before: string; now: string }>(
      `WITH sized AS (SELECT drain_no, sum(keys) OVER (ORDER BY drain_no DESC) AS total FROM sync_drain_size),
       named AS (INSERT INTO sync_drain_token (drain_no, token) VALUES ($1, $4))
       UPDATE sync_drain d SET number = $1, consistent_as_of = $2, source_identity = $3, committed_at = now(),
       keys_from = greatest(d.keys_from, least($1::bigint - ${KEPT_DRAINS - 1}, (SELECT kept_drain + 1 FROM sync_cutover WHERE phase = 'following')), (SELECT max(drain_no) + 1 FROM sized WHERE total > ${KEPT_KEYS} AND drain_no < $1))
       FROM (SELECT keys_from FROM sync_drain) b RETURNING b.keys_from::text AS before, d.keys_from::text AS now`,
      [drain.number, drain.consistentAsOf, drain.identity, drain.token],
    )
    if (kept === undefined || kept.before === kept.now) return
    // Both bounds as values: for a comparison with a subquery the planner expects a third of the rows, and reads a million to find none.
    for (const table of ['sync_drain_key', 'sync_drain_size'])
      await this.#sql.rows(`DELETE FROM ${table} WHERE drain_no >= $1 AND drain_no < $2`, [kept.before, kept.now])
    // Keeps the last one before them too: a source may be at exactly that drain, with no later key missing.
    await this.#sql.rows(
      'DELETE FROM sync_drain_token WHERE drain_no < (SELECT max(drain_no) FROM sync_drain_token WHERE drain_no < (SELECT keys_from FROM sync_drain))',
    )
    await this.#sql.rows(
      `DELETE FROM sync_copy_mark m USING sync_progress p
       WHERE p.table_name = m.table_name AND p.state IN ('live', 'recopied') AND p.opened_drain < (SELECT keys_from FROM sync_drain)`,
    )
  }

  async recordKeys(drain: number, keys: readonly { table: string; key: RowKey; start: boolean }[]): Promise<void> {
    if (keys.length === 0) return
    const statements: Promise<unknown>[] = []
    for (let at = 0; at < keys.length; at += ROWS_PER_STATEMENT) {
      const part = keys.slice(at, at + ROWS_PER_STATEMENT)
      statements.push(
        this.#sql.rows(
          `INSERT INTO sync_drain_key AS d (drain_no, table_name, row_key, is_start) SELECT $1, t, k, s FROM unnest($2::text[], $3::text[], $4::boolean[]) AS u(t, k, s)
           ON CONFLICT (drain_no, table_name, ${indexedKey('row_key')}) DO UPDATE SET is_start = TRUE WHERE NOT d.is_start AND EXCLUDED.is_start`,
          [drain, part.map((k) => k.table), part.map((k) => k.key), part.map((k) => k.start)],
        ),
      )
    }
    statements.push(
      this.#sql.rows(
        'INSERT INTO sync_drain_size AS s (drain_no, keys) VALUES ($1, $2) ON CONFLICT (drain_no) DO UPDATE SET keys = s.keys + EXCLUDED.keys',
        [drain, keys.length],
      ),
    )
    await Promise.all(statements)
  }

  async recordedKeys(
    { first, last }: DrainRange,
    table: string,
    keys: readonly RowKey[],
  ): Promise<ReadonlySet<RowKey>> {
    const rows = await this.#sql.rows<{ row_key: string }>(
      `SELECT row_key FROM sync_drain_key WHERE drain_no BETWEEN $1 AND $4 AND table_name = $2 AND ${indexedKey('row_key')} = ANY (ARRAY(SELECT ${indexedKey('k')} FROM unnest($3::text[]) AS u(k)))`,
      [first, table, keys, last],
    )
    return new Set(rows.map((row) => row.row_key))
  }

  async allKeys({ first, last }: DrainRange, table: string, limit: number): Promise<readonly RowKey[] | null> {
    const rows = await this.#sql.rows<{ row_key: string }>(
      'SELECT DISTINCT row_key FROM sync_drain_key WHERE drain_no BETWEEN $1 AND $2 AND table_name = $3 LIMIT $4',
      [first, last, table, limit + 1],
    )
    return rows.length > limit ? null : rows.map((row) => row.row_key)
  }

  async keysAfter(place: KeptPlace, limit: number): Promise<KeptPage> {
    const rows = await this.#sql.rows<{ drain: number; table: string; key: RowKey; indexed: string }>(
      `SELECT drain_no::float8 AS drain, table_name AS table, row_key AS key, ${indexedKey('row_key')} AS indexed FROM sync_drain_key
       WHERE (drain_no, table_name, ${indexedKey('row_key')}) > ($1, $2, $3) ORDER BY 1, 2, 4 LIMIT $4`,
      [place.drain, place.table, place.indexed, limit],
    )
    const last = rows.at(-1)
    const next = last === undefined || rows.length < limit ? null : { ...last }
    return { keys: rows.map(({ drain, table, key }) => ({ drain, table, key })), next }
  }

  async keepsAfter(drain: number): Promise<boolean> {
    const [row] = await this.#sql.rows<{ keys_from: number }>('SELECT keys_from::float8 AS keys_from FROM sync_drain')
    return row !== undefined && drain + 1 >= row.keys_from
  }

  async parkAfter(drain: number, tables: readonly string[]): Promise<void> {
    await this.#sql.rows(
      `INSERT INTO sync_parked AS p (table_name, row_key, drain_no, reason, is_start)
       SELECT table_name, row_key, max(drain_no), 'closed', bool_or(is_start) FROM sync_drain_key WHERE drain_no > $1 AND table_name = ANY($2) GROUP BY 1, 2
       ON CONFLICT (table_name, ${indexedKey('row_key')}, drain_no, reason) DO UPDATE SET is_start = p.is_start OR EXCLUDED.is_start`,
      [drain, tables],
    )
  }

  async addWatermark(tables: readonly string[], token: string): Promise<void> {
    await this.#sql.rows(
      'INSERT INTO sync_copy_mark (table_name, token) SELECT t, $2 FROM unnest($1::text[]) AS u(t)',
      [tables, token],
    )
  }

  async watermarks(tables: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    if (tables.length === 0) return new Map()
    const rows = await this.#sql.rows<{ table_name: string; tokens: string[] }>(
      'SELECT table_name, array_agg(token) AS tokens FROM sync_copy_mark WHERE table_name = ANY($1) GROUP BY table_name',
      [tables],
    )
    return new Map(rows.map((row) => [row.table_name, row.tokens]))
  }
}
