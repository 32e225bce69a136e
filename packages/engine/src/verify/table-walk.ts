import { isOpen, type RowKey, type TableMapping, type TargetRow } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { isTransactional } from '../model/model.js'
import { convertRows, SanitisedTally } from '../rows/convert-rows.js'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import { slices } from '../slice/dirty-keys.js'
import { compareRows } from './compare-keys.js'
import { type Difference, proven } from './findings.js'
import type { Moment } from './moment.js'

/** Rows of one step, of the usual width; a step has to end long before a snapshot costs its server anything. */
const STEP_BYTES = 4 << 20
const MAX_STEP_ROWS = 20_000
const MIN_STEP_ROWS = 100
const SURPLUS_PAGES = 10
/** Moments whose drain carried a table without a key: it cannot be compared then. */
const MAX_CARRIED = 20

/** Walks one table, step by step, each step at a moment of its own choosing; what is found is exact for that moment. */
export class TableWalk {
  readonly table: string
  readonly differences: Difference[] = []
  /** Rows of a table without a key, and target rows that no key of the source can address. */
  missing = 0
  surplus = 0
  /** Rows of the source that were compared. */
  rows = 0
  /** Why the table was not compared; null while nothing speaks against it. */
  notCompared: string | null = null
  /** The earliest and the latest moment of its steps. */
  since: string | null = null
  until: string | null = null
  strays: (readonly string[])[] = []
  #phase: 'rows' | 'surplus' | 'done' = 'rows'
  #lower: RowKey | null = null
  #after: readonly string[] | null = null
  #carried = 0
  /** Rows of the source that the target lacked, be that proven or not. */
  #missed = 0
  /** The moment that all steps so far shared; null after a second one. */
  #moment: Moment | null | undefined

  constructor(table: string) {
    this.table = table
  }

  get isDone(): boolean {
    return this.#phase === 'done'
  }

  /** Compares the next part. Returns false if the moment is no use to this table, and another one is needed. */
  async step(context: EngineContext, moment: Moment): Promise<boolean> {
    const obstacle = await obstacleTo(context, moment, this.table)
    if (obstacle !== null) {
      this.notCompared = obstacle
      this.#phase = 'done'
      return true
    }
    this.#moment = this.#moment === undefined || this.#moment === moment ? moment : null
    this.since ??= moment.takenAt
    this.until = moment.takenAt
    const mapping = moment.model.mapping(this.table)
    if (moment.model.isFullTable(this.table)) return this.#compareWhole(moment, mapping)
    if (this.#phase === 'rows') await this.#compareRange(moment, mapping)
    else await this.#findSurplus(moment, mapping)
    return true
  }

  /** Replaces what was found by what is left of it at a later moment. */
  settle(left: readonly Difference[], until: string): void {
    this.differences.splice(0, this.differences.length, ...left)
    this.surplus -= this.strays.length
    this.strays = []
    this.until = until
  }

  settleWhole({ rows, missing, surplus, until, notCompared }: TableWalk): void {
    Object.assign(this, { rows, missing, surplus, until, notCompared })
  }

  async #compareRange(moment: Moment, mapping: TableMapping): Promise<void> {
    const lower = this.#lower
    const upper = await moment.source.rows.keyAfter(mapping, lower, rowsOfStep(mapping))
    const { rows, found } = await compareRows(moment, mapping, moment.source.rows.readRange(mapping, { lower, upper }))
    this.rows += rows
    this.differences.push(...(await proven(moment, this.table, found)))
    this.#missed += found.filter(({ kind }) => kind === 'missing').length
    this.#lower = upper
    if (upper !== null) return
    // All rows at one moment: the target holds more only if it counts more.
    const isFullTable = this.#moment === moment
    this.#phase =
      isFullTable && (await moment.target.lookup.count(mapping)) === this.rows - this.#missed ? 'done' : 'surplus'
  }

  async #findSurplus(moment: Moment, mapping: TableMapping): Promise<void> {
    const { source, target } = moment
    for (let page = 0; page < SURPLUS_PAGES; page++) {
      const { keys, strays, next } = await target.lookup.keysAfter(mapping, this.#after, KEYS_PER_QUERY)
      this.strays.push(...strays)
      this.surplus += strays.length
      const found: Difference[] = []
      for (const list of slices(keys, KEYS_PER_QUERY)) {
        const held = new Set((await source.rows.readColumns(mapping, list, [])).map(({ key }) => key))
        found.push(
          ...list.filter((key) => !held.has(key)).map((key): Difference => ({ key, kind: 'surplus', columns: [] })),
        )
      }
      this.differences.push(...(await proven(moment, this.table, found)))
      this.#after = next
      if (next === null) {
        this.#phase = 'done'
        return
      }
    }
  }

  async #compareWhole(moment: Moment, mapping: TableMapping): Promise<boolean> {
    const carried = await moment.target.history.recordedKeys(moment.drains, this.table, [''])
    if (carried.size > 0 || (await moment.target.parked.among(this.table, [''])).size > 0) {
      if (++this.#carried < MAX_CARRIED) return false
      this.notCompared = 'every drain carries it as a whole; compare it while its writers pause'
    } else {
      const { rows, missing, surplus } = await moment.target.lookup.compareWhole(mapping, converted(moment, mapping))
      this.rows = rows
      const isQuarantined = moment.quarantine.find(this.table, '') !== undefined
      if (!isQuarantined) {
        this.missing = missing
        this.surplus = surplus
      }
    }
    this.#phase = 'done'
    return true
  }
}

async function* converted({ source }: Moment, mapping: TableMapping): AsyncIterable<readonly TargetRow[]> {
  const tally = new SanitisedTally()
  for await (const raw of source.rows.readRange(mapping, { lower: null, upper: null }))
    yield convertRows(mapping, raw, tally).rows
}

/** Why this moment proves nothing of a table; null if it does. */
async function obstacleTo(
  context: EngineContext,
  { states, model, drains }: Moment,
  table: string,
): Promise<string | null> {
  const progress = states.get(table)
  if (!progress || !isOpen(progress.state)) {
    const cause = progress?.problem ? `: ${progress.problem}` : ''
    return `it is ${progress?.state ?? 'discovered'}${cause}`
  }
  // Chunks and catch-up read it at other moments.
  if (progress.openedDrain > drains.first) return 'it has just been opened'
  const mapping = model.tables.get(table)
  if (mapping === undefined) return 'it is not selected any more'
  // Its rows are in no snapshot, so they are compared only if they have not changed since they were copied.
  if (!isTransactional(mapping.source)) {
    const now = await context.source.catalog.contentFingerprint(table)
    if (now !== progress.contentSign) return 'it has changed since it was copied; it takes no triggers'
  }
  return null
}

function rowsOfStep({ source: { estimatedRows, estimatedBytes } }: TableMapping): number {
  const width = Math.max(40, estimatedBytes / Math.max(1, estimatedRows))
  return Math.min(MAX_STEP_ROWS, Math.max(MIN_STEP_ROWS, Math.floor(STEP_BYTES / width)))
}
