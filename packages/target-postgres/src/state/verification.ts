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

/** Of `sync_verification v` and `sync_progress p`. */
const REOPENED = 'v.opened_drain IS DISTINCT FROM p.opened_drain'

const KEY = 'table_name, row_key, key_texts, kind, columns'

function momentsOf(since: string | null, until: string | null): VerifiedMoments | null {
  return since === null || until === null ? null : { since, until }
}

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
      { table_name: string; reopened: boolean; walk: string | null } & Record<
        'differing' | 'repaired' | 'replaced',
        number
      > &
        Record<'since' | 'until' | 'equal_since' | 'equal_until', string | null>
    >(
      `SELECT table_name, v.walk, ${iso('v.passed_since')} AS since, ${iso('v.passed_until')} AS until, ${REOPENED} AS reopened,
         ${iso('v.verified_since')} AS equal_since, ${iso('v.verified_until')} AS equal_until, v.replaced::float8 AS replaced,
         CASE WHEN ${REOPENED} THEN 0 ELSE v.rows_different END::float8 AS differing, v.rows_repaired::float8 AS repaired
       FROM sync_verification v LEFT JOIN sync_progress p USING (table_name)`,
    )
    return new Map(
      rows.map(({ table_name: table, walk, reopened: isReopened, differing, repaired, replaced, ...row }) => {
        const passed = momentsOf(row.since, row.until)
        const verified = momentsOf(row.equal_since, row.equal_until)
        return [table, { table, walk, isReopened, passed, verified, replaced, differing, repaired }]
      }),
    )
  }

  async record(steps: readonly VerificationStep[]): Promise<void> {
    await this.#forgetReopened(steps.map(({ table }) => table))
    const rows = await this.#sql.rows<{ table_name: string }>(
      `UPDATE sync_verification v SET walk = s.walk, rows_different = greatest(v.rows_different, s.differing),
         pass_began_at = CASE WHEN s.first THEN now() ELSE v.pass_began_at END
       FROM unnest($1::text[], $2::text[], $3::boolean[], $4::bigint[], $5::bigint[]) AS s(name, walk, first, differing, replaced)
       WHERE v.table_name = s.name AND v.replaced = s.replaced RETURNING v.table_name`,
      [
        steps.map(({ table }) => table),
        steps.map(({ walk }) => walk),
        steps.map(({ isFirst }) => isFirst),
        steps.map(({ differing }) => differing),
        steps.map(({ replaced }) => replaced),
      ],
    )
    const stored = new Set(rows.map((row) => row.table_name))
    for (const { table, found } of steps) if (stored.has(table)) await this.#add(table, found, false)
    const ended = steps.flatMap(({ passed, ...step }) =>
      passed && stored.has(step.table) ? [{ ...step, passed }] : [],
    )
    const compared = ended.filter(({ notCompared }) => !notCompared)
    await this.#sql.rows(
      'DELETE FROM sync_verification_key k USING sync_verification v WHERE v.table_name = ANY($1) AND k.table_name = v.table_name AND k.found_at < v.pass_began_at',
      [compared.map(({ table }) => table)],
    )
    await this.#end(ended.map((step) => ({ ...step, differing: step.notCompared ? null : step.differing })))
  }

  /** An opening has read all rows again: what differed before is not known any more. */
  async #forgetReopened(tables: readonly string[]): Promise<void> {
    await this.#sql.rows(
      'INSERT INTO sync_verification (table_name) SELECT t FROM unnest($1::text[]) AS u(t) ORDER BY t ON CONFLICT DO NOTHING',
      [tables],
    )
    const reopened = await this.#sql.rows<{ table_name: string }>(
      `UPDATE sync_verification v SET opened_drain = p.opened_drain, rows_different = 0
       FROM sync_progress p WHERE v.table_name = ANY($1) AND p.table_name = v.table_name AND ${REOPENED} RETURNING v.table_name`,
      [tables],
    )
    await this.#sql.rows('DELETE FROM sync_verification_key WHERE table_name = ANY($1)', [
      reopened.map((row) => row.table_name),
    ])
  }

  async replace(outcomes: readonly WholeComparison[]): Promise<void> {
    const tables = outcomes.map(({ table }) => table)
    await this.#forgetReopened(tables)
    await this.#sql.rows('DELETE FROM sync_verification_key WHERE table_name = ANY($1)', [tables])
    await this.#sql.rows(
      `UPDATE sync_verification v SET walk = NULL, replaced = v.replaced + 1, rows_repaired = v.rows_repaired + u.repaired
       FROM unnest($1::text[], $2::bigint[]) AS u(name, repaired) WHERE v.table_name = u.name`,
      [tables, outcomes.map(({ repaired }) => repaired)],
    )
    for (const { table, found } of outcomes) await this.#add(table, found, false)
    await this.#end(outcomes)
  }

  /** `differing`: null if the table could not be compared. */
  async #end(
    passes: readonly { readonly table: string; readonly passed: VerifiedMoments; readonly differing: number | null }[],
  ): Promise<void> {
    await this.#sql.rows(
      `UPDATE sync_verification v SET passed_since = u.since, passed_until = u.until, rows_different = coalesce(u.differing, v.rows_different),
         verified_since = CASE WHEN u.differing = 0 THEN u.since ELSE v.verified_since END,
         verified_until = CASE WHEN u.differing = 0 THEN u.until ELSE v.verified_until END
       FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::bigint[]) AS u(name, since, until, differing) WHERE v.table_name = u.name`,
      [
        passes.map(({ table }) => table),
        passes.map(({ passed }) => passed.since),
        passes.map(({ passed }) => passed.until),
        passes.map(({ differing }) => differing),
      ],
    )
  }

  async differing(limit: number): Promise<(DifferingKey & { readonly table: string })[]> {
    const rows = await this.#sql.rows<KeyRow>(
      `SELECT ${KEY} FROM sync_verification_key WHERE table_name IN (SELECT v.table_name FROM sync_verification v JOIN sync_progress p USING (table_name) WHERE NOT (${REOPENED}))
       ORDER BY table_name, found_at, key_texts LIMIT $1`,
      [limit],
    )
    return rows.map(keyOf)
  }

  async addTried(table: string, keys: readonly DifferingKey[], rows: number): Promise<void> {
    await this.#forgetReopened([table])
    await this.#sql.rows('UPDATE sync_verification SET rows_different = rows_different + $2 WHERE table_name = $1', [
      table,
      rows,
    ])
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

  async forget(): Promise<void> {
    await this.#sql.rows(
      'UPDATE sync_verification SET walk = NULL, replaced = replaced + 1, passed_since = NULL, passed_until = NULL, verified_since = NULL, verified_until = NULL',
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
