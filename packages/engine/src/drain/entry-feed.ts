import { batchesOf, type ChangeEntry, type ParkedKey } from '@mylab-sync/core'
import { limitsOf } from '../context.js'
import type { Pass } from './pass.js'
import { EntryIds } from './entry-ids.js'

/** So many snapshots, and the time that slices share one doubles: a drain ends however fast the source is written. */
const SNAPSHOTS_BEFORE_GROWTH = 8

/** The work of one slice: all that it holds in memory at once. */
export interface Load {
  /** Of tables that are open or open now, and of drains whose marks the source has lost. */
  readonly parked: readonly ParkedKey[]
  readonly entries: readonly ChangeEntry[]
}

/** What a drain has to carry: parked keys first, then unsynced entries, of one snapshot or several (DESIGN 3.4, backlog). */
export class EntryFeed {
  /** Of all entries handed out, exactly these. */
  readonly ids = new EntryIds()
  readonly #pass: Pass
  readonly #open: ReadonlySet<string>
  #highest = 0n
  #handedOut = 0
  #snapshots = 1
  #since = performance.now()
  /** Parked keys of open tables may be left. */
  #mayHaveParked = true
  /** Ids that the last snapshot shows and that are still to be read; the last slices are of them. */
  #late: Iterator<bigint[], void> | null = null

  constructor(pass: Pass, open: ReadonlySet<string>) {
    this.#pass = pass
    this.#open = open
  }

  get snapshots(): number {
    return this.#snapshots
  }

  get highest(): bigint {
    return this.#highest
  }

  /** Keys were parked for this very drain. */
  readParkedAgain(): void {
    this.#mayHaveParked = true
  }

  /** Ends when nothing that the last snapshot shows is left; may be asked for again after `readParkedAgain`. */
  async *loads(): AsyncGenerator<Load, void, void> {
    for (let load = await this.#next(); load; load = await this.#next()) {
      for (const { id } of load.entries) {
        this.ids.add(id)
        if (id > this.#highest) this.#highest = id
      }
      yield load
      this.#handedOut++
    }
  }

  async #next(): Promise<Load | null> {
    const { context, target } = this.#pass
    const { sliceEntries } = limitsOf(context)
    if (this.#handedOut > 0 && this.#late === null && this.#isOld()) await this.#refresh()
    const parked = this.#mayHaveParked ? await target.parked.read([...this.#open], sliceEntries) : []
    this.#mayHaveParked = parked.length === sliceEntries
    if (this.#mayHaveParked) return { parked, entries: [] }
    const entries = await this.#nextEntries(sliceEntries)
    return entries || parked.length > 0 ? { parked, entries: entries ?? [] } : null
  }

  /** The bound grows: within one snapshot nothing is added to what is left. */
  #isOld(): boolean {
    const { snapshotMs } = limitsOf(this.#pass.context)
    return performance.now() - this.#since >= snapshotMs * 2 ** Math.floor(this.#snapshots / SNAPSHOTS_BEFORE_GROWTH)
  }

  async #refresh(): Promise<void> {
    const { context, snapshot } = this.#pass
    await snapshot.refresh()
    this.#snapshots++
    this.#since = performance.now()
    await context.hooks?.beforeSlice?.(this.#handedOut)
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
