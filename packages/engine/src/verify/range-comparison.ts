import {
  type KeyRange,
  type RawRow,
  type RowDigest,
  type RowKey,
  type TableMapping,
  ValueRefused,
} from '@mylab-sync/core'
import { both } from '@mylab-sync/runtime'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import { slices } from '../slice/dirty-keys.js'
import { compareKeys } from './compare-keys.js'
import { compareRows } from './compare-rows.js'
import { combined, digestOfKeys, type DigestOf, digestWithout, NO_ROWS, sameDigest } from './digests.js'
import { ExemptKeys } from './exempt-keys.js'
import type { Difference } from './findings.js'
import type { Moment } from './moment.js'
import { proven } from './proven.js'

/** A range whose digests differ is divided into so many parts, down to so many rows, which are compared by value. */
const PARTS = 8
const LEAF_ROWS = 1_000

/** What a range holds. */
export interface RangeOutcome {
  /** Rows of the source. */
  rows: number
  /** Rows of the source that the target holds too, without exempt ones; NaN if it is unknown how many. */
  expected: number
  readonly differences: Difference[]
  readonly strays: (readonly string[])[]
  /** The digest of the rows that equal digests proved. */
  proven: RowDigest
}

/** Compares ranges of one table at one moment: by digests where these prove something, otherwise value by value. */
export class RangeComparison {
  readonly moment: Moment
  readonly #mapping: TableMapping
  readonly #exempt: ExemptKeys
  /** The key and the columns with a digest rule. */
  readonly #digested: TableMapping
  /** The key and the columns without one; null if there are none. */
  readonly #undigested: TableMapping | null

  private constructor(moment: Moment, mapping: TableMapping, exempt: ExemptKeys) {
    this.moment = moment
    this.#mapping = mapping
    this.#exempt = exempt
    const key = new Set(mapping.key?.columns.map(({ column }) => column))
    const rest = mapping.columns.filter((column) => column.digest === null)
    this.#digested = { ...mapping, columns: mapping.columns.filter((column) => column.digest !== null) }
    const columns = mapping.columns.filter((column) => key.has(column) || rest.includes(column))
    this.#undigested = rest.length === 0 ? null : { ...mapping, columns }
  }

  static async begin(moment: Moment, mapping: TableMapping): Promise<RangeComparison> {
    return new RangeComparison(moment, mapping, await ExemptKeys.read(moment, mapping))
  }

  /** Surplus rows of the target are found in a range too: both servers order its keys alike. */
  isOrdered({ lower, upper }: KeyRange): boolean {
    return this.#mapping.key?.sameOrder === true && this.#isHeld(lower) && this.#isHeld(upper)
  }

  async byDigest(range: KeyRange): Promise<RangeOutcome & { readonly isProven: boolean }> {
    const outcome = { ...nothing(), isProven: true }
    await this.#narrow(range, outcome)
    return outcome
  }

  /** Value by value; of a range that is not ordered, the source's rows alone. */
  async byValue(range: KeyRange): Promise<RangeOutcome> {
    const outcome = nothing()
    await this.#compareAll(range, outcome)
    return outcome
  }

