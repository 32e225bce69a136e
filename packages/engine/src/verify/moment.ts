import { randomUUID } from 'node:crypto'
import {
  type DrainRange,
  type SourceSnapshot,
  SyncError,
  type TableProgress,
  type TargetTransaction,
} from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { drain } from '../drain/drain.js'
import type { CompletedDrain } from '../drain/drain-report.js'
import { DRAIN_WAIT_MS } from '../drain/pass.js'
import type { Model } from '../model/model.js'
import { Quarantine } from '../rows/quarantine.js'

/** Further attempts after drains whose keys are no longer kept. */
const MAX_ATTEMPTS = 5

/**
 * A moment at which both sides are known to be equal (DESIGN 11). `source` was opened between the snapshots of the first of
 * these drains and the one before it, `target` after the last one's commit. A row whose key none of them carried is the
 * same in both, or it is wrong. Neither drains nor writers wait for it.
 */
export class Moment implements AsyncDisposable {
  readonly context: EngineContext
  readonly drains: DrainRange
  readonly model: Model
  readonly source: SourceSnapshot
  readonly target: TargetTransaction
  readonly states: ReadonlyMap<string, TableProgress>
  readonly quarantine: Quarantine
  /** ISO 8601 in UTC, by the source's clock. */
  readonly takenAt: string
  /** Of the drain that it took, a drain like any other. */
  readonly report: CompletedDrain
  /** No two moments have the same. */
  readonly name = randomUUID()

  private constructor(
    context: EngineContext,
    sides: {
      readonly last: number
      readonly report: CompletedDrain
      source: SourceSnapshot
      target: TargetTransaction
    },
    seen: { readonly states: ReadonlyMap<string, TableProgress>; readonly quarantine: Quarantine },
  ) {
    this.context = context
    this.drains = { first: sides.report.drain, last: sides.last }
    this.report = sides.report
    this.model = sides.report.model
    this.source = sides.source
    this.target = sides.target
    this.takenAt = sides.source.takenAt
    this.states = seen.states
    this.quarantine = seen.quarantine
  }

  /** Runs a drain. Throws SyncError lock-timeout if the keys of drains of other processes that come between are not kept. */
  static async open(context: EngineContext, model: Model): Promise<Moment> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const moment = await Moment.#tryOpen(context, model)
      if (moment !== null) return moment
    }
    throw new SyncError('lock-timeout', 'drains of other processes carry more keys than are kept', {
      remedy: 'try again',
    })
  }

  static async #tryOpen(context: EngineContext, model: Model): Promise<Moment | null> {
    let source: SourceSnapshot | undefined
    let target: TargetTransaction | undefined
    try {
      const report = await drain(context, model, {
        waitMs: DRAIN_WAIT_MS,
        beforeSnapshot: async () => {
          await source?.[Symbol.asyncDispose]()
          source = undefined
          source = await context.source.openSnapshot()
        },
      })
      if (report.kind === 'busy' || source === undefined) return null
      target = await context.target.beginSnapshot()
      // Drains of other processes may have come between.
      const { number: last } = await target.history.last()
      if (!(await target.history.keepsAfter(report.drain - 1))) return null
      const seen = { states: await target.tables.all(), quarantine: new Quarantine(await target.quarantine.all()) }
      const moment = new Moment(context, { last, report, source, target }, seen)
      // From here on the moment owns both.
      source = undefined
      target = undefined
      return moment
    } finally {
      await target?.[Symbol.asyncDispose]()
      await source?.[Symbol.asyncDispose]()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.target[Symbol.asyncDispose]()
    await this.source[Symbol.asyncDispose]()
  }
}
