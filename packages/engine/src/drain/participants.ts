import { counted, isKept, isOpen, parksKeys, SyncError, type TableProgress, transition } from '@mylab-sync/core'
import { limitsOf } from '../context.js'
import { checkLookUps } from '../rows/look-ups.js'
import type { SliceScope } from '../slice/slice.js'
import {
  type Divergence,
  findDiverged,
  divergedWithDescendants,
  noteBenignChanges,
  setAsideIn,
} from '../tables/set-aside.js'
import { isFollowed, stateOf, tablesThat } from '../tables/table-states.js'
import type { DrainOutcome } from './drain-outcome.js'
import type { Opening, OpeningEvent, Pass } from './pass.js'
import { lostTables } from './history-gap.js'
import type { HistoryGap } from './history-verdict.js'
import type { UnreadableEntries } from './unreadable-entries.js'
import { findUnloggedDeletes } from './unlogged-deletes.js'

const NONE: Opening = new Map()

/** After so many drains with unreadable entries of a table it is no longer copied again. */
const MAX_UNREAD = 5

/** The tables that one drain writes, parks for and opens. Sets a table that does not fit aside in the drain's transaction (DESIGN 3.5). */
export class Participants {
  readonly #pass: Pass
  readonly #states: Map<string, TableProgress>
  readonly #setAside: Divergence[]
  readonly #open: Set<string>
  readonly waiting: ReadonlySet<string>
  readonly opening: Opening

  private constructor(pass: Pass, states: Map<string, TableProgress>, setAside: Divergence[]) {
    this.#pass = pass
    this.#states = states
    this.#setAside = setAside
    const { opening = NONE, copies } = pass.request
    // A component opens as a whole or not at all.
    const isReady = ([table, event]: readonly [string, OpeningEvent]): boolean =>
      transition(stateOf(states, table), event) !== null &&
      (!copies || copies.get(table) === states.get(table)?.copyNumber)
    this.opening = [...opening].every(isReady) ? opening : NONE
    this.#open = new Set([...tablesThat(states, isOpen), ...this.opening.keys()])
    this.waiting = new Set(tablesThat(states, parksKeys).filter((table) => !this.opening.has(table)))
  }

  /**
   * Sets aside tables that do not fit this snapshot, and parks again the keys of drains whose marks the source has lost.
   * Throws SyncError generation-changed if the snapshot shows definitions that the model does not know.
   */
  static async read(pass: Pass, gap: HistoryGap): Promise<Participants> {
    const { target, snapshot, model, request } = pass
    const states = await target.tables.all()
    const carried = [...states.values()].filter(isKept).map((p) => p.table)
    const now = model.tablesOf(await snapshot.fingerprints())
    if (!model.fits(now, carried))
      throw new SyncError('generation-changed', 'source definitions keep changing while being read')
    const lost = await lostTables(pass, states, { gap, opening: new Set(request.opening?.keys()) })
    await setAsideIn(target, states, lost)
    await noteBenignChanges(target, model, states)
    // After the lost tables: descendants of a table that is set aside are set aside too.
    const misfitting = findDiverged(model, states, now)
    await setAsideIn(target, states, misfitting)
    if (gap.lostAfter !== null) {
      await target.history.parkAfter(gap.lostAfter, tablesThat(states, isFollowed))
    }
    return new Participants(pass, states, [...lost, ...misfitting])
  }

  /** Tables whose rows this drain writes, without those it has set aside since. */
  get open(): ReadonlySet<string> {
    return this.#open
  }

  get setAside(): readonly Divergence[] {
    return this.#setAside
  }