  /** How many rows of the target no row of the source accounts for; only if all of the table was compared at this moment. */
  async countUnexpected(expected: number): Promise<number | null> {
    const exempt = this.#exempt.within({ lower: null, upper: null })
    if (exempt === null) return null
    const { lookup } = this.moment.target
    let rows = await lookup.count(this.#mapping)
    for (const keys of slices(exempt, KEYS_PER_QUERY)) rows -= (await lookup.present(this.#mapping, keys)).length
    return rows - expected
  }

  async #narrow(range: KeyRange, outcome: RangeOutcome & { isProven: boolean }): Promise<void> {
    const exempt = this.#exempt.within(range)
    if (exempt === null) return await this.#compareAll(range, outcome)
    const [source, target] = await both(this.#ofSource(range, exempt), this.#ofTarget(range, exempt))
    if (sameDigest(source.digest, target)) {
      outcome.rows += source.rows
      outcome.expected += source.digest.rows
      outcome.proven = combined(outcome.proven, source.digest, 1)
      if (this.#undigested !== null) await this.#compareUndigested(range, this.#undigested, outcome)
      return
    }
    outcome.isProven = false
    if (source.rows <= LEAF_ROWS) return await this.#compareAll(range, outcome)
    for (const part of await this.#partsOf(range, source.rows)) await this.#narrow(part, outcome)
  }

  #ofSource(range: KeyRange, exempt: readonly RowKey[]): ReturnType<typeof digestWithout> {
    const { rows } = this.moment.source
    return digestWithout((scope) => rows.digest(this.#digested, scope), { range, keys: null }, exempt)
  }

  async #ofTarget(range: KeyRange, exempt: readonly RowKey[]): Promise<RowDigest> {
    const { comparison } = this.moment.target
    const digestOf: DigestOf = (scope) => comparison.digest(this.#digested, scope)
    if (this.isOrdered(range)) return (await digestWithout(digestOf, { range, keys: null }, exempt)).digest
    return await digestOfKeys(digestOf, this.#keysOf(range, new Set(exempt)))
  }

  /** The source's keys, read over a connection of their own moment after the source's digest. */
  async *#keysOf(range: KeyRange, exempt: ReadonlySet<RowKey>): AsyncIterable<RowKey[]> {
    const keys = { ...this.#mapping, columns: [] }
    for await (const rows of this.moment.source.rows.readRange(keys, range))
      yield rows.map(({ key }) => key).filter((key) => !exempt.has(key))
  }

  /** All columns of all rows, and the keys of the target's rows where both servers order them alike. */
  async #compareAll(range: KeyRange, outcome: RangeOutcome): Promise<void> {
    const { source, target } = this.moment
    const mapping = this.#mapping
    const exempt = this.#exempt.within(range)
    const notExempt = (keys: readonly RowKey[]): number => without(keys, new Set(exempt)).length
    const seen = new Set<RowKey>()
    const { rows, found } = await compareRows(this.moment, mapping, noting(seen, source.rows.readRange(mapping, range)))
    const missing = found.filter(({ kind }) => kind === 'missing').map(({ key }) => key)
    outcome.rows += rows
    outcome.expected += exempt === null ? Number.NaN : notExempt([...seen]) - notExempt(missing)
    outcome.differences.push(...(await this.#proven(found)))
    if (!this.isOrdered(range)) return
    let after: readonly string[] | null = null
    do {
      const page = await target.comparison.keysWithin(mapping, range, { after, limit: KEYS_PER_QUERY })
      outcome.strays.push(...page.strays)
      outcome.differences.push(...(await this.surplus(without(page.keys, seen))))
      after = page.next
    } while (after !== null)
  }

  /** Those of these keys of target rows that the source lacks. */
  async surplus(keys: readonly RowKey[]): Promise<Difference[]> {
    if (keys.length === 0) return []
    const held = await this.moment.source.rows.readColumns(this.#mapping, keys, [])
    const lacking = without(keys, new Set(held.map(({ key }) => key)))
    return await this.#proven(lacking.map((key): Difference => ({ key, kind: 'surplus', columns: [] })))
  }

  async #compareUndigested(range: KeyRange, columns: TableMapping, { differences }: RangeOutcome): Promise<void> {
    const { found } = await compareRows(this.moment, columns, this.moment.source.rows.readRange(columns, range))
    const keys = found.map(({ key }) => key)
    if (keys.length > 0) differences.push(...(await compareKeys(this.moment, this.#mapping, keys)))
  }

  #proven(found: readonly Difference[]): Promise<Difference[]> {
    return proven(this.moment, this.#mapping.source.name, found)
  }

  async #partsOf({ lower, upper }: KeyRange, rows: number): Promise<KeyRange[]> {
    const parts: KeyRange[] = []
    let from = lower
    while (parts.length < PARTS - 1) {
      const bound = await this.moment.source.rows.keyAfter(this.#mapping, from, Math.ceil(rows / PARTS))
      if (bound === null) break
      parts.push({ lower: from, upper: bound })
      from = bound
    }
    return [...parts, { lower: from, upper }]
  }

  /** The target has a text for this bound. */
  #isHeld(bound: RowKey | null): boolean {
    if (bound === null) return true
    const tokens = bound.split(',')
    try {
      for (const [at, column] of (this.#mapping.key?.columns ?? []).entries()) column.toTarget(tokens[at] ?? '')
      return true
    } catch (error) {
      if (error instanceof ValueRefused) return false
      throw error
    }
  }
}

function nothing(): RangeOutcome {
  return { rows: 0, expected: 0, differences: [], strays: [], proven: NO_ROWS }
}

function without(keys: readonly RowKey[], others: ReadonlySet<RowKey>): RowKey[] {
  return keys.filter((key) => !others.has(key))
}

async function* noting(seen: Set<RowKey>, batches: AsyncIterable<RawRow[]>): AsyncIterable<RawRow[]> {
  for await (const batch of batches) {
    for (const { key } of batch) seen.add(key)
    yield batch
  }
}
