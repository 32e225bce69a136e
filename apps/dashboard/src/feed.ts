import { isOpen, SyncError } from '@mylab-sync/core'
import {
  listNotCarried,
  type NotCarriedGroup,
  notCarriedGroups,
  requireMigrated,
  status,
  type StatusReport,
  type TableStatus,
} from '@mylab-sync/engine'
import { endsWithin } from '@mylab-sync/runtime'
import type { Connection, DashboardOptions } from './options.js'
import type { TableView, View } from './page/shape.js'
import { Throughput } from './throughput.js'
import { type Fault, problemsOf, verdict } from './verdict.js'

const SHORTEST_PAUSE_MS = 1_000
/** A slow report (a large change log) is read less often: the databases spend at most a tenth of their time on it. */
const PAUSE_FACTOR = 9
const LONGEST_PAUSE_MS = 30_000
const PAUSE_AFTER_FAILURE_MS = 2_000
/** A viewer waits this long for a new report, then gets the last one and a note that there is no newer one. */
const PATIENCE_MS = 4_000
/** Definitions rarely change. */
const NOT_CARRIED_MS = 600_000
/** How long a stopping dashboard waits for a connection that is being opened. */
const CLOSING_MS = 2_000

type FeedOptions = Pick<DashboardOptions, 'open' | 'mode' | 'title' | 'health'>

const NOT_READ = {
  totals: { total: 0, synced: 0, pending: 0, failed: 0 },
  lagMs: null,
  consistentAsOf: null,
  verification: { verifiedAt: null, tables: 0, verified: 0, rowsDifferent: 0, rowsRepaired: 0, share: 0, pace: null },
  tables: [] as readonly TableStatus[],
} as const

/**
 * Reads the status for all viewers and scrapes: only on request, only if the last report is old, and never twice at
 * once. Keeps the last report and says why there is no newer one; `view` never throws.
 */
export class StatusFeed {
  readonly #options: FeedOptions
  readonly #throughput = new Throughput()
  #connection: Connection | null = null
  #reading: Promise<void> | null = null
  #readingSince = 0
  #nextAt = 0
  #lastTookMs = 0
  #report: StatusReport | null = null
  #readAt: Date | null = null
  #health: readonly string[] = []
  #fault: Fault | null = null
  #left: { readonly groups: Promise<readonly NotCarriedGroup[]>; readonly until: number } | null = null
  #closed = false

  constructor(options: FeedOptions) {
    this.#options = options
  }

  /** True after the first report: until then the settings may be wrong. */
  get ready(): boolean {
    return this.#report !== null && !this.#closed
  }

  async view(): Promise<View> {
    await this.#refresh()
    return this.#view()
  }

