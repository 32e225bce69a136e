import { TABLE_STATES } from '@mylab-sync/core'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { QueueCount } from './options.js'
import type { TableView, View } from './page/shape.js'

/** Bounds the number of series: tables beyond this are summed into one, labelled `OTHERS`. */
const MAX_TABLES = 500
const OTHERS = '(others)'

const VERIFIED = 'Source time at which each row of the table was last found equal, or later; 0: never'

const TABLE_GAUGES = {
  rows: ['mylab_sync_table_rows', 'Rows of the source when the table was last counted or estimated'],
  rowsCopied: ['mylab_sync_table_rows_copied', 'Rows copied by the first copy'],
  pending: ['mylab_sync_table_pending_changes', 'Changes in the log that are not in the target yet'],
  parked: ['mylab_sync_table_parked_keys', 'Dirty keys parked until the table opens'],
  quarantined: ['mylab_sync_table_quarantined_rows', 'Rows that PostgreSQL cannot hold as they are'],
  rowsDifferent: ['mylab_sync_rows_different', 'Rows that verification has found to differ from the source'],
  rowsRepaired: ['mylab_sync_rows_repaired', 'Rows that differed and were repaired, since the installation'],
} as const satisfies Partial<Record<keyof TableView, readonly [string, string]>>
type Counted = keyof typeof TABLE_GAUGES

const TOTAL_GAUGES = {
  up: ['mylab_sync_up', '1 if the last read of the status from both databases succeeded'],
  readAt: ['mylab_sync_status_timestamp_seconds', 'When these figures were read'],
  lag: ['mylab_sync_lag_seconds', 'Age of the oldest change that is not in the target yet, 0 if there is none'],
  asOf: ['mylab_sync_consistent_as_of_timestamp_seconds', 'Source time of the snapshot that the target equals'],
  pending: ['mylab_sync_pending_changes', 'Changes in the log that are not in the target yet'],
  synced: ['mylab_sync_synced_changes', 'Changes in the log that are in the target; a clean-up lowers it'],
  quarantined: ['mylab_sync_quarantined_rows', 'Rows that PostgreSQL cannot hold as they are'],
  verifiedAt: [
    'mylab_sync_verified_timestamp_seconds',
    'Source time at which all open tables, the oldest of them, were last found equal; 0: one never was',
  ],
  verifyShare: ['mylab_sync_verify_share', 'Share of the time that verification by itself has taken lately'],
  problems: ['mylab_sync_problems', 'Problems that need attention'],
} as const

/** Renders one view as Prometheus text. Has its own registry, so that two dashboards in one process do not collide. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #states: Gauge<'state'>
  readonly #jobs: Gauge<'queue' | 'state'>
  readonly #verified: Gauge<'table'>
  readonly #tables: Readonly<Record<Counted, Gauge<'table'>>>
  readonly #totals: Readonly<Record<keyof typeof TOTAL_GAUGES, Gauge>>

  constructor() {
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    const states = { name: 'mylab_sync_tables', help: 'Tables in each state' }
    this.#states = new Gauge({ ...states, labelNames: ['state'], registers })
    const jobs = { name: 'mylab_sync_queue_jobs', help: 'Jobs of each queue in each state; nothing without Redis' }
    this.#jobs = new Gauge({ ...jobs, labelNames: ['queue', 'state'], registers })
    const verified = { name: 'mylab_sync_table_verified_timestamp_seconds', help: VERIFIED }
    this.#verified = new Gauge({ ...verified, labelNames: ['table'], registers })
    this.#tables = mapped(TABLE_GAUGES, ([name, help]) => new Gauge({ name, help, labelNames: ['table'], registers }))
    this.#totals = mapped(TOTAL_GAUGES, ([name, help]) => new Gauge({ name, help, registers }))
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  async render(view: View, queueCounts: readonly QueueCount[]): Promise<string> {
    this.#jobs.reset()
    for (const { queue, state, jobs } of queueCounts) this.#jobs.set({ queue, state }, jobs)
    this.#setTotals(view)
    for (const state of TABLE_STATES)
      this.#states.set({ state }, view.tables.filter((table) => table.state === state).length)
    for (const name of Object.keys(TABLE_GAUGES) as Counted[]) this.#setTables(name, view.tables)
    this.#setVerified(view.tables)
    return this.#registry.metrics()
  }

  #setTotals(view: View): void {
    const totals = this.#totals
    totals.up.set(view.verdict.tone === 'unknown' ? 0 : 1)
    totals.readAt.set(seconds(view.readAt))
    totals.lag.set((view.lagMs ?? 0) / 1000)
    totals.asOf.set(seconds(view.consistentAsOf))
    totals.pending.set(view.totals.pending)
    totals.synced.set(view.totals.synced)
    totals.quarantined.set(view.totals.failed)
    totals.verifiedAt.set(seconds(view.verification.verifiedAt))
    totals.verifyShare.set(view.verification.pace?.share ?? 0)
    totals.problems.set(view.problems.length)
  }

  /** The rest is as old as its oldest table. */
  #setVerified(tables: readonly TableView[]): void {
    this.#verified.reset()
    for (const { table, verifiedAt } of tables.slice(0, MAX_TABLES)) this.#verified.set({ table }, seconds(verifiedAt))
    const others = tables.slice(MAX_TABLES).map(({ verifiedAt }) => seconds(verifiedAt))
    if (others.length > 0) this.#verified.set({ table: OTHERS }, Math.min(...others))
  }

  #setTables(name: Counted, tables: readonly TableView[]): void {
    const gauge = this.#tables[name]
    // a dropped table must not keep its last value
    gauge.reset()
    for (const table of tables.slice(0, MAX_TABLES)) gauge.set({ table: table.table }, table[name])
    const others = tables.slice(MAX_TABLES)
    if (others.length > 0)
      gauge.set(
        { table: OTHERS },
        others.reduce((sum, table) => sum + table[name], 0),
      )
  }
}

function mapped<K extends string, V, T>(from: Readonly<Record<K, V>>, make: (value: V) => T): Record<K, T> {
  const entries = (Object.entries(from) as [K, V][]).map(([key, value]) => [key, make(value)] as const)
  return Object.fromEntries(entries) as Record<K, T>
}

/** 0 for never. */
function seconds(moment: string | null): number {
  const ms = moment === null ? Number.NaN : Date.parse(moment)
  return Number.isNaN(ms) ? 0 : ms / 1000
}
