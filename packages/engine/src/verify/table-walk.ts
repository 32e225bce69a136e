import { type KeyRange, type RowDigest, type RowKey, type TableMapping, WHOLE_TABLE } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import {
  addFindings,
  countFindings,
  type Difference,
  type Findings,
  type FindingsLimits,
  noFindings,
  REPORTED,
} from './findings.js'
import type { Moment } from './moment.js'
import { compareKeys } from './compare-keys.js'
import { compareMultisets } from './compare-multisets.js'
import { type Fault, obstacleTo } from './obstacle.js'
import { RangeComparison, type RangeOutcome } from './range-comparison.js'
import { newWalkState, type WalkState } from './walk-state.js'

interface Step {
  readonly bytes: number
  readonly rows: number
}
/** Most of one step, which has to end long before a snapshot costs its server anything. */
const DIGEST_STEP: Step = { bytes: 16 << 20, rows: 50_000 }
const VALUE_STEP: Step = { bytes: 4 << 20, rows: 20_000 }
const MIN_STEP_ROWS = 100
export const SAMPLE_PAGE_ROWS = 1_000
/** Steps whose digests differ in vain, and for how many steps digests are left out then. */
const MAX_VAIN = 2
const STEPS_BY_VALUE = 30
const SURPLUS_PAGES = 10
/** Consecutive moments that were of use to no walk because their drains carried the tables without a key that were left. */
const MAX_CARRIED = 5
const CARRIED = 'it changes all the time, and every drain carries it as a whole; compare it while its writers pause'
/** Consecutive moments that proved nothing of a table. */
const MAX_FAILURES = 5

/**
 * Walks one table, step by step, each step at a moment of its own choosing; what is found is exact for that moment. Its state
 * is plain data: a walk made of a stored one goes on where that one was.
 */
export class TableWalk {
  readonly #state: WalkState
  readonly #limits: FindingsLimits
  /** Of the rows; below 1, a sample by pages of key ranges. */
  readonly #share: number
  #comparison: RangeComparison | undefined
  /** As it was before the latest moment. */
  #before: WalkState | undefined
  /** Consecutive steps whose digests differed although nothing else did, and how many steps do without digests now. */
  #vain = 0
  #byValueFor = 0

  constructor(
    from: string | WalkState,
    { limits = REPORTED, share = 1 }: { readonly limits?: FindingsLimits; readonly share?: number } = {},
  ) {
    this.#share = share
    // One that an older version stored may lack fields.
    this.#state =
      typeof from === 'string' ? newWalkState(from) : { ...newWalkState(from.table), ...structuredClone(from) }
    this.#limits = limits
  }

  get table(): string {
    return this.#state.table
  }

  /** The current state; it changes with every step. */
  get state(): Readonly<WalkState> {
    return this.#state
  }

  get isDone(): boolean {
    return this.#state.phase === 'done'
  }

