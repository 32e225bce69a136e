import {
  type Chunk,
  type DrainName,
  type ParkedKey,
  type RowKey,
  type SanitisedCount,
  SyncError,
  type TableProgress,
  type TableState,
  type TargetTransaction,
} from '@mylab-sync/core'
import { QuarantineState } from './quarantine.js'
import { indexedKey, ROWS_A_STATEMENT } from './state-sql.js'

const KEPT_DRAINS = 200
const KEPT_KEYS = 1_000_000

const PROGRESS_COLUMNS: Readonly<Record<keyof Omit<TableProgress, 'table'>, string>> = {
  state: 'state',
  rowsCopied: 'rows_synced',
  rowsFailed: 'rows_failed',
  estimatedRows: 'estimated_rows',
  generation: 'generation',
  contentSign: 'content_sign',
  asked: 'asked',
  inPlace: 'in_place',
  planBound: 'plan_bound',
  planned: 'planned',
  chunkRows: 'chunk_rows',
  captured: 'captured',
  captureSign: 'capture_sign',
  copyNumber: 'copy_no',
  problem: 'problem',
  openedDrain: 'opened_drain',
  verifiedAt: 'verified_at',
}

const PROGRESS =
  'table_name, state, rows_synced::text, rows_failed::text, estimated_rows::text, generation, content_sign, asked, in_place, plan_bound, planned, chunk_rows, captured, capture_sign, copy_no, problem, opened_drain::text, verified_at::text'

/**
 * A look-up by key for each, which OFFSET 0 keeps the planner from turning round. This table fills and empties within
 * minutes, and its statistics lag: EXPLAIN shows plans of a plain join that compare every row with every key, and one
 * such statement was seen at work for eight minutes, over 12,000 keys of 300,000, while nobody else could drain.
 */
const UNPARK = `
  DELETE FROM sync_parked WHERE ctid = ANY (ARRAY(
    SELECT found.row FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u(t, k, d), LATERAL (
      SELECT p.ctid AS row FROM sync_parked p
      WHERE p.table_name = u.t AND ${indexedKey('p.row_key')} = ${indexedKey('u.k')} AND p.drain_no = u.d AND p.reason = 'closed' AND p.row_key = u.k OFFSET 0) AS found))`

interface ProgressRow extends Record<string, unknown> {
  readonly table_name: string
  readonly state: TableState
  readonly rows_synced: string
  readonly rows_failed: string
  readonly estimated_rows: string
  readonly generation: string | null
  readonly content_sign: string | null
  readonly asked: boolean
  readonly in_place: boolean
  readonly plan_bound: string | null
  readonly planned: boolean
  readonly chunk_rows: number | null
  readonly captured: boolean
  readonly capture_sign: string | null
  readonly copy_no: number
  readonly problem: string | null
  readonly opened_drain: string
  readonly verified_at: string | null
}

function progressOf(row: ProgressRow): TableProgress {
  return {
    table: row.table_name,
    state: row.state,
    rowsCopied: Number(row.rows_synced),
    rowsFailed: Number(row.rows_failed),
    estimatedRows: Number(row.estimated_rows),
    generation: row.generation,
    contentSign: row.content_sign,
    asked: row.asked,
    inPlace: row.in_place,
    planBound: row.plan_bound,
    planned: row.planned,
    chunkRows: row.chunk_rows,
    captured: row.captured,
    captureSign: row.capture_sign,
    copyNumber: row.copy_no,
    problem: row.problem,
    openedDrain: Number(row.opened_drain),
    verifiedAt: row.verified_at,
  }
}

/** Reads and writes of the state tables inside one transaction. */
export class State extends QuarantineState {
  async progress(): Promise<Map<string, TableProgress>> {
    const rows = await this.stateRows<ProgressRow>(`SELECT ${PROGRESS} FROM sync_progress ORDER BY table_name`)
    return new Map(rows.map((row) => [row.table_name, progressOf(row)]))
  }

  async unplanned(tables: readonly string[], limit: number): Promise<TableProgress[]> {
    const rows = await this.stateRows<ProgressRow>(
      `SELECT ${PROGRESS} FROM sync_progress WHERE state = 'copying' AND NOT planned AND table_name = ANY($1) ORDER BY table_name LIMIT $2`,
      [tables, limit],
    )
    return rows.map(progressOf)
  }