  /** All tables that were to open are opened by this drain. */
  get haveOpened(): boolean {
    return [...(this.#pass.request.opening?.keys() ?? [])].every((table) => this.#open.has(table))
  }

  get scope(): SliceScope {
    return { ...this.#pass, open: this.#open, waiting: this.waiting }
  }

  /** Must run before a failed look-up deletes anything. */
  async checkLookUps(): Promise<void> {
    const { model, request, snapshot } = this.#pass
    const named = new Set([...this.opening.keys(), ...(request.lookUps ?? [])])
    const looked = [...named].filter(
      (table) => this.#open.has(table) && model.tables.has(table) && !model.isFullTable(table),
    )
    await checkLookUps(
      snapshot,
      looked.map((table) => model.mapping(table)),
    )
  }

  /** After all writes: opens tables, and takes out those that the drain found unfit. */
  async finish({ outcome, snapshots }: { readonly outcome: DrainOutcome; readonly snapshots: number }): Promise<void> {
    const { target } = this.#pass
    const change = { problem: null, openedDrain: outcome.number }
    for (const event of new Set(this.opening.values())) {
      const tables = [...this.opening].filter(([, its]) => its === event).map(([table]) => table)
      await target.tables.stepAll(event, new Map(tables.map((table) => [table, change])))
    }
    await this.#breakRefused()
    await this.#probe()
    if (snapshots > 1) await this.#putMovedAside()
    for (const id of outcome.unreadable.otherLayout.values()) outcome.unsynced.addMalformed(id)
    await this.#putUnreadAside(outcome.unreadable)
  }

  async #setAsideIn(found: readonly Divergence[]): Promise<void> {
    await setAsideIn(this.#pass.target, this.#states, found)
    this.#setAside.push(...found)
    for (const { table } of found) this.#open.delete(table)
  }

  /** Breaks tables with too many refused rows: every drain re-reads such rows, which would slow down all other tables. */
  async #breakRefused(): Promise<void> {
    const { context, target } = this.#pass
    const most = limitsOf(context).quarantinedRows
    for (const [table, rows] of await target.quarantine.counts()) {
      if (rows <= most || !this.#open.has(table)) continue
      const problem = `${counted(rows, 'row')} ${rows === 1 ? 'was' : 'were'} rejected (mylab-sync show-errors --table ${table}); once the cause is fixed: mylab-sync initial --retry-errors`
      await target.tables.step(table, 'break', { problem })
    }
  }

  async #probe(): Promise<void> {
    const { request } = this.#pass
    const probed = (request.probe ?? []).filter((table) => this.#open.has(table) && !this.opening.has(table))
    if (probed.length > 0) await this.#setAsideIn(await findUnloggedDeletes(this.#pass, probed, this.#states))
  }

  /** Tables redefined between two snapshots of this drain: their rows may follow either definition. */
  async #putMovedAside(): Promise<void> {
    const { model, snapshot } = this.#pass
    const now = model.tablesOf(await snapshot.fingerprints())
    const moved = [...this.#states.keys()].filter(
      (table) => model.tables.has(table) && !model.isOf(table, now.get(table)),
    )
    const problem = 'its definition or its storage has changed at the source during a drain'
    await this.#setAsideIn(divergedWithDescendants(model, this.#states, moved, problem))
  }

  /** The copy that follows contains these rows and entries: all were committed before it starts. */
  async #putUnreadAside({ outdated, otherLayout, malformed }: UnreadableEntries): Promise<void> {
    const changed = 'its definition has changed at the source'
    await this.#setAsideIn(divergedWithDescendants(this.#pass.model, this.#states, [...outdated], changed))
    await this.#putUnread([...otherLayout.keys()], 'its triggers wrote keys in another layout')
    await this.#putUnread(
      [...malformed],
      'the change log holds an entry for it that none of our triggers can have written',
    )
  }

  /** Breaks a table after repeated unreadable entries: whoever writes them would have it copied forever. */
  async #putUnread(tables: readonly string[], problem: string): Promise<void> {
    if (tables.length === 0) return
    const { model, snapshot, target } = this.#pass
    const before = await snapshot.entries.malformedDrains(tables)
    await this.#setAsideIn(divergedWithDescendants(model, this.#states, tables, problem))
    for (const table of tables) {
      if ((before.get(table) ?? 0) + 1 < MAX_UNREAD) continue
      const remedy = `find out who else writes to the change log, delete what its error_message names there, then: mylab-sync resync --table ${table}`
      await target.tables.step(table, 'break', { problem: `${problem}, for the ${MAX_UNREAD}th time; ${remedy}` })
    }
  }
}
