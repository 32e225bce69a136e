import {
  type CutoverPhase,
  type CutoverState,
  type CutoverTable,
  type CutoverTransaction,
  SyncError,
} from '@mylab-sync/core'
import type { Database, Session } from '../connection/database.js'
import { mapped } from '../errors.js'
import { hardenStatements, loosenStatements } from './hardening.js'
import { PhaseRow } from './phase.js'
import { looseIndexes, standingConstraints } from './standing.js'
import { namingHolders } from './table-holders.js'

/** A reader that holds a table is waited for this long; everybody else queues behind the wait. */
const LOCK = "SET LOCAL lock_timeout = '2s'"

/** Owns its session, which holds the drain lock, until it ends. */
export class Switch implements CutoverTransaction {
  readonly #database: Database
  readonly #session: Session
  readonly #schema: string
  readonly #phase: PhaseRow
  #ended = false

  constructor(database: Database, session: Session) {
    const { schema, stateSchema } = database.settings
    this.#database = database
    this.#session = session
    this.#schema = schema
    this.#phase = new PhaseRow(session, stateSchema)
  }

  state(): Promise<CutoverState> {
    return this.#phase.read()
  }

  async harden(tables: readonly CutoverTable[], { withActions }: { readonly withActions: boolean }): Promise<void> {
    const standing = {
      constraints: await standingConstraints(this.#session, this.#schema),
      indexes: await looseIndexes(this.#session, this.#schema),
    }
    await this.#run(hardenStatements(this.#schema, tables, { standing, withActions }))
  }

  async loosen(tables: readonly CutoverTable[]): Promise<void> {
    const constraints = await standingConstraints(this.#session, this.#schema)
    await this.#run(loosenStatements(this.#schema, tables, { constraints }))
  }

  /** In one message: hundreds of definitions would spend more time on their way than they take. */
  async #run(statements: readonly string[]): Promise<void> {
    try {
      await this.#session.raw([LOCK, ...statements].join(';\n'))
    } catch (error) {
      const fault = mapped(error)
      throw fault instanceof SyncError && fault.code === 'lock-timeout'
        ? await namingHolders(this.#database, fault)
        : fault
    }
  }

  async enter(phase: CutoverPhase, { withActions } = { withActions: false }): Promise<void> {
    await this.#phase.enter(phase, withActions)
  }

  async commit(): Promise<void> {
    await this.#session.raw('COMMIT').catch((error: unknown) => Promise.reject(mapped(error)))
    this.#end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return
    await this.#session.rollback()
    this.#end()
  }

  #end(): void {
    this.#ended = true
    this.#session.release()
  }
}
