import {
  concernsAll,
  type DifferingKey,
  isOpen,
  isRetryable,
  isStopped,
  SyncError,
  type TableVerification,
  type TargetTransaction,
  type VerificationStep,
} from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { DrainReport } from '../drain/drain-report.js'
import type { Model } from '../model/model.js'
import type { TableStates } from '../tables/table-states.js'
import { writeTarget } from '../transactions.js'
import { advanceWalks } from './advance.js'
import { ALL, type FindingsLimits } from './findings.js'
import { pauseAfter, useMs } from './pace.js'
import { differingKeys } from './record-comparison.js'
import { type Differing, settleRepair, tryRepair, WHOLE } from './repair-found.js'
import { StoredWalk } from './stored-walk.js'

/** Between two looks while another process takes a step, and while there is nothing to compare. */
const BUSY_MS = 1_000
const IDLE_MS = 10_000
/** Tables that may share one moment. */
const MAX_WALKS = 500
/** What one step may find: no more than one drain repairs easily. */
const LISTED: FindingsLimits = { keys: 10_000, bytes: 2 << 20 }

/** A whole comparison that was asked for: it keeps no pace. */
export interface AskedVerification {
  /** null: all tables. */
  readonly table: string | null
  /** ISO 8601, by the source's clock: tables whose last pass began earlier are compared. */
  readonly since: string
}

export type BackgroundStep =
  /** Nothing was done; it is not worth asking again before this time. */
  | { readonly kind: 'waits'; readonly waitMs: number }
  /** Nothing is left to do. */
  | { readonly kind: 'none' }
  | {
      readonly kind: 'done'
      readonly waitMs: number
      readonly ms: number
      readonly rows: number
      /** Of the drains that it took, which are drains like any other. */
      readonly reports: readonly DrainReport[]
      /** Why tables could not be compared, of those where an error is the cause. */
      readonly faults: readonly SyncError[]
    }

export interface StepRequest {
  readonly asked?: AskedVerification
  /** In ms. */
  readonly clock?: () => number
}

/**
 * Takes the next step of verification by itself, if it is due: compares the table whose last pass is the oldest from where its
 * walk was, and more tables if there is time left. All processes together take one step at a time and keep to
 * `options.verify.share` of the time. Neither drains nor writers wait for it (DESIGN 11). Throws what a drain throws.
 */
export async function verifyStep(
  context: EngineContext,
  model: () => Promise<Model>,
  { asked, clock = () => performance.now() }: StepRequest = {},
): Promise<BackgroundStep> {
  if (asked === undefined && context.options.verify.share === 0) return { kind: 'none' }
  await using lock = await context.target.beginExclusive('verify')
  if (lock === null) return { kind: 'waits', waitMs: BUSY_MS }
  const { waitMs } = await lock.verification.pace()
  if (asked === undefined && waitMs > 0) return { kind: 'waits', waitMs }
  const pacer = new Pacer(context, asked === undefined, clock)
  const step = new Step({ context, lock, model: await model(), asked })
  if (!(await step.begin())) return asked ? { kind: 'none' } : { kind: 'waits', waitMs: IDLE_MS }
  try {
    await step.take()
  } catch (error) {
    await step.fail(error, pacer)
    throw error
  }
  const pace = await pacer.keep(lock, step.rows)
  await lock.commit()
  return { kind: 'done', ...pace, rows: step.rows, reports: step.reports, faults: step.faults }
}

/** Measures a step, failed ones too: they cost time as well. */
class Pacer {
  readonly #share: number
  readonly #clock: () => number
  readonly #began: number

  constructor({ options }: EngineContext, isPaced: boolean, clock: () => number) {
    this.#share = isPaced ? options.verify.share : 0
    this.#clock = clock
    this.#began = clock()
  }