  /** Nothing differs, as far as it was compared. */
  get isEqual(): boolean {
    return countFindings(this.#state.findings) === 0
  }

  /** Compares the next part. Returns false if this table needs another moment. */
  async step(context: EngineContext, moment: Moment): Promise<boolean> {
    const state = this.#state
    const obstacle = await obstacleTo(context, moment, this.table)
    if (obstacle !== null) {
      this.leaveOut(obstacle)
      return true
    }
    this.#begin(moment)
    const mapping = moment.model.mapping(this.table)
    if (moment.model.isFullTable(this.table)) return this.#compareWhole(moment, mapping)
    if (this.#comparison?.moment !== moment) this.#comparison = await RangeComparison.begin(moment, mapping)
    if (this.#share < 1 && state.rows === 0 && state.lower === null)
      state.lower = await moment.source.rows.keyAfter(mapping, null, this.#skipped(Math.random()))
    if (state.phase === 'rows') await this.#compareRange(this.#comparison, mapping)
    else await this.#findSurplus(this.#comparison, mapping)
    if (this.isDone) this.#comparison = undefined
    return true
  }

  /** Compares only these keys, at one moment, and is done. */
  async compareOnly(context: EngineContext, moment: Moment, keys: readonly RowKey[]): Promise<void> {
    const obstacle = await obstacleTo(context, moment, this.table)
    if (obstacle !== null) return this.leaveOut(obstacle)
    this.#begin(moment)
    const state = this.#state
    state.rows = keys.length
    state.phase = 'done'
    this.#add(await compareKeys(moment, moment.model.mapping(this.table), keys), [])
  }

  /** Ends the walk, and says why the rest is not compared. */
  leaveOut(reason: string): void {
    this.#state.notCompared = reason
    this.#state.phase = 'done'
  }

  /**
   * Forgets what was found at this moment, the latest one, which proves nothing of the table. Goes on at a later one, unless
   * that was in vain too often.
   */
  postpone(moment: Moment, { why, isFinal }: Pick<Fault, 'why' | 'isFinal'>): void {
    const state = this.#state
    const { moments, latest } = state
    if (latest === moment.name) Object.assign(state, this.#before, { moments, latest })
    if (++state.failures >= MAX_FAILURES || isFinal) this.leaveOut(why)
  }

  /** What was found at the latest moment holds. */
  confirm(): void {
    Object.assign(this.#state, { failures: 0, carried: 0 })
  }

  /** The latest moment was of use to no walk, and opening it took a drain. */
  noteVain(): void {
    if (++this.#state.carried >= MAX_CARRIED) this.leaveOut(CARRIED)
  }

  /** Empties the lists of what was found and returns them; the counts stay. */
  takeListed(): Findings {
    const { findings } = this.#state
    this.#state.findings = { ...noFindings(), counts: findings.counts }
    return findings
  }

  /** Takes over the outcome of another walk over the same table. */
  replaceBy({ state }: TableWalk): void {
    Object.assign(this.#state, state)
  }

  /** Its findings hold for this moment too. */
  extend({ takenAt, drains: { first, last } }: Moment): void {
    const state = this.#state
    state.span = { since: state.span?.since ?? takenAt, until: takenAt }
    state.drains = { first: state.drains?.first ?? first, last }
  }

  #begin(moment: Moment): void {
    const state = this.#state
    const generation = moment.model.generation(this.table)
    if (state.latest !== moment.name) {
      this.#before = structuredClone(state)
      state.moments++
      state.latest = moment.name
    }
    if (state.generation !== null && state.generation !== generation) {
      const { latest, failures } = state
      Object.assign(state, newWalkState(this.table), { moments: 1, latest, failures })
    }
    state.generation = generation
    this.extend(moment)
  }

  #add(differences: Difference[], strays: (readonly string[])[]): void {
    addFindings(this.#state.findings, { differences, strays }, this.#limits)
  }

  async #compareRange(comparison: RangeComparison, mapping: TableMapping): Promise<void> {
    const state = this.#state
    const { lower } = state
    const { rows: source } = comparison.moment.source
    const upper = await source.keyAfter(mapping, lower, this.#rowsOfStep(mapping))
    const outcome = await this.#compare(comparison, { lower, upper })
    this.#add(outcome.differences, outcome.strays)
    state.rows += outcome.rows
    state.proven = added(state.proven, outcome.proven)
    state.expected = state.expected === null ? null : numberOrNull(state.expected + outcome.expected)
    state.isOrdered &&= comparison.isOrdered({ lower, upper })
    state.lower = upper === null || this.#share === 1 ? upper : await source.keyAfter(mapping, upper, this.#skipped(1))
    if (state.lower !== null) return
    state.phase = this.#share < 1 || (await this.#isWithoutSurplus(comparison)) ? 'done' : 'surplus'
  }

  #rowsOfStep(mapping: TableMapping): number {
    if (this.#share < 1) return SAMPLE_PAGE_ROWS
    return rowsOfStep(mapping, this.#byValueFor === 0 ? DIGEST_STEP : VALUE_STEP)
  }

  /** Rows between two pages of a sample: on average as many as leave the share, never the same. */
  #skipped(pages: number): number {
    return Math.max(1, Math.round(pages * SAMPLE_PAGE_ROWS * (1 / this.#share - 1) * (0.5 + Math.random())))
  }

  /** By value for some steps where digests have twice proved nothing, although nothing differed. */
  async #compare(comparison: RangeComparison, range: KeyRange): Promise<RangeOutcome> {
    if (this.#byValueFor > 0) {
      this.#byValueFor--
      return await comparison.byValue(range)
    }
    const outcome = await comparison.byDigest(range)
    const isVain = !outcome.isProven && outcome.differences.length === 0 && outcome.strays.length === 0
    this.#vain = isVain ? this.#vain + 1 : 0
    if (this.#vain >= MAX_VAIN) this.#byValueFor = STEPS_BY_VALUE
    return outcome
  }

  /** Ranges of keys that both servers order alike include surplus rows; of others at one moment the number tells. */
  async #isWithoutSurplus(comparison: RangeComparison): Promise<boolean> {
    const { isOrdered, moments, expected } = this.#state
    if (isOrdered) return true
    return moments === 1 && expected !== null && (await comparison.countUnexpected(expected)) === 0
  }

  async #findSurplus(comparison: RangeComparison, mapping: TableMapping): Promise<void> {
    const { target } = comparison.moment
    const state = this.#state
    for (let page = 0; page < SURPLUS_PAGES && !this.isDone; page++) {
      const { keys, strays, next } = await target.lookup.keysAfter(mapping, state.after, KEYS_PER_QUERY)
      this.#add(await comparison.surplus(keys), [...strays])
      state.after = next
      if (next === null) state.phase = 'done'
    }
  }

  async #compareWhole(moment: Moment, mapping: TableMapping): Promise<boolean> {
    const state = this.#state
    const { target, quarantine } = moment
    const carried = await target.history.recordedKeys(moment.drains, this.table, [WHOLE_TABLE])
    if (carried.size > 0 || (await target.parked.among(this.table, [WHOLE_TABLE])).size > 0) return false
    const { rows, missing, surplus } = await compareMultisets(moment, mapping)
    // Refused rows are missing, and it is not recorded how many they are.
    const isRefused = quarantine.find(this.table, WHOLE_TABLE) !== undefined
    state.rows = rows
    Object.assign(state.findings.counts, { missing: isRefused ? 0 : missing, surplus })
    state.phase = 'done'
    return true
  }
}

/** Rows of the usual width. */
function rowsOfStep({ source: { estimatedRows, estimatedBytes } }: TableMapping, { bytes, rows }: Step): number {
  const width = Math.max(40, estimatedBytes / Math.max(1, estimatedRows))
  return Math.min(rows, Math.max(MIN_STEP_ROWS, Math.floor(bytes / width)))
}

function added({ rows, sums: [a, b] }: WalkState['proven'], more: RowDigest): WalkState['proven'] {
  const [c, d] = more.sums
  return { rows: rows + more.rows, sums: [String(BigInt(a) + c), String(BigInt(b) + d)] }
}

function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value
}
