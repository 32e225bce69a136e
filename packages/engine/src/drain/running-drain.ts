import {
  batchesOf,
  type ChangeEntry,
  ConstraintViolated,
  counted,
  type ErrorCode,
  isKept,
  isOpen,
  type ParkedKey,
  parksKeys,
  type SourceSnapshot,
  SyncError,
  type TableProgress,
  type TableState,
  type TargetTransaction,
  transition,
} from '@mylab-sync/core'
import { randomUUID } from 'node:crypto'
import { applySlice, type Outcome } from '../slice/apply.js'
import { addClosure, addParked, Overflow, ParkedParents, type Slice } from '../slice/closure.js'
import { type EngineContext, goOn, limitsOf, type ProtocolRules, reach } from '../context.js'
import type { DrainReport } from './drain-report.js'
import { DirtyKeys } from '../slice/dirty-keys.js'
import { EntryIds } from './entry-ids.js'
import { checkLookUps } from '../rows/look-ups.js'
import { HeldEntries } from './unsynced-entries.js'
import { holeOf, lostTables } from './history-gap.js'
import type { Model } from '../model/model.js'
import { judgeOwner, type NotAsLeft } from './ownership.js'
import { parkOrphans } from '../slice/orphans.js'
import { Quarantine } from '../rows/quarantine.js'
import { SanitisedTally } from '../rows/convert-rows.js'
import { isFollowed, type Misfit, misfits, misfitsFrom, noteBenignChanges, putAside } from '../tables/set-aside.js'
import { readEntry } from './read-entry.js'
import { findUnseen } from './unlogged-deletes.js'
import { settle } from '../slice/record-outcome.js'

const SNAPSHOTS_BEFORE_GROWTH = 8
/** So many drains that met entries of a table which nobody can read, and it is no longer copied again for them. */
const MOST_UNREAD = 5
/** What keeps a mark from the source and passes: the next drain marks what this one has carried. */
const MARK_LATER: ReadonlySet<ErrorCode> = new Set(['lost-connection', 'lock-timeout', 'unavailable'])

export interface DrainRequest {
  /** Tables that this drain opens: their parked keys are part of it, and their new states are committed with it. */
  readonly opening?: ReadonlyMap<string, TableState>
  /** Numbers of the copies that were made ready to open; where one was begun anew, none of them opens. */
  readonly copies?: ReadonlyMap<string, number>
  /** Open tables that are looked at for rows which went without an entry. */
  readonly probe?: readonly string[]
  /** Open tables of which a few rows are looked up by their own keys; those that open always are. */
  readonly lookUps?: readonly string[]
  readonly beforeCommit?: (at: { snapshot: SourceSnapshot; target: TargetTransaction }) => Promise<void>
  /** Where both sides stood at an earlier look that left open whose they are. */
  readonly before?: NotAsLeft['watched']
  /** Wait for a running drain instead of answering busy. */
  readonly waitMs?: number
}

/** What stood at the source did not fit the target or the change log; it is put right there and the drain begins again. */
export class WentBack extends Error {}

/** The work of one slice: all that it holds in memory at once. */
interface Load {
  /** Of tables that are open or open now, and of drains whose marks the source has lost. */
  readonly parked: readonly ParkedKey[]
  readonly entries: readonly ChangeEntry[]
}

interface DrainParts {
  readonly context: EngineContext
  readonly model: Model
  readonly request: DrainRequest
  readonly rules: ProtocolRules
  readonly snapshot: SourceSnapshot
  readonly target: TargetTransaction
}

