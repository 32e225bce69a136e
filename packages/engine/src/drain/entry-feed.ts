import { batchesOf, type ChangeEntry, type ParkedKey } from '@mylab-sync/core'
import { limitsOf } from '../context.js'
import type { Pass } from './pass.js'
import { EntryIds } from './entry-ids.js'

/** After so many snapshots the time that slices share one doubles, so a drain ends however fast the source is written. */
const SNAPSHOTS_BEFORE_GROWTH = 8

/** The input of one slice: everything it holds in memory at once. */
export interface Load {
  /** Keys of tables that are open or opening, and of drains whose marks the source has lost. */
  readonly parked: readonly ParkedKey[]
  readonly entries: readonly ChangeEntry[]
}

/** Feeds a drain: parked keys first, then unsynced entries, of one snapshot or several (DESIGN 3.4, backlog). */
export class EntryFeed {
  /** Ids of exactly the entries handed out. */
  readonly ids = new EntryIds()
  readonly #pass: Pass
  readonly #open: ReadonlySet<string>
  #highest = 0n
  #handedOut = 0
  #snapshots = 1
  #since = performance.now()
  /** Open tables may have parked keys left. */
  #mayHaveParked = true
  /** Ids that only the last snapshot shows, still to be read; null until all others are read. */
  #late: Iterator<bigint[], void> | null = null
  /** Entries that are read already; null: not begun. */
  #ahead: Promise<ChangeEntry[] | null> | null = null

  constructor(pass: Pass, open: ReadonlySet<string>) {
    this.#pass = pass
    this.#open = open
  }

  get snapshots(): number {
    return this.#snapshots
  }

  /** Call after parking keys for this drain. */
  readParkedAgain(): void {
    this.#mayHaveParked = true
  }

  /** Begins to read the next entries, while the target is still busy with the last ones. */
  readAhead(): void {
    if (this.#ahead !== null || this.#isRefreshDue) return
    this.#ahead = this.#nextEntries(limitsOf(this.#pass.context).sliceEntries)
    // `loads` rejects; until then the rejection must not end the process.
    this.#ahead.catch(() => undefined)
  }

  /** Ends when nothing that the last snapshot shows is left. May be iterated again after `readParkedAgain`. */
  async *loads(): AsyncGenerator<Load, void, void> {
    for (let load = await this.#next(); load; load = await this.#next()) {
      for (const { id } of load.entries) {
        this.ids.add(id)
        if (id > this.#highest) this.#highest = id
      }
      this.#handedOut++
      yield load
    }
  }

  async #next(): Promise<Load | null> {
    const { context, target } = this.#pass
    const { sliceEntries } = limitsOf(context)
    if (this.#ahead === null && this.#isRefreshDue) await this.#refresh()
    const parked = this.#mayHaveParked ? await target.parked.read([...this.#open], sliceEntries) : []
    this.#mayHaveParked = parked.length === sliceEntries
    if (this.#mayHaveParked) return { parked, entries: [] }
    const entries = await (this.#ahead ?? this.#nextEntries(sliceEntries))
    this.#ahead = null
    return entries || parked.length > 0 ? { parked, entries: entries ?? [] } : null
  }

  /** The bound grows, and within one snapshot the remaining work only shrinks. */
  get #isRefreshDue(): boolean {
    if (this.#handedOut === 0 || this.#late !== null) return false
    const { snapshotMs } = limitsOf(this.#pass.context)
    return performance.now() - this.#since >= snapshotMs * 2 ** Math.floor(this.#snapshots / SNAPSHOTS_BEFORE_GROWTH)
  }

  async #refresh(): Promise<void> {
    await this.#pass.snapshot.refresh()
    this.#snapshots++
    this.#since = performance.now()
  }

  async #nextEntries(most: number): Promise<ChangeEntry[] | null> {
    const { snapshot } = this.#pass
    if (this.#late) {
      const { value: ids } = this.#late.next()
      return ids ? await snapshot.entries.byId(ids) : null
    }
    const entries = await snapshot.entries.after(this.#highest, most)
    if (entries.length < most) {
      const late = this.#snapshots === 1 ? [] : await this.ids.missingOf(snapshot.entries.pendingIdsUpTo(this.#highest))
      this.#late = batchesOf(late, most)
    }
    return entries
  }
}
