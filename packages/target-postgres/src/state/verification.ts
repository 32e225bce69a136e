import type {
  DifferingKey,
  TableVerification,
  VerificationStep,
  VerificationStore,
  VerifiedMoments,
  VerifyPace,
  WholeComparison,
} from '@mylab-sync/core'
import { iso, type StateSql } from './state-sql.js'

/** Keys listed for a table; the counts are whole. */
const KEPT_KEYS = 1_000
/** The pace shown is that of the last hours: half of the sums is forgotten once they spread over this time. */
const HALVED_AFTER_MS = 7_200_000

interface KeyRow extends Record<string, unknown> {
  readonly table_name: string
  readonly row_key: string | null
  readonly key_texts: string[]
  readonly kind: DifferingKey['kind']
  readonly columns: string[]
}

const KEY = 'table_name, row_key, key_texts, kind, columns'

function keyOf(row: KeyRow): DifferingKey & { readonly table: string } {
  return { table: row.table_name, key: row.row_key, texts: row.key_texts, kind: row.kind, columns: row.columns }
}

/** PostgreSQL's text holds neither. */
function storable(text: string): string {
  return Buffer.from(text.replaceAll('\0', '\uFFFD'), 'utf8').toString('utf8')
}

/** `sync_verification`, its keys and its pace. */
export class Verification implements VerificationStore {
  readonly #sql: StateSql

  constructor(sql: StateSql) {
    this.#sql = sql
  }

  async all(): Promise<ReadonlyMap<string, TableVerification>> {
    const rows = await this.#sql.rows<
      { table_name: string; opened_drain: number; differing: number; repaired: number } & Record<
        'walk' | 'since' | 'until',
        string | null
      >
    >(
      `SELECT table_name, walk, opened_drain::float8 AS opened_drain, ${iso('passed_since')} AS since, ${iso('passed_until')} AS until,
         rows_different::float8 AS differing, rows_repaired::float8 AS repaired FROM sync_verification`,
    )
    return new Map(
      rows.map(({ table_name: table, walk, opened_drain: openedDrain, since, until, differing, repaired }) => [
        table,
        { table, walk, openedDrain, passed: since && until ? { since, until } : null, differing, repaired },
      ]),
    )
  }