/** One running drain: owns the ids that it read, and nothing that outlives its transaction. */
export class RunningDrain {
  readonly #parts: DrainParts
  readonly #number: number
  readonly #token = randomUUID()
  /** Tables whose rows this drain writes, less those that it has to set aside at its end. */
  readonly #open: Set<string>
  readonly #waiting: ReadonlySet<string>
  readonly #opening: ReadonlyMap<string, TableState>
  readonly #states: Map<string, TableProgress>
  readonly #setAside: Misfit[]
  readonly #ids = new EntryIds()
  readonly #held = new HeldEntries()
  #highest = 0n
  #failed = 0
  #slices = 0
  #snapshots = 1
  #since = performance.now()
  /** Parked keys of open tables may be left. */
  #kept = true
  /** Tables of entries whose keys are of another layout, with the last one: which rows they speak of is not known. */
  readonly #misread = new Map<string, bigint>()
  /** Tables of entries that no trigger of ours can have written. */
  readonly #malformed = new Set<string>()
  /** Tables with rows of a later definition than the model's. */
  readonly #outdated = new Set<string>()
  /** Ids that the last snapshot shows and that are still to be read; the last slices are of them. */
  #late: Iterator<bigint[], void> | null = null

  private constructor(
    parts: DrainParts,
    at: {
      number: number
      states: Map<string, TableProgress>
      setAside: Misfit[]
    },
  ) {
    this.#parts = parts
    this.#number = at.number
    this.#states = at.states
    this.#setAside = at.setAside
    const opening = parts.request.opening ?? new Map<string, TableState>()
    // A component opens as a whole or not at all.
    const { copies } = parts.request
    const isReady = (table: string): boolean => {
      const now = at.states.get(table)
      return now !== undefined && parksKeys(now.state) && (!copies || copies.get(table) === now.copyNumber)
    }
    this.#opening = [...opening.keys()].every(isReady) ? opening : new Map<string, TableState>()
    const tables = [...at.states.values()]
    const open = tables.filter((table) => isOpen(table.state)).map((table) => table.table)
    this.#open = new Set([...open, ...this.#opening.keys()])
    const waiting = tables.filter((table) => parksKeys(table.state)).map((table) => table.table)
    this.#waiting = new Set(waiting.filter((table) => !this.#opening.has(table)))
  }

  static async begin(parts: DrainParts): Promise<RunningDrain> {
    const { target, snapshot, context } = parts
    const judgement = await judgeOwner(parts, parts.request.before)
    if (judgement.kind === 'take-back') {
      await context.source.takeBack(judgement.to, snapshot)
      throw new WentBack('the source has marks that the target does not know')
    }
    if (!snapshot.isSealed) {
      await context.source.sealLog(snapshot)
      throw new WentBack('the change log does not hold its seal')
    }
    const states = await target.tables.all()
    const carried = [...states.values()].filter(isKept).map((p) => p.table)
    const now = parts.model.tablesOf(await snapshot.fingerprints())
    if (!parts.model.fits(now, carried))
      throw new SyncError('generation-changed', 'source definitions keep changing while being read')
    const hole = await holeOf(parts, judgement)
    const opening = new Set(parts.request.opening?.keys())
    const lost = await lostTables(parts, states, { hole, opening })
    await putAside(target, states, lost)
    await noteBenignChanges(target, parts.model, states)
    // After those: what foreign key actions of a table that is set aside reach goes with it.
    const misfitting = misfits(parts.model, states, now)
    await putAside(target, states, misfitting)
    if (hole.lostAfter !== null) {
      const parking = [...states.values()].filter((p) => isFollowed(p.state)).map((p) => p.table)
      await target.history.parkAfter(hole.lostAfter, parking)
    }
    const number = Math.max(judgement.last.number, snapshot.lastDrain) + 1
    return new RunningDrain(parts, { number, states, setAside: [...lost, ...misfitting] })
  }

