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

/** Column and type. */
const PROGRESS_COLUMNS: Readonly<Record<keyof ProgressChange, readonly [name: string, type: string]>> = {
  rowsCopied: ['rows_synced', 'bigint'],
  rowsFailed: ['rows_failed', 'bigint'],
  estimatedRows: ['estimated_rows', 'bigint'],
  generation: ['generation', 'text'],
  contentFingerprint: ['content_sign', 'text'],
  asked: ['asked', 'boolean'],
  inPlace: ['in_place', 'boolean'],
  planBound: ['plan_bound', 'text'],
  planned: ['planned', 'boolean'],
  chunkRows: ['chunk_rows', 'integer'],
  captured: ['captured', 'boolean'],
  captureFingerprint: ['capture_sign', 'text'],
  copyNumber: ['copy_no', 'integer'],
  problem: ['problem', 'text'],
  waits: ['waits', 'boolean'],
  openedDrain: ['opened_drain', 'bigint'],
}

const PROGRESS =
  'table_name, state, rows_synced::text, rows_failed::text, estimated_rows::text, generation, content_sign, asked, in_place, plan_bound, planned, chunk_rows, captured, capture_sign, copy_no, problem, waits, opened_drain::text'

const NOW = 'updated_at = now()'

interface Columns {
  readonly names: readonly string[]
  /** As arguments of unnest: a text array of tables, and an array for each column. */
  readonly arrays: readonly string[]
  readonly values: readonly unknown[]
}

/** `first`: the number of the first parameter. Throws if the changes do not set the same fields, which is a defect. */
function columnsOf(changes: ReadonlyMap<string, ProgressChange>, first: number): Columns {
  const whole = [...changes.values()].map((change) =>
    change.problem === undefined ? change : { waits: false, ...change },
  )
  const fieldsOf = (change: ProgressChange): (keyof ProgressChange)[] =>
    (Object.keys(change) as (keyof ProgressChange)[]).filter((key) => change[key] !== undefined).sort()
  const fields = fieldsOf(whole[0] ?? {})
  if (whole.some((change) => fieldsOf(change).join() !== fields.join()))
    throw new Error('changes of several tables set different fields')
  return {
    names: fields.map((field) => PROGRESS_COLUMNS[field][0]),
    arrays: ['text', ...fields.map((field) => PROGRESS_COLUMNS[field][1])].map(
      (type, at) => `$${first + at}::${type}[]`,
    ),
    values: [[...changes.keys()], ...fields.map((field) => whole.map((change) => change[field]))],
  }
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

  async step(table: string, event: TableEvent, change: ProgressChange = {}): Promise<TableState | null> {
    return (await this.#steps(event, new Map([[table, change]]))).get(table) ?? null
  }

  async stepAll(event: TableEvent, changes: ReadonlyMap<string, ProgressChange>): Promise<string[]> {
    return [...(await this.#steps(event, changes)).keys()]
  }

  /** The state on the row decides, which may be newer than what the caller has read. */
  async #steps(event: TableEvent, changes: ReadonlyMap<string, ProgressChange>): Promise<Map<string, TableState>> {
    if (changes.size === 0) return new Map()
    if (transition('discovered', event) !== null)
      await this.#sql.rows(
        "INSERT INTO sync_progress (table_name, state) SELECT t, 'discovered' FROM unnest($1::text[]) AS u(t) ON CONFLICT DO NOTHING",
        [[...changes.keys()]],
      )
    const states = TABLE_STATES.filter((state) => transition(state, event) !== null)
    const { names, arrays, values } = columnsOf(changes, 3)
    const set = ['state = u.next', ...names.map((name) => `${name} = c.${name}`), NOW]
    const rows = await this.#sql.rows<{ table_name: string; state: TableState }>(
      `UPDATE sync_progress AS p SET ${set.join(', ')} FROM unnest($1::text[], $2::text[]) AS u(state, next),
         unnest(${arrays.join(', ')}) AS c(${['of_table', ...names].join(', ')})
       WHERE p.table_name = c.of_table AND p.state = u.state RETURNING p.table_name, p.state`,
      [states, states.map((state) => transition(state, event)), ...values],
    )
    return new Map(rows.map((row) => [row.table_name, row.state]))
  }

  patch(table: string, change: ProgressChange): Promise<void> {
    return this.patchAll(new Map([[table, change]]))
  }

  async patchAll(changes: ReadonlyMap<string, ProgressChange>): Promise<void> {
    if (changes.size === 0) return
    const { names, arrays, values } = columnsOf(changes, 1)
    await this.#sql.rows(
      `INSERT INTO sync_progress AS p (${['table_name', 'state', ...names].join(', ')})
       SELECT ${['c.of_table', "'discovered'", ...names.map((name) => `c.${name}`)].join(', ')} FROM unnest(${arrays.join(', ')}) AS c(${['of_table', ...names].join(', ')}) ORDER BY 1
       ON CONFLICT (table_name) DO UPDATE SET ${[...names.map((name) => `${name} = EXCLUDED.${name}`), NOW].join(', ')}
       WHERE (${names.map((name) => `p.${name}`).join(', ')}) IS DISTINCT FROM (${names.map((name) => `EXCLUDED.${name}`).join(', ')})`,
      values,
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