  async keep(
    { verification }: TargetTransaction,
    rows: number,
  ): Promise<{ readonly ms: number; readonly waitMs: number }> {
    const ms = this.#clock() - this.#began
    if (this.#share === 0) return { ms, waitMs: 0 }
    const pauseMs = pauseAfter(ms, this.#share)
    await verification.keepPace({ ms, rows, pauseMs })
    return { ms, waitMs: pauseMs }
  }
}

interface StepParts {
  readonly context: EngineContext
  readonly lock: TargetTransaction
  readonly model: Model
  readonly asked: AskedVerification | undefined
}

class Step {
  readonly #parts: StepParts
  readonly #reports: DrainReport[] = []
  #known: ReadonlyMap<string, TableVerification> = new Map()
  #walks: readonly StoredWalk[] = []
  rows = 0
  faults: readonly SyncError[] = []

  constructor(parts: StepParts) {
    this.#parts = parts
  }

  get reports(): readonly DrainReport[] {
    return this.#reports
  }

  /** Returns false if there is nothing to compare. */
  async begin(): Promise<boolean> {
    const { lock, model, asked } = this.#parts
    this.#known = await lock.verification.all()
    const states = await lock.tables.all()
    const order = walkOrder(states, this.#known, asked).filter((table) => model.tables.has(table))
    this.#walks = order.slice(0, MAX_WALKS).map((table) => {
      const { walk = null } = this.#known.get(table) ?? {}
      const stored = new StoredWalk(table, walk, ALL)
      const isTooOld = asked !== undefined && isBefore(stored.walk.state.span?.since, asked.since)
      return isTooOld ? new StoredWalk(table, null, ALL) : stored
    })
    return this.#walks.length > 0
  }

  /** What it writes stands in the lock's transaction: nothing of a step is stored by a process that has lost the lock. */
  async take(): Promise<void> {
    const { context, lock } = this.#parts
    await this.#settleTried()
    const walks = this.#walks.map(({ walk }) => walk)
    const { model, rows, report, takenAt, faults } = await advanceWalks(context, this.#parts.model, walks, {
      ms: useMs,
      listed: LISTED,
    })
    this.#reports.push(report)
    this.rows += rows
    this.faults = faults
    const moved = this.#walks.filter((walk) => walk.hasMoved)
    const found = moved.flatMap((walk) => differingOf(model, walk))
    const isAuto = context.options.verify.repair === 'auto'
    if (isAuto && found.length > 0) await this.#repair(model, found)
    const keys = new Map(found.map((differing) => [differing.table, differing.keys]))
    const foundIn = (table: string): readonly DifferingKey[] => (isAuto ? [] : (keys.get(table) ?? []))
    await lock.verification.record(moved.map((walk) => this.#stepOf(walk, { found: foundIn(walk.table), takenAt })))
  }

  /** Failed steps cost time too. */
  async fail(error: unknown, pacer: Pacer): Promise<void> {
    try {
      await writeTarget(this.#parts.context, async (target) => {
        await pacer.keep(target, 0)
        if (!isRetryable(error) && !isStopped(error) && !concernsAll(error)) await this.#giveUp(target)
      })
    } catch (failure) {
      // The target is away. What the caller throws says so, or why the step failed before that.
      if (!(failure instanceof SyncError)) throw failure
    }
  }

  /** The table that cannot be compared goes to the end of the row: the others must not wait for it. */
  async #giveUp({ verification }: TargetTransaction): Promise<void> {
    const failed = this.#walks.findLast((walk) => walk.hasMoved)
    const { span = null } = failed?.walk.state ?? {}
    if (failed === undefined || span === null) return
    await verification.record([
      { ...this.#stepOf(failed, { found: [], takenAt: span.until }), walk: null, passed: span, notCompared: true },
    ])
  }

  /** Looks for the outcome of repairs whose process has died. */
  async #settleTried(): Promise<void> {
    const { context, lock, model } = this.#parts
    const tried = new Map<string, DifferingKey[]>()
    for (const { table, ...key } of await lock.verification.tried())
      tried.set(table, [...(tried.get(table) ?? []), key])
    const known = [...tried].flatMap(([table, keys]): Differing[] => {
      const rows = model.isFullTable(table) ? (this.#known.get(table)?.differing ?? 0) : keys.length
      return model.tables.has(table) ? [{ table, keys, rows }] : []
    })
    if (known.length === 0) return
    const { outcomes, reports } = await settleRepair(context, model, known)
    this.#reports.push(...reports)
    for (const outcome of outcomes) await lock.verification.settle(outcome.table, outcome)
  }

  async #repair(model: Model, found: readonly Differing[]): Promise<void> {
    const { context, lock } = this.#parts
    await tryRepair(context, model, found)
    const { outcomes, reports } = await settleRepair(context, model, found)
    this.#reports.push(...reports)
    for (const outcome of outcomes) {
      await lock.verification.settle(outcome.table, outcome)
      this.#walks.find(({ table }) => table === outcome.table)?.noteRepaired(outcome.repaired)
    }
  }

  #stepOf(
    stored: StoredWalk,
    { found, takenAt }: { readonly found: readonly DifferingKey[]; readonly takenAt: string },
  ): VerificationStep {
    const { table, walk, isNew, hasRestarted, differing } = stored
    const { span, rows, notCompared } = walk.state
    const known = this.#known.get(table)
    // What was compared before an obstacle came up stays compared.
    const isInterrupted = notCompared !== null && rows > 0
    return {
      table,
      walk: isInterrupted ? (known?.walk ?? null) : stored.toStore(),
      replaced: known?.replaced ?? 0,
      isFirst: isNew || hasRestarted,
      found,
      differing,
      passed: walk.isDone ? (span ?? { since: takenAt, until: takenAt }) : null,
      notCompared: notCompared !== null,
    }
  }
}

/** Takes the lists out of the walk. */
function differingOf(model: Model, stored: StoredWalk): Differing[] {
  const { table, found: rows } = stored
  const listed = stored.walk.takeListed()
  if (rows <= 0) return []
  const keys = model.isFullTable(table) ? [WHOLE] : differingKeys(model, table, listed)
  return [{ table, keys, rows }]
}

/** Open tables: the one whose last pass is the oldest first, and among those that never had one, that which is under way. */
export function walkOrder(
  states: TableStates,
  known: ReadonlyMap<string, TableVerification>,
  asked?: AskedVerification,
): string[] {
  const open = [...states.values()].filter(({ state }) => isOpen(state)).map(({ table }) => table)
  const passedOf = (table: string): string | undefined => known.get(table)?.passed?.since
  const isWanted = (table: string): boolean =>
    asked === undefined ||
    ((asked.table === null || asked.table === table) &&
      (passedOf(table) === undefined || isBefore(passedOf(table), asked.since)))
  const rank = (table: string): [string, number, string] => [
    passedOf(table) ?? '',
    known.get(table)?.walk ? 0 : 1,
    table,
  ]
  return open
    .filter(isWanted)
    .map(rank)
    .sort((a, b) => compare(a, b))
    .map(([, , table]) => table)
}

function compare(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  for (const [at, left] of a.entries()) {
    const right = b[at] ?? ''
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}

function isBefore(moment: string | undefined, other: string): boolean {
  return moment !== undefined && Date.parse(moment) < Date.parse(other)
}