  async setProgress(table: string, change: Partial<Omit<TableProgress, 'table'>>): Promise<void> {
    const names = (Object.keys(change) as (keyof typeof change)[]).filter((key) => change[key] !== undefined)
    const columns = names.map((key) => PROGRESS_COLUMNS[key])
    const values = names.map((key) => change[key])
    const inserted = columns.includes('state') ? columns : [...columns, 'state']
    const places = inserted.map((column, at) => (at < columns.length ? `$${at + 2}` : `'discovered'`))
    await this.stateRows(
      `INSERT INTO sync_progress (table_name, ${inserted.join(', ')}) VALUES ($1, ${places.join(', ')})
       ON CONFLICT (table_name) DO UPDATE SET ${[...columns.map((column) => `${column} = EXCLUDED.${column}`), 'updated_at = now()'].join(', ')}`,
      [table, ...values],
    )
  }

  async adoptCaptureSign(table: string, sign: string): Promise<void> {
    await this.stateRows(
      'UPDATE sync_progress SET capture_sign = $2, updated_at = now() WHERE table_name = $1 AND capture_sign IS NULL',
      [table, sign],
    )
  }

  /** False when another transaction holds one of these rows. */
  async lockProgress(tables: readonly string[]): Promise<boolean> {
    const rows = await this.stateRows(
      'SELECT table_name FROM sync_progress WHERE table_name = ANY($1) ORDER BY table_name FOR UPDATE SKIP LOCKED',
      [tables],
    )
    return rows.length === new Set(tables).size
  }

  async addChunks(table: string, lower: RowKey | null, bounds: readonly (RowKey | null)[]): Promise<void> {
    await this.stateRows(
      `INSERT INTO sync_chunk (table_name, chunk_no, lower_key, upper_key)
       SELECT $1, (SELECT coalesce(max(chunk_no), 0) FROM sync_chunk WHERE table_name = $1) + place, lower, upper
       FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u(lower, upper, place)`,
      [table, [lower, ...bounds.slice(0, -1)], bounds],
    )
  }

