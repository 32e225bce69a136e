import { isOpen, type RowKey, type TableMapping, type TargetRow, WHOLE_TABLE } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { isTransactional } from '../model/model.js'
import { convertRows, SanitisedTally } from '../rows/convert-rows.js'
import { KEYS_PER_QUERY } from '../slice/closure.js'
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

/** Where a walk is. */
interface Cursor {
  phase: 'rows' | 'surplus' | 'done'
  lower: RowKey | null
  after: readonly string[] | null
  /** Rows of the source that the target lacked, be that proven or not. */
  lacking: number
  /** Moments whose drains carried the table as a whole. */
  carried: number
  /** The moment that all steps so far shared; null after a second one. */
  moment: Moment | null | undefined
}

/** Walks one table, step by step, each step at a moment of its own choosing; what is found is exact for that moment. */
export class TableWalk {
  readonly table: string
  readonly differences: Difference[] = []
  /** Texts of target rows that no key of the source can address; they are surplus. */
  readonly strays: (readonly string[])[] = []
  /** Of rows that were compared: those of the source, and, of a table without a key, those that only one side holds. */
  readonly counts = { rows: 0, missing: 0, surplus: 0 }
  /** The earliest and the latest moment of its steps. */
  span: { readonly since: string; readonly until: string } | null = null
  /** Why the table was not compared; null while nothing speaks against it. */
  notCompared: string | null = null
  readonly #cursor: Cursor = { phase: 'rows', lower: null, after: null, lacking: 0, carried: 0, moment: undefined }

  constructor(table: string) {
    this.table = table
  }

  get isDone(): boolean {
    return this.#cursor.phase === 'done'
  }

  /** Nothing differs, as far as it was compared. */
  get isEqual(): boolean {
    const { missing, surplus } = this.counts
    return this.differences.length === 0 && this.strays.length === 0 && missing === 0 && surplus === 0
  }

  /** Compares the next part. Returns false if the moment is no use to this table, and another one is needed. */
  async step(context: EngineContext, moment: Moment): Promise<boolean> {
    const obstacle = await obstacleTo(context, moment, this.table)
    if (obstacle !== null) {
      this.notCompared = obstacle
      this.#cursor.phase = 'done'
      return true
    }
    const cursor = this.#cursor
    cursor.moment = cursor.moment === undefined || cursor.moment === moment ? moment : null
    this.span = { since: this.span?.since ?? moment.takenAt, until: moment.takenAt }
    const mapping = moment.model.mapping(this.table)
    if (moment.model.isFullTable(this.table)) return this.#compareWhole(moment, mapping)
    if (cursor.phase === 'rows') await this.#compareRange(moment, mapping)
    else await this.#findSurplus(moment, mapping)
    return true
  }

  /** Replaces what was found by what is left of it at a later moment. */
  settle(left: readonly Difference[], until: string): void {
    this.differences.splice(0, this.differences.length, ...left)
    this.strays.length = 0
    this.span = { since: this.span?.since ?? until, until }
  }

  settleWhole({ counts, span, notCompared }: TableWalk): void {
    Object.assign(this.counts, counts)
    this.span = span
    this.notCompared = notCompared
  }

  async #compareRange(moment: Moment, mapping: TableMapping): Promise<void> {
    const cursor = this.#cursor
    const { lower } = cursor
    const upper = await moment.source.rows.keyAfter(mapping, lower, rowsOfStep(mapping))
    const { rows, found } = await compareRows(moment, mapping, moment.source.rows.readRange(mapping, { lower, upper }))
    this.counts.rows += rows
    this.differences.push(...(await proven(moment, this.table, found)))
    cursor.lacking += found.filter(({ kind }) => kind === 'missing').length
    cursor.lower = upper
    if (upper !== null) return
    // All rows at one moment: the target holds surplus ones only if it counts more.
    const isAtOnce = cursor.moment === moment
    const isFull = isAtOnce && (await moment.target.lookup.count(mapping)) === this.counts.rows - cursor.lacking
    cursor.phase = isFull ? 'done' : 'surplus'
  }

  async #findSurplus(moment: Moment, mapping: TableMapping): Promise<void> {
    const { source, target } = moment
    const cursor = this.#cursor
    for (let page = 0; page < SURPLUS_PAGES && cursor.phase !== 'done'; page++) {
      const { keys, strays, next } = await target.lookup.keysAfter(mapping, cursor.after, KEYS_PER_QUERY)
      this.strays.push(...strays)
      const held = new Set<RowKey>()
      if (keys.length > 0) for (const { key } of await source.rows.readColumns(mapping, keys, [])) held.add(key)
      const found = keys.filter((key) => !held.has(key))
      const surplus = found.map((key): Difference => ({ key, kind: 'surplus', columns: [] }))
      this.differences.push(...(await proven(moment, this.table, surplus)))
      cursor.after = next
      if (next === null) cursor.phase = 'done'
    }
  }

  async #compareWhole(moment: Moment, mapping: TableMapping): Promise<boolean> {
    const cursor = this.#cursor
    const { target, quarantine } = moment
    const carried = await target.history.recordedKeys(moment.drains, this.table, [WHOLE_TABLE])
    if (carried.size > 0 || (await target.parked.among(this.table, [WHOLE_TABLE])).size > 0) {
      if (++cursor.carried < MAX_CARRIED) return false
      this.notCompared = 'every drain carries it as a whole; compare it while its writers pause'
    } else {
      const { rows, missing, surplus } = await target.lookup.compareWhole(mapping, converted(moment, mapping))
      const isRefused = quarantine.find(this.table, WHOLE_TABLE) !== undefined
      Object.assign(this.counts, isRefused ? { rows } : { rows, missing, surplus })
    }
    cursor.phase = 'done'
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
  if (mapping === undefined) return 'it is no longer selected'
  // Its rows are in no snapshot, so they are compared only if they have not changed since they were copied.
  if (!isTransactional(mapping.source)) {
    const now = await context.source.catalog.contentFingerprint(table)
    if (now !== progress.contentFingerprint) return 'it has changed since it was copied; it takes no triggers'
  }
  return null
}

function rowsOfStep({ source: { estimatedRows, estimatedBytes } }: TableMapping): number {
  const width = Math.max(40, estimatedBytes / Math.max(1, estimatedRows))
  return Math.min(MAX_STEP_ROWS, Math.max(MIN_STEP_ROWS, Math.floor(STEP_BYTES / width)))
}
