import { type RowKey, type TableMapping, type TargetRow, WHOLE_TABLE } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { convertRows, SanitisedTally } from '../rows/convert-rows.js'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import { compareRows } from './compare-keys.js'
import {
  addFindings,
  countFindings,
  type Difference,
  type Findings,
  type FindingsLimits,
  noFindings,
  proven,
  REPORTED,
} from './findings.js'
import type { Moment } from './moment.js'
import { obstacleTo } from './obstacle.js'
import { newWalkState, type WalkState } from './walk-state.js'

/** Rows of one step, if they have the usual width; a step must end long before its snapshot costs the server anything. */
const STEP_BYTES = 4 << 20
const MAX_STEP_ROWS = 20_000
const MIN_STEP_ROWS = 100
const SURPLUS_PAGES = 10
/** Moments whose drain carried a table without a key: it cannot be compared then. */
const MAX_CARRIED = 20

/**
 * Walks one table, step by step, each step at a moment of its own choosing; what is found is exact for that moment. Its state
 * is plain data: a walk made of a stored one goes on where that one was.
 */
export class TableWalk {
  readonly #state: WalkState
  readonly #limits: FindingsLimits

  constructor(from: string | WalkState, limits: FindingsLimits = REPORTED) {
    this.#state = typeof from === 'string' ? newWalkState(from) : structuredClone(from)
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
      state.notCompared = obstacle
      state.phase = 'done'
      return true
    }
    this.#begin(moment)
    const mapping = moment.model.mapping(this.table)
    if (moment.model.isFullTable(this.table)) return this.#compareWhole(moment, mapping)
    if (state.phase === 'rows') await this.#compareRange(moment, mapping)
    else await this.#findSurplus(moment, mapping)
    return true
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
    if (state.generation !== null && state.generation !== generation) Object.assign(state, newWalkState(this.table))
    state.generation = generation
    if (state.latest !== moment.name) state.moments++
    state.latest = moment.name
    this.extend(moment)
  }

  #add(differences: Difference[], strays: (readonly string[])[]): void {
    addFindings(this.#state.findings, { differences, strays }, this.#limits)
  }

  async #compareRange(moment: Moment, mapping: TableMapping): Promise<void> {
    const state = this.#state
    const { lower } = state
    const upper = await moment.source.rows.keyAfter(mapping, lower, rowsOfStep(mapping))
    const { rows, found } = await compareRows(moment, mapping, moment.source.rows.readRange(mapping, { lower, upper }))
    this.#add(await proven(moment, this.table, found), [])
    state.rows += rows
    state.lacking += found.filter(({ kind }) => kind === 'missing').length
    state.lower = upper
    if (upper !== null) return
    // All rows at one moment: the target holds surplus ones only if it counts more.
    const isAll = state.moments === 1 && (await moment.target.lookup.count(mapping)) === state.rows - state.lacking
    state.phase = isAll ? 'done' : 'surplus'
  }

  async #findSurplus(moment: Moment, mapping: TableMapping): Promise<void> {
    const { source, target } = moment
    const state = this.#state
    for (let page = 0; page < SURPLUS_PAGES && !this.isDone; page++) {
      const { keys, strays, next } = await target.lookup.keysAfter(mapping, state.after, KEYS_PER_QUERY)
      const held = new Set<RowKey>()
      if (keys.length > 0) for (const { key } of await source.rows.readColumns(mapping, keys, [])) held.add(key)
      const found = keys.filter((key) => !held.has(key))
      const surplus = found.map((key): Difference => ({ key, kind: 'surplus', columns: [] }))
      this.#add(await proven(moment, this.table, surplus), [...strays])
      state.after = next
      if (next === null) state.phase = 'done'
    }
  }

  async #compareWhole(moment: Moment, mapping: TableMapping): Promise<boolean> {
    const state = this.#state
    const { target, quarantine } = moment
    const carried = await target.history.recordedKeys(moment.drains, this.table, [WHOLE_TABLE])
    if (carried.size > 0 || (await target.parked.among(this.table, [WHOLE_TABLE])).size > 0) {
      if (++state.carried < MAX_CARRIED) return false
      state.notCompared = 'every drain carries it as a whole; compare it while its writers pause'
    } else {
      const { rows, missing, surplus } = await target.lookup.compareWhole(mapping, converted(moment, mapping))
      const isRefused = quarantine.find(this.table, WHOLE_TABLE) !== undefined
      state.rows = rows
      if (!isRefused) Object.assign(state.findings.counts, { missing, surplus })
    }
    state.phase = 'done'
    return true
  }
}

async function* converted({ source }: Moment, mapping: TableMapping): AsyncIterable<readonly TargetRow[]> {
  const tally = new SanitisedTally()
  for await (const raw of source.rows.readRange(mapping, { lower: null, upper: null }))
    yield convertRows(mapping, raw, tally).rows
}

function rowsOfStep({ source: { estimatedRows, estimatedBytes } }: TableMapping): number {
  const width = Math.max(40, estimatedBytes / Math.max(1, estimatedRows))
  return Math.min(MAX_STEP_ROWS, Math.max(MIN_STEP_ROWS, Math.floor(STEP_BYTES / width)))
}