  /** Objects that are not carried. Cached for all viewers, since reading the catalog of a large schema is expensive. */
  async notCarried(): Promise<readonly NotCarriedGroup[]> {
    const now = performance.now()
    if (this.#left === null || now > this.#left.until) {
      const groups = this.#connected().then(async ({ context }) => notCarriedGroups(await listNotCarried(context)))
      const left = { groups, until: now + NOT_CARRIED_MS }
      this.#left = left
      groups.catch(() => {
        if (this.#left === left) this.#left = null
      })
    }
    return await this.#left.groups
  }

  /** Runs `work` on the open databases and makes the next view read again. Throws what `work` throws. */
  async act<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    try {
      return await work(await this.#connected())
    } finally {
      this.#nextAt = 0
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#disconnect()
    if (this.#reading !== null) await endsWithin(CLOSING_MS, this.#reading)
  }

  async #refresh(): Promise<void> {
    if (this.#closed) return
    if (this.#reading === null) {
      if (performance.now() < this.#nextAt) return
      this.#readingSince = performance.now()
      this.#reading = this.#read().finally(() => (this.#reading = null))
    }
    const rest = this.#readingSince + PATIENCE_MS - performance.now()
    if (rest > 0) await endsWithin(rest, this.#reading)
  }

  async #read(): Promise<void> {
    const started = performance.now()
    try {
      const { context } = await this.#connected()
      const [report, health] = await Promise.all([status(context), this.#askHealth()])
      const now = performance.now()
      this.#throughput.add(report, now)
      this.#report = report
      this.#health = health
      this.#readAt = new Date()
      this.#fault = null
      this.#nextAt = now + this.#pauseAfter(now - started)
    } catch (error) {
      this.#fault = faultOf(error)
      this.#nextAt = performance.now() + PAUSE_AFTER_FAILURE_MS
      await this.#disconnect()
    }
  }

  /** Uses the faster of the last two reads: a lock or a hiccup that delayed one of them says nothing about the next. */
  #pauseAfter(tookMs: number): number {
    const usualMs = Math.min(tookMs, this.#lastTookMs)
    this.#lastTookMs = tookMs
    return Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, usualMs * PAUSE_FACTOR))
  }

  async #askHealth(): Promise<readonly string[]> {
    const unknown = 'it is unknown whether any worker serves the queues'
    return (await this.#options.health?.().catch(() => [unknown])) ?? []
  }

  async #connected(): Promise<Connection> {
    if (this.#connection !== null) return this.#connection
    const connection = await this.#options.open()
    this.#connection = connection
    await requireMigrated(connection.context)
    if (this.#closed) {
      await this.#disconnect()
      throw new SyncError('stopped', 'the dashboard is stopping')
    }
    return connection
  }

  async #disconnect(): Promise<void> {
    const connection = this.#connection
    this.#connection = null
    // a connection that cannot be closed cleanly is already lost
    await connection?.close().catch(() => {})
  }

  #view(): View {
    const report = this.#report
    const problems = report === null ? [] : problemsOf(report, this.#health)
    const found = verdict(report, problems, this.#fault ?? this.#silence())
    const { totals, lagMs, consistentAsOf, sentence, verification, tables } = report ?? {
      ...NOT_READ,
      sentence: found.sentence,
    }
    return {
      version: 1,
      mode: this.#options.mode,
      title: this.#options.title,
      verdict: found,
      readAt: this.#readAt?.toISOString() ?? null,
      totals,
      lagMs,
      consistentAsOf,
      sentence,
      verification,
      changesPerSecond: this.#throughput.changes(),
      rowsPerSecond: this.#throughput.rows(),
      tables: tables.map((table) => this.#tableView(table, lagMs)),
      problems,
    }
  }

  #silence(): Fault | null {
    const silentMs = this.#reading === null ? 0 : performance.now() - this.#readingSince
    if (silentMs < PATIENCE_MS) return null
    const message = `the databases have not answered for ${Math.round(silentMs / 1000)} s`
    return { code: 'no-answer', message, remedy: 'Check that both servers run and that no lock blocks them.' }
  }

  #tableView(status: TableStatus, lagMs: number | null): TableView {
    const copied = status.rows === 0 ? 1 : Math.min(1, status.rowsCopied / status.rows)
    const open = isOpen(status.state)
    const begun = open || status.rowsCopied > 0 || status.state === 'catching-up' || status.state === 'paused'
    return {
      ...status,
      copiedPercent: open ? 100 : begun ? Math.floor(copied * 1000) / 10 : 0,
      rowsPerSecond: status.state === 'copying' ? this.#throughput.rows(status.table) : null,
      // One drain carries all tables, so no table lags further behind than the oldest change of all.
      lagMs: open ? (status.pending === 0 ? 0 : lagMs) : null,
    }
  }
}

function faultOf(error: unknown): Fault {
  if (error instanceof SyncError) return { code: error.code, message: error.message, remedy: error.remedy }
  const name = error instanceof Error ? error.name : 'error'
  return {
    code: 'internal',
    message: `an unexpected ${name}`,
    remedy: 'mylab-sync status shows it on the command line',
  }
}
