import {
  type ProgressChange,
  TABLE_STATES,
  type TableEvent,
  type TableProgress,
  type TableState,
  type TableStore,
  transition,
} from '@mylab-sync/core'
import type { StateSql } from './state-sql.js'

const PROGRESS_COLUMNS: Readonly<Record<keyof ProgressChange, string>> = {
  rowsCopied: 'rows_synced',
  rowsFailed: 'rows_failed',
  estimatedRows: 'estimated_rows',
  generation: 'generation',
  contentFingerprint: 'content_sign',
  asked: 'asked',
  inPlace: 'in_place',
  planBound: 'plan_bound',
  planned: 'planned',
  chunkRows: 'chunk_rows',
  captured: 'captured',
  captureFingerprint: 'capture_sign',
  copyNumber: 'copy_no',
  problem: 'problem',
  waits: 'waits',
  openedDrain: 'opened_drain',
}

const PROGRESS =
  'table_name, state, rows_synced::text, rows_failed::text, estimated_rows::text, generation, content_sign, asked, in_place, plan_bound, planned, chunk_rows, captured, capture_sign, copy_no, problem, waits, opened_drain::text'

const NOW = 'updated_at = now()'

function columnsOf(change: ProgressChange): { readonly columns: string[]; readonly values: unknown[] } {
  const whole = change.problem === undefined ? change : { waits: false, ...change }
  const names = (Object.keys(whole) as (keyof ProgressChange)[]).filter((key) => whole[key] !== undefined)
  return { columns: names.map((key) => PROGRESS_COLUMNS[key]), values: names.map((key) => whole[key]) }
}

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
  readonly waits: boolean
  readonly opened_drain: string
}

function progressOf(row: ProgressRow): TableProgress {
  return {
    table: row.table_name,
    state: row.state,
    rowsCopied: Number(row.rows_synced),
    rowsFailed: Number(row.rows_failed),
    estimatedRows: Number(row.estimated_rows),
    generation: row.generation,
    contentFingerprint: row.content_sign,
    asked: row.asked,
    inPlace: row.in_place,
    planBound: row.plan_bound,
    planned: row.planned,
    chunkRows: row.chunk_rows,
    captured: row.captured,
    captureFingerprint: row.capture_sign,
    copyNumber: row.copy_no,
    problem: row.problem,
    waits: row.waits,
    openedDrain: Number(row.opened_drain),
  }
}

/** `sync_progress`: one row per table. */
export class Progress implements TableStore {
  readonly #sql: StateSql

  constructor(sql: StateSql) {
    this.#sql = sql
  }

  async all(): Promise<Map<string, TableProgress>> {
    const rows = await this.#sql.rows<ProgressRow>(`SELECT ${PROGRESS} FROM sync_progress ORDER BY table_name`)
    return new Map(rows.map((row) => [row.table_name, progressOf(row)]))
  }

  /** The state on the row decides, which may be newer than what the caller has read. */
  async step(table: string, event: TableEvent, change: ProgressChange = {}): Promise<TableState | null> {
    if (transition('discovered', event) !== null)
      await this.#sql.rows(
        "INSERT INTO sync_progress (table_name, state) VALUES ($1, 'discovered') ON CONFLICT DO NOTHING",
        [table],
      )
    const states = TABLE_STATES.filter((state) => transition(state, event) !== null)
    const { columns, values } = columnsOf(change)
    const set = ['state = u.next', ...columns.map((column, at) => `${column} = $${at + 4}`), NOW]
    const [row] = await this.#sql.rows<{ state: TableState }>(
      `UPDATE sync_progress AS p SET ${set.join(', ')} FROM unnest($2::text[], $3::text[]) AS u(state, next)
       WHERE p.table_name = $1 AND p.state = u.state RETURNING p.state`,
      [table, states, states.map((state) => transition(state, event)), ...values],
    )
    return row?.state ?? null
  }

  async patch(table: string, change: ProgressChange): Promise<void> {
    const { columns, values } = columnsOf(change)
    const places = columns.map((_, at) => `$${at + 2}`)
    await this.#sql.rows(
      `INSERT INTO sync_progress AS p (${['table_name', 'state', ...columns].join(', ')}) VALUES (${['$1', "'discovered'", ...places].join(', ')})
       ON CONFLICT (table_name) DO UPDATE SET ${[...columns.map((column) => `${column} = EXCLUDED.${column}`), NOW].join(', ')}
       WHERE (${columns.map((column) => `p.${column}`).join(', ')}) IS DISTINCT FROM (${columns.map((column) => `EXCLUDED.${column}`).join(', ')})`,
      [table, ...values],
    )
  }

  async adoptCaptureFingerprint(table: string, sign: string): Promise<void> {
    await this.#sql.rows(
      'UPDATE sync_progress SET capture_sign = $2, updated_at = now() WHERE table_name = $1 AND capture_sign IS NULL',
      [table, sign],
    )
  }

  /** False when another transaction holds one of these rows. */
  async lock(tables: readonly string[]): Promise<boolean> {
    const rows = await this.#sql.rows(
      'SELECT table_name FROM sync_progress WHERE table_name = ANY($1) ORDER BY table_name FOR UPDATE SKIP LOCKED',
      [tables],
    )
    return rows.length === new Set(tables).size
  }

  async unplanned(tables: readonly string[], limit: number): Promise<TableProgress[]> {
    const rows = await this.#sql.rows<ProgressRow>(
      `SELECT ${PROGRESS} FROM sync_progress WHERE state = 'copying' AND NOT planned AND table_name = ANY($1) ORDER BY table_name LIMIT $2`,
      [tables, limit],
    )
    return rows.map(progressOf)
  }
}