  async record({ table, walk, openedDrain, isFirst, found, differing, passed }: VerificationStep): Promise<void> {
    await this.#sql.rows(
      `INSERT INTO sync_verification AS v (table_name, walk, opened_drain, pass_began_at, rows_different) VALUES ($1, $2, $3, now(), $5)
       ON CONFLICT (table_name) DO UPDATE SET walk = EXCLUDED.walk, opened_drain = EXCLUDED.opened_drain,
         pass_began_at = CASE WHEN $4 THEN EXCLUDED.pass_began_at ELSE v.pass_began_at END,
         rows_different = greatest(v.rows_different, EXCLUDED.rows_different)`,
      [table, walk, openedDrain, isFirst, differing],
    )
    await this.#add(table, found, false)
    if (passed === null) return
    await this.#sql.rows(
      'DELETE FROM sync_verification_key k USING sync_verification v WHERE v.table_name = $1 AND k.table_name = $1 AND k.found_at < v.pass_began_at',
      [table],
    )
    await this.#end(table, passed, differing)
  }

  async replace({ table, found, differing, repaired, passed }: WholeComparison): Promise<void> {
    await this.#sql.rows('DELETE FROM sync_verification_key WHERE table_name = $1', [table])
    await this.#sql.rows(
      `INSERT INTO sync_verification AS v (table_name, rows_repaired) VALUES ($1, $2)
       ON CONFLICT (table_name) DO UPDATE SET rows_repaired = v.rows_repaired + EXCLUDED.rows_repaired`,
      [table, repaired],
    )
    await this.#add(table, found, false)
    await this.#end(table, passed, differing)
  }

  async #end(table: string, { since, until }: VerifiedMoments, differing: number): Promise<void> {
    await this.#sql.rows(
      'UPDATE sync_verification SET passed_since = $2, passed_until = $3, rows_different = $4 WHERE table_name = $1',
      [table, since, until, differing],
    )
    if (differing > 0) return
    await this.#sql.rows('UPDATE sync_progress SET verified_at = $2 WHERE table_name = $1', [table, since])
  }

  async differing(limit: number): Promise<(DifferingKey & { readonly table: string })[]> {
    const rows = await this.#sql.rows<KeyRow>(
      `SELECT ${KEY} FROM sync_verification_key ORDER BY table_name, found_at, key_texts LIMIT $1`,
      [limit],
    )
    return rows.map(keyOf)
  }

  async addTried(table: string, keys: readonly DifferingKey[]): Promise<void> {
    await this.#sql.rows(
      `INSERT INTO sync_verification AS v (table_name, rows_different) VALUES ($1, $2)
       ON CONFLICT (table_name) DO UPDATE SET rows_different = v.rows_different + EXCLUDED.rows_different`,
      [table, keys.length],
    )
    await this.#add(table, keys, true)
  }

  async tried(): Promise<(DifferingKey & { readonly table: string })[]> {
    const rows = await this.#sql.rows<KeyRow>(`SELECT ${KEY} FROM sync_verification_key WHERE tried`)
    return rows.map(keyOf)
  }

  async settle(
    table: string,
    { left, repaired }: { readonly left: readonly DifferingKey[]; readonly repaired: number },
  ): Promise<void> {
    await this.#sql.rows('DELETE FROM sync_verification_key WHERE table_name = $1 AND tried', [table])
    await this.#add(table, left, false)
    await this.#sql.rows(
      'UPDATE sync_verification SET rows_different = greatest(0, rows_different - $2), rows_repaired = rows_repaired + $2 WHERE table_name = $1',
      [table, repaired],
    )
  }

  /** A row that was found before is found again: it replaces the older finding. */
  async #add(table: string, keys: readonly DifferingKey[], tried: boolean): Promise<void> {
    if (keys.length === 0) return
    const listed = JSON.stringify(
      keys
        .slice(0, KEPT_KEYS)
        .map(({ key, texts, kind, columns }) => ({ key, texts: texts.map(storable), kind, columns })),
    )
    const given = `SELECT x ->> 'key' AS row_key, array(SELECT jsonb_array_elements_text(x -> 'texts')) AS key_texts, x ->> 'kind' AS kind,
      array(SELECT jsonb_array_elements_text(x -> 'columns')) AS columns FROM jsonb_array_elements($2::jsonb) AS x`
    await this.#sql.rows(
      `DELETE FROM sync_verification_key k USING (${given}) AS g WHERE k.table_name = $1 AND k.key_texts = g.key_texts`,
      [table, listed],
    )
    await this.#sql.rows(
      `INSERT INTO sync_verification_key (${KEY}, tried) SELECT $1, row_key, key_texts, kind, columns, $3 FROM (${given}) AS g
       LIMIT greatest(0, ${KEPT_KEYS} - (SELECT count(*) FROM sync_verification_key WHERE table_name = $1))`,
      [table, listed, tried],
    )
  }

  async pace(): Promise<VerifyPace> {
    const [row] = await this.#sql.rows<VerifyPace & Record<string, unknown>>(
      `SELECT greatest(0, extract(epoch FROM next_at - clock_timestamp()) * 1000)::float8 AS "waitMs", step_ms AS "stepMs", pause_ms AS "pauseMs",
         worked_ms AS "workedMs", span_ms AS "spanMs", rows FROM sync_verification_pace`,
    )
    return row ?? { waitMs: 0, stepMs: 0, pauseMs: 0, workedMs: 0, spanMs: 0, rows: 0 }
  }

  async keepPace({
    ms,
    rows,
    pauseMs,
  }: {
    readonly ms: number
    readonly rows: number
    readonly pauseMs: number
  }): Promise<void> {
    await this.#sql.rows(
      `INSERT INTO sync_verification_pace AS p (step_ms, pause_ms, next_at, worked_ms, span_ms, rows)
       VALUES ($1, $2, clock_timestamp() + $2 * interval '1 millisecond', $1, $1 + $2, $3)
       ON CONFLICT (only_row) DO UPDATE SET step_ms = EXCLUDED.step_ms, pause_ms = EXCLUDED.pause_ms, next_at = EXCLUDED.next_at,
         worked_ms = p.worked_ms / f.kept + EXCLUDED.worked_ms, span_ms = p.span_ms / f.kept + EXCLUDED.span_ms, rows = p.rows / f.kept + EXCLUDED.rows`.replaceAll(
        'f.kept',
        `(CASE WHEN p.span_ms > ${HALVED_AFTER_MS} THEN 2 ELSE 1 END)`,
      ),
      [ms, pauseMs, rows],
    )
  }
}
