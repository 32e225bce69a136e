import {
  type ChunkStore,
  type DrainHistory,
  type ParkedKeys,
  type QuarantineStore,
  type ReportStore,
  type RowComparison,
  type RowLookup,
  type RowWriter,
  type TableStore,
  type TargetTransaction,
  type VerificationStore,
} from '@mylab-sync/core'
import type { Session, TargetSettings } from './connection/database.js'
import { mapped, targetError } from './errors.js'
import { Keeper } from './rows/keeper.js'
import type { KnownTables } from './rows/known-tables.js'
import { Comparison } from './rows/comparison.js'
import { Lookup } from './rows/lookup.js'
import { Staging } from './rows/staging.js'
import { TableSql } from './rows/table-sql.js'
import { Writer } from './rows/writer.js'
import { Chunks } from './state/chunks.js'
import { History } from './state/drain-history.js'
import { Parked } from './state/parked-keys.js'
import { Progress } from './state/progress.js'
import { Quarantine } from './state/quarantine.js'
import { Reports } from './state/reports.js'
import { StateSql } from './state/state-sql.js'
import { Verification } from './state/verification.js'

/** One target transaction: state and data of a chunk, a catch-up slice or a drain. Owns its session until it ends. */
export class Transaction implements TargetTransaction {
  readonly tables: TableStore
  readonly chunks: ChunkStore
  readonly parked: ParkedKeys
  readonly quarantine: QuarantineStore
  readonly history: DrainHistory
  readonly rows: RowWriter
  readonly lookup: RowLookup
  readonly comparison: RowComparison
  readonly verification: VerificationStore
  readonly reports: ReportStore
  readonly session: Session
  readonly #keeper: Keeper
  #ended = false

  constructor(session: Session, settings: TargetSettings, known: KnownTables) {
    const state = new StateSql(session, settings.stateSchema)
    this.tables = new Progress(state)
    this.chunks = new Chunks(state)
    this.parked = new Parked(state)
    this.quarantine = new Quarantine(state)
    this.history = new History(state)
    this.verification = new Verification(state)
    this.reports = new Reports(state)
    this.session = session
    this.#keeper = new Keeper(session, known)
    const statements = new TableSql(session, settings.schema, this.#keeper)
    this.rows = new Writer(statements, this.#keeper)
    this.lookup = new Lookup(statements)
    this.comparison = new Comparison(statements, new Staging(statements))
  }

  checkConstraints(): Promise<void> {
    return this.#keeper.checkDeferred()
  }

  async commit(): Promise<void> {
    if (!this.#keeper.isChecked) await this.checkConstraints()
    await this.#keeper.confirm().catch((error: unknown) => Promise.reject(mapped(error)))
    const result = await this.session.raw('COMMIT').catch((error: unknown) => Promise.reject(mapped(error)))
    this.#end()
    // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK, and no error.
    if (result.command === 'ROLLBACK') throw targetError('internal', 'a failed transaction cannot be committed')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return
    await this.session.rollback()
    this.#end()
  }

  #end(): void {
    this.#ended = true
    this.session.release()
  }
}