  async takeChunk(tables: readonly string[], only?: number): Promise<Chunk | null> {
    const rows = await this.stateRows<{
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

  async chunkDone(chunk: Chunk, rows: number, failed: number): Promise<void> {
    await this.stateRows(
      "UPDATE sync_chunk SET state = 'done', rows = $3, failed = $4, done_at = now() WHERE table_name = $1 AND chunk_no = $2",
      [chunk.table, chunk.number, rows, failed],
    )
    await this.stateRows(
      'UPDATE sync_progress SET rows_synced = rows_synced + $2, rows_failed = rows_failed + $3, updated_at = now() WHERE table_name = $1',
      [chunk.table, rows, failed],
    )
  }

  async openChunks(table: string): Promise<number> {
    return this.#count("SELECT count(*)::int AS n FROM sync_chunk WHERE table_name = $1 AND state = 'open'", [table])
  }

  async gappedChunks(tables: readonly string[]): Promise<string[]> {
    const rows = await this.stateRows<{ table_name: string }>(
      `SELECT t AS table_name FROM unnest($1::text[]) AS u(t) WHERE NOT coalesce((
         SELECT bool_and(chunk_no = place AND lower_key IS NOT DISTINCT FROM before AND (upper_key IS NULL) = (place = total)) FROM (
           SELECT chunk_no, lower_key, upper_key, lag(upper_key) OVER (ORDER BY chunk_no) AS before,
             row_number() OVER (ORDER BY chunk_no) AS place, count(*) OVER () AS total FROM sync_chunk WHERE table_name = t
         ) c), false)`,
      [tables],
    )
    return rows.map((row) => row.table_name)
  }

  async openChunkNumbers(tables: readonly string[], perTable: number): Promise<{ table: string; chunk: number }[]> {
    const rows = await this.stateRows<{ table_name: string; chunk_no: number }>(
      `SELECT table_name, chunk_no FROM (
         SELECT table_name, chunk_no, row_number() OVER (PARTITION BY table_name ORDER BY chunk_no) AS place FROM sync_chunk WHERE state = 'open' AND table_name = ANY($1)
       ) c WHERE place <= $2 ORDER BY place, array_position($1::text[], table_name)`,
      [tables, perTable],
    )
    return rows.map((row) => ({ table: row.table_name, chunk: row.chunk_no }))
  }

  async forgetCopy(table: string): Promise<void> {
    await this.stateRows('DELETE FROM sync_chunk WHERE table_name = $1', [table])
    await this.stateRows('DELETE FROM sync_parked WHERE table_name = $1', [table])
    await this.stateRows('DELETE FROM sync_quarantined_reference WHERE table_name = $1', [table])
    await this.stateRows('DELETE FROM sync_parked_parent WHERE child_table = $1', [table])
    // Last: a chunk that is done now has left its mark by the time that its row can be deleted.
    await this.stateRows('DELETE FROM sync_copy_mark WHERE table_name = $1', [table])
  }

  async #count(text: string, values: readonly unknown[]): Promise<number> {
    const [row] = await this.stateRows<{ n: number }>(text, values)
    return row?.n ?? 0
  }

  async park(keys: readonly ParkedKey[]): Promise<void> {
    for (let at = 0; at < keys.length; at += ROWS_A_STATEMENT) {
      const part = keys.slice(at, at + ROWS_A_STATEMENT)
      await this.stateRows(
        `INSERT INTO sync_parked AS p (table_name, row_key, drain_no, reason, is_start)
         SELECT t, k, d, 'closed', bool_or(s) FROM unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[]) AS u(t, k, d, s) GROUP BY t, k, d
         ON CONFLICT (table_name, ${indexedKey('row_key')}, drain_no, reason) DO UPDATE SET is_start = p.is_start OR EXCLUDED.is_start`,
        [part.map((k) => k.table), part.map((k) => k.key), part.map((k) => k.drain), part.map((k) => k.start)],
      )
    }
  }

  async parked(tables: readonly string[], limit: number): Promise<ParkedKey[]> {
    const rows = await this.stateRows<{ table_name: string; row_key: string; drain_no: number; is_start: boolean }>(
      "SELECT table_name, row_key, drain_no::float8 AS drain_no, is_start FROM sync_parked WHERE reason = 'closed' AND table_name = ANY($1) LIMIT $2",
      [tables, limit],
    )
    return rows.map((row) => ({ table: row.table_name, key: row.row_key, drain: row.drain_no, start: row.is_start }))
  }

  async countParked(tables: readonly string[]): Promise<number> {
    return this.#count("SELECT count(*)::int AS n FROM sync_parked WHERE reason = 'closed' AND table_name = ANY($1)", [
      tables,
    ])
  }

  async parkedCounts(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.stateRows<{ table_name: string; n: number }>(
      "SELECT table_name, count(*)::int AS n FROM sync_parked WHERE reason = 'closed' GROUP BY 1",
    )
    return new Map(rows.map((row) => [row.table_name, row.n]))
  }

  async unpark(keys: readonly ParkedKey[]): Promise<void> {
    for (let at = 0; at < keys.length; at += ROWS_A_STATEMENT) {
      const part = keys.slice(at, at + ROWS_A_STATEMENT)
      await this.stateRows(UNPARK, [part.map((k) => k.table), part.map((k) => k.key), part.map((k) => k.drain)])
    }
  }

  async addSanitised(counts: readonly SanitisedCount[]): Promise<void> {
    for (const count of counts) {
      await this.stateRows(
        `INSERT INTO sync_sanitised AS s (table_name, column_name, rule, rows, sample_keys) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (table_name, column_name, rule) DO UPDATE SET rows = s.rows + EXCLUDED.rows, last_at = now(), sample_keys = (s.sample_keys || EXCLUDED.sample_keys)[1:5]`,
        [count.table, count.column, count.rule, count.rows, count.sampleKeys],
      )
    }
  }

  async lastDrain(): Promise<Awaited<ReturnType<TargetTransaction['lastDrain']>>> {
    const [row] = await this.stateRows<
      { number: number; token: string } & Record<'as_of' | 'source_identity', string | null>
    >(
      `SELECT number::float8 AS number, token, to_char(consistent_as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS as_of, source_identity
       FROM sync_drain JOIN sync_drain_token ON drain_no = number`,
    )
    if (!row)
      throw new SyncError('not-migrated', 'target: rows of sync_drain or sync_drain_token were deleted', {
        remedy: 'mylab-sync migrate puts them back; everything is read again then',
      })
    const { number, token, as_of: consistentAsOf, source_identity: identity } = row
    return { number, token, consistentAsOf, identity }
  }

  async noteCopyMark(tables: readonly string[], token: string): Promise<void> {
    await this.stateRows(
      'INSERT INTO sync_copy_mark (table_name, token) SELECT t, $2 FROM unnest($1::text[]) AS u(t)',
      [tables, token],
    )
  }

  async copyMarks(tables: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const rows = await this.stateRows<{ table_name: string; tokens: string[] }>(
      'SELECT table_name, array_agg(token) AS tokens FROM sync_copy_mark WHERE table_name = ANY($1) GROUP BY table_name',
      [tables],
    )
    return new Map(rows.map((row) => [row.table_name, row.tokens]))
  }

  async keptDrains(): Promise<DrainName[]> {
    return await this.stateRows<{ number: number; token: string }>(
      'SELECT drain_no::float8 AS number, token FROM sync_drain_token WHERE drain_no <= (SELECT number FROM sync_drain) ORDER BY drain_no',
    )
  }

  async recordDrain(drain: Parameters<TargetTransaction['recordDrain']>[0]): Promise<void> {
    // The newest drain's keys are kept whatever their number: it is the one most likely to be asked for.
    await this.stateRows(
      `WITH sized AS (SELECT drain_no, sum(keys) OVER (ORDER BY drain_no DESC) AS total FROM sync_drain_size),
       named AS (INSERT INTO sync_drain_token (drain_no, token) VALUES ($1, $4))
       UPDATE sync_drain SET number = $1, consistent_as_of = $2, source_identity = $3, committed_at = now(),
       keys_from = greatest(keys_from, $1::bigint - ${KEPT_DRAINS - 1}, (SELECT max(drain_no) + 1 FROM sized WHERE total > ${KEPT_KEYS} AND drain_no < $1))`,
      [drain.number, drain.consistentAsOf, drain.identity, drain.token],
    )
    for (const kept of ['sync_drain_key', 'sync_drain_size'])
      await this.stateRows(`DELETE FROM ${kept} WHERE drain_no < (SELECT keys_from FROM sync_drain)`)
    // The last one before them too: a source may stand there, with nothing missing after it.
    await this.stateRows(
      'DELETE FROM sync_drain_token WHERE drain_no < (SELECT max(drain_no) FROM sync_drain_token WHERE drain_no < (SELECT keys_from FROM sync_drain))',
    )
    await this.stateRows(
      `DELETE FROM sync_copy_mark m USING sync_progress p
       WHERE p.table_name = m.table_name AND p.state IN ('live', 'recopied') AND p.opened_drain < (SELECT keys_from FROM sync_drain)`,
    )
  }

  async recordDrainKeys(drain: number, keys: readonly { table: string; key: RowKey; start: boolean }[]): Promise<void> {
    if (keys.length === 0) return
    for (let at = 0; at < keys.length; at += ROWS_A_STATEMENT) {
      const part = keys.slice(at, at + ROWS_A_STATEMENT)
      await this.stateRows(
        `INSERT INTO sync_drain_key AS d (drain_no, table_name, row_key, is_start) SELECT $1, t, k, s FROM unnest($2::text[], $3::text[], $4::boolean[]) AS u(t, k, s)
         ON CONFLICT (drain_no, table_name, ${indexedKey('row_key')}) DO UPDATE SET is_start = TRUE WHERE NOT d.is_start AND EXCLUDED.is_start`,
        [drain, part.map((k) => k.table), part.map((k) => k.key), part.map((k) => k.start)],
      )
    }
    await this.stateRows(
      'INSERT INTO sync_drain_size AS s (drain_no, keys) VALUES ($1, $2) ON CONFLICT (drain_no) DO UPDATE SET keys = s.keys + EXCLUDED.keys',
      [drain, keys.length],
    )
  }

  async recordedKeys(drain: number, table: string, keys: readonly RowKey[]): Promise<ReadonlySet<RowKey>> {
    const rows = await this.stateRows<{ row_key: string }>(
      `SELECT row_key FROM sync_drain_key WHERE drain_no = $1 AND table_name = $2 AND ${indexedKey('row_key')} = ANY (ARRAY(SELECT ${indexedKey('k')} FROM unnest($3::text[]) AS u(k)))`,
      [drain, table, keys],
    )
    return new Set(rows.map((row) => row.row_key))
  }

  async keepsDrainsAfter(drain: number): Promise<boolean> {
    const [row] = await this.stateRows<{ keys_from: number }>('SELECT keys_from::float8 AS keys_from FROM sync_drain')
    return row !== undefined && drain + 1 >= row.keys_from
  }

  async parkDrainKeysAfter(drain: number, tables: readonly string[]): Promise<void> {
    await this.stateRows(
      `INSERT INTO sync_parked AS p (table_name, row_key, drain_no, reason, is_start)
       SELECT table_name, row_key, max(drain_no), 'closed', bool_or(is_start) FROM sync_drain_key WHERE drain_no > $1 AND table_name = ANY($2) GROUP BY 1, 2
       ON CONFLICT (table_name, ${indexedKey('row_key')}, drain_no, reason) DO UPDATE SET is_start = p.is_start OR EXCLUDED.is_start`,
      [drain, tables],
    )
  }
}