  async run(): Promise<DrainReport> {
    const { context, request, snapshot, target, rules } = this.#parts
    await reach(context, 'drain:begun')
    await this.#checkLookUps()
    await this.#takeAll()
    if (this.#snapshots > 1 && (await this.#parkOrphans())) await this.#takeAll()
    await reach(context, 'drain:applied')
    await this.#checkConstraints()
    await reach(context, 'drain:checked')
    await target.quarantine.holdEntries(this.#held.all())
    for (const [table, state] of this.#opening)
      await target.tables.patch(table, { state, problem: null, openedDrain: this.#number })
    await this.#breakTables()
    await this.#probe()
    if (this.#snapshots > 1) await this.#putMovedAside()
    await this.#putUnreadAside()
    const { takenAt: consistentAsOf, identity } = snapshot
    await target.history.record({ number: this.#number, token: this.#token, consistentAsOf, identity })
    await context.hooks?.beforeCommit?.({ snapshot, target, live: this.#open })
    await request.beforeCommit?.({ snapshot, target })
    await snapshot.end()
    await target.commit()
    await reach(context, 'drain:committed')
    const unmarked = await this.#mark(rules)
    await reach(context, 'drain:marked')
    return {
      kind: 'done',
      drain: this.#number,
      entries: this.#ids.size,
      failed: this.#failed,
      slices: this.#slices,
      setAside: this.#setAside,
      opened: [...(request.opening?.keys() ?? [])].every((table) => this.#open.has(table)),
      model: this.#parts.model,
      unmarked,
    }
  }

  async #takeAll(): Promise<void> {
    for (let load = await this.#next(); load; load = await this.#next()) {
      goOn(this.#parts.context)
      await this.#slice(load)
      this.#slices++
    }
  }

  /** For the last snapshot to read. A validated foreign key fails by itself where it has one. */
  async #parkOrphans(): Promise<boolean> {
    const { model, rules, target } = this.#parts
    if (!rules.orphanScan) return false
    const validated = await target.lookup.validatedKeys()
    const edges = model.edges.filter(
      ({ name, child, parent }) => this.#open.has(child) && this.#open.has(parent) && !validated.has(name),
    )
    const found = await parkOrphans(target, model, { edges, drain: this.#number })
    this.#kept ||= found
    return found
  }

  /** Before anything is deleted for what a look-up does not find. */
  async #checkLookUps(): Promise<void> {
    const { model, request, snapshot } = this.#parts
    for (const table of new Set([...this.#opening.keys(), ...(request.lookUps ?? [])])) {
      if (this.#open.has(table) && model.tables.has(table) && !model.isWhole(table))
        await checkLookUps(snapshot, model.mapping(table))
    }
  }

  async #probe(): Promise<void> {
    const { request } = this.#parts
    const probed = (request.probe ?? []).filter((table) => this.#open.has(table) && !this.#opening.has(table))
    if (probed.length > 0) await this.#putAside(await findUnseen(this.#parts, probed, this.#states))
  }

  /** What was another table, or had other foreign keys, in an earlier snapshot than the last: its rows may be of either. */
  async #putMovedAside(): Promise<void> {
    const { model, snapshot } = this.#parts
    const now = model.tablesOf(await snapshot.fingerprints())
    const moved = [...this.#states.keys()].filter(
      (table) => model.tables.has(table) && !model.isOf(table, now.get(table)),
    )
    const problem = 'its definition or its storage has changed at the source during a drain'
    await this.#putAside(misfitsFrom(model, this.#states, moved, problem))
  }

  /** The copy that follows holds what those rows and entries are of: they were all committed before it. */
  async #putUnreadAside(): Promise<void> {
    const changed = 'its definition has changed at the source'
    await this.#putAside(misfitsFrom(this.#parts.model, this.#states, [...this.#outdated], changed))
    for (const id of this.#misread.values()) this.#held.addMalformed(id)
    await this.#putUnread([...this.#misread.keys()], 'its triggers wrote keys of another layout')
    await this.#putUnread(
      [...this.#malformed],
      'the change log holds an entry of it that no trigger of ours can have written',
    )
  }

  /** Who writes such an entry again and again would have the table copied for ever: it is broken then. */
  async #putUnread(tables: readonly string[], problem: string): Promise<void> {
    if (tables.length === 0) return
    const { model, snapshot, target } = this.#parts
    const before = await snapshot.malformedDrains(tables)
    await this.#putAside(misfitsFrom(model, this.#states, tables, problem))
    for (const table of tables) {
      const state = transition(this.#states.get(table)?.state ?? 'discovered', 'break')
      if ((before.get(table) ?? 0) + 1 < MOST_UNREAD || state === undefined) continue
      const remedy = `find out who else writes to the change log, delete what its error_message names there, then: mylab-sync resync --table ${table}`
      await target.tables.patch(table, { state, problem: `${problem}, for the ${MOST_UNREAD}th time; ${remedy}` })
    }
  }

  async #putAside(found: readonly Misfit[]): Promise<void> {
    await putAside(this.#parts.target, this.#states, found)
    this.#setAside.push(...found)
    for (const { table } of found) this.#open.delete(table)
  }

  /** A table with so many refused rows has a fault of its own; reading them in every drain would slow all others down. */
  async #breakTables(): Promise<void> {
    const { context, target } = this.#parts
    const most = limitsOf(context).quarantinedRows
    for (const [table, rows] of await target.quarantine.counts()) {
      if (rows <= most || !this.#open.has(table)) continue
      const problem = `${counted(rows, 'row')} ${rows === 1 ? 'was' : 'were'} refused (mylab-sync show-errors --table ${table}); once their cause is mended: mylab-sync initial --retry-errors`
      await target.tables.patch(table, { state: 'broken', problem })
    }
  }

  /** What the truth breaks is thrown, once no stale image of a quarantined row is to blame. */
  async #checkConstraints(): Promise<void> {
    const { model, target } = this.#parts
    for (const cleared = new Set<string>(); ; ) {
      try {
        return await target.checkConstraints()
      } catch (error) {
        if (!(error instanceof ConstraintViolated) || cleared.has(error.table)) throw error
        cleared.add(error.table)
        // The one key that stands for a table carried as a whole is no row's.
        const stale = (await target.quarantine.all()).filter(
          ({ table }) => model.tables.get(table)?.name === error.table && !model.isWhole(table),
        )
        const [first] = stale
        if (!first) throw error
        const keys = stale.map((key) => key.key)
        await target.rows.delete(model.mapping(first.table), keys)
      }
    }
  }

  /** A mark that fails is dropped: over another connection it could hit ids that a failover has used again. The next drain redoes the work. */
  async #mark(rules: ProtocolRules): Promise<SyncError | null> {
    const { snapshot } = this.#parts
    try {
      const drain = { number: this.#number, token: this.#token }
      if (rules.markExactIds) await snapshot.mark(this.#held.marks(this.#ids), drain)
      else await snapshot.markUpTo(this.#highest, drain)
      return null
    } catch (error) {
      if (error instanceof SyncError && MARK_LATER.has(error.code)) return error
      throw error
    }
  }

  /** What the next slice is made of, perhaps of a later snapshot; null when nothing that the last snapshot shows is left. */
  async #next(): Promise<Load | null> {
    const { context, snapshot, target } = this.#parts
    const { sliceEntries, snapshotMs } = limitsOf(context)
    // The bound grows, so that a drain ends however fast the source is written: within one snapshot nothing is added.
    const boundMs = snapshotMs * 2 ** Math.floor(this.#snapshots / SNAPSHOTS_BEFORE_GROWTH)
    if (this.#slices > 0 && !this.#late && performance.now() - this.#since >= boundMs) {
      await snapshot.refresh()
      this.#snapshots++
      this.#since = performance.now()
      await context.hooks?.beforeSlice?.(this.#slices)
    }
    const parked = this.#kept ? await target.parked.read([...this.#open], sliceEntries) : []
    this.#kept = parked.length === sliceEntries
    if (this.#kept) return { parked, entries: [] }
    const entries = await this.#nextEntries()
    return entries || parked.length > 0 ? { parked, entries: entries ?? [] } : null
  }

  async #nextEntries(): Promise<ChangeEntry[] | null> {
    const { context, snapshot } = this.#parts
    const { sliceEntries } = limitsOf(context)
    if (this.#late) {
      const { value: ids } = this.#late.next()
      return ids ? await snapshot.entriesById(ids) : null
    }
    const entries = await snapshot.entriesAfter(this.#highest, sliceEntries)
    if (entries.length < sliceEntries) {
      const late = this.#snapshots === 1 ? [] : await this.#ids.missingOf(snapshot.pendingIdsUpTo(this.#highest))
      this.#late = batchesOf(late, sliceEntries)
    }
    return entries
  }

  async #slice({ parked, entries }: Load): Promise<void> {
    const { model, snapshot, target, rules } = this.#parts
    const dirty = new DirtyKeys()
    await this.#sort(entries, dirty)
    const quarantine = new Quarantine((await target.quarantine.all()).filter((key) => this.#open.has(key.table)))
    for (const { table, key } of quarantine.keys) dirty.add(table, key, true)
    for (const { table, key, start } of parked) dirty.add(table, key, start)
    if (parked.length > 0) await target.parked.remove(parked)
    const slice: Slice = {
      model,
      snapshot,
      target,
      rules,
      open: this.#open,
      waiting: this.#waiting,
      parents: new ParkedParents(),
      dirty,
      quarantine,
      overflow: new Overflow(this.#number, 2 * limitsOf(this.#parts.context).sliceEntries),
      searched: new Set(),
    }
    if (this.#slices === 0) await this.#addParents(slice)
    await addClosure(slice)
    await reach(this.#parts.context, 'drain:closed')
    await target.parked.parkParents(slice.parents.all(this.#number))
    const tally = new SanitisedTally()
    const outcome = await applySlice(slice, tally)
    await this.#dropOutdated(outcome)
    this.#failed += await settle(target, outcome, { drain: this.#number, tally })
    this.#held.add(entries, quarantine, outcome)
    if (slice.overflow.isUsed) this.#kept = true
    await target.history.recordKeys(
      this.#number,
      [...dirty.keys()].filter((key) => this.#open.has(key.table)),
    )
    for (const { id } of entries) {
      this.#ids.add(id)
      if (id > this.#highest) this.#highest = id
    }
  }

  /** What PostgreSQL refuses for a type that the source has changed by now is no row to quarantine: the copy that follows brings it. */
  async #dropOutdated({ refused }: Outcome): Promise<void> {
    const { model, snapshot } = this.#parts
    for (const [table, rows] of refused) {
      // An SQLSTATE: refusals by our own rules have names.
      if (!rows.some(({ code }) => /^[0-9A-Z]{5}$/.test(code))) continue
      if (model.isOf(table, await snapshot.fingerprint(table))) continue
      this.#outdated.add(table)
      refused.delete(table)
    }
  }

  /** Keys of open tables become dirty, those of tables that will open are parked, all others are forgotten. */
  async #sort(entries: readonly ChangeEntry[], dirty: DirtyKeys): Promise<void> {
    const { model, target, rules } = this.#parts
    const drain = rules.parkedPerDrain ? this.#number : 0
    const parked: ParkedKey[] = []
    for (const entry of entries) {
      const { table } = entry
      const isDirty = this.#open.has(table) || model.isCaptureOnly(table)
      if (!isDirty && !this.#waiting.has(table)) continue
      const keys = readEntry(model, entry)
      if (keys === 'other-layout') {
        this.#misread.set(table, entry.id)
        continue
      }
      if (keys === 'malformed') {
        this.#malformed.add(table)
        this.#held.addMalformed(entry.id)
        continue
      }
      for (const { key, start, isThere } of keys) {
        if (isDirty) {
          dirty.add(table, key, start)
          dirty.expect(table, key, isThere)
        } else parked.push({ table, key, drain, start: start && rules.parkStartFlag })
      }
    }
    if (parked.length > 0) await target.parked.park(parked)
  }

  /** What parents consumed while the tables that open now were closed; before any other closure, which follows it. */
  async #addParents(slice: Slice): Promise<void> {
    const { target } = this.#parts
    const opening = [...this.#opening.keys()]
    if (opening.length === 0) return
    await addParked(slice, await target.parked.readParents(opening))
    await target.parked.removeParents(opening)
  }
}
