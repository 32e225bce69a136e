import {
  type ChangeEntry,
  ConstraintViolated,
  isOpen,
  type ParkedKey,
  parksKeys,
  type SourceSnapshot,
  SyncError,
  type TableProgress,
  type TableState,
  type TargetTransaction,
} from '@mylab-sync/core'
import { applySlice } from './apply.js'
import { addClosure, type Slice } from './closure.js'
import { type EngineContext, type ProtocolRules, rulesOf } from './context.js'
import { DirtyKeys, dirtyKeysOf } from './dirty-keys.js'
import { HeldEntries } from './held-entries.js'
import type { Model } from './model.js'
import { Quarantine } from './quarantine.js'
import { SanitisedTally } from './rows.js'
import { settle } from './settle.js'

/** Entries of one snapshot. A larger backlog takes several snapshots in one target transaction (DESIGN 3.4). */
const SLICE_ENTRIES = 20_000
/** After this many slices each takes more, so that a drain ends however fast the source is written. */
const SLICES_BEFORE_GROWTH = 40
/** Suspended constraints are dropped outside the drain, one at a time; more in a row than a schema has is a defect. */
const MOST_REDOS = 200

export type DrainReport =
  | { readonly kind: 'busy' }
  | {
      readonly kind: 'done'
      readonly drain: number
      readonly entries: number
      readonly failed: number
      readonly slices: number
      /** False: the entries stay pending and are read again, with what this drain wrote. */
      readonly marked: boolean
    }

export interface DrainRequest {
  /** Tables that this drain opens: their parked keys are part of it, and their new states are committed with it. */
  readonly opening?: ReadonlyMap<string, TableState>
  readonly beforeCommit?: (at: { snapshot: SourceSnapshot; target: TargetTransaction }) => Promise<void>
  /** Wait for a running drain instead of answering busy. */
  readonly waitMs?: number
}

/**
 * One pass that brings all live tables to a new snapshot of the source, in one target transaction (DESIGN 3.4).
 * Guarantees: commits only if the live set equals the snapshot, but for quarantined keys; marks exactly the entries
 * that it read; a crash anywhere repeats idempotent work. Constraints that the truth breaks are suspended and the drain
 * is done again. Throws SyncError for what a retry may cure (lost connections, locks).
 */
export async function drain(context: EngineContext, model: Model, request: DrainRequest = {}): Promise<DrainReport> {
  for (let redo = 0; ; redo++) {
    try {
      return await drainOnce(context, model, request)
    } catch (error) {
      if (error instanceof WentBack) continue
      if (!(error instanceof ConstraintViolated) || redo >= MOST_REDOS) throw error
      await context.target.suspend(error)
    }
  }
}

/** The target is older than the source's marks; they are taken back and the drain begins again. */
class WentBack extends Error {}

async function drainOnce(context: EngineContext, model: Model, request: DrainRequest): Promise<DrainReport> {
  const { source, target: server, hooks } = context
  const rules = rulesOf(context)
  const early = rules.lockBeforeSnapshot ? null : await source.openSnapshot()
  if (early) await hooks?.betweenLockAndSnapshot?.()
  const target = request.waitMs ? await server.beginDrainWaiting(request.waitMs) : await server.beginDrain()
  if (!target) {
    early?.release()
    return { kind: 'busy' }
  }
  let snapshot = early
  try {
    if (!early) await hooks?.betweenLockAndSnapshot?.()
    snapshot ??= await source.openSnapshot()
    const running = await Drain.begin({ context, model, request, rules, snapshot, target })
    return await running.run()
  } finally {
    await target.rollback()
    snapshot?.release()
  }
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
class Drain {
  readonly #parts: DrainParts
  readonly #number: number
  readonly #unconfirmed: readonly ParkedKey[]
  readonly #states: ReadonlyMap<string, TableProgress>
  readonly #open: ReadonlySet<string>
  readonly #ids: number[] = []
  readonly #held = new HeldEntries()
  #highest = 0
  #failed = 0
  #slices = 0

  private constructor(
    parts: DrainParts,
    at: { number: number; unconfirmed: readonly ParkedKey[]; states: Map<string, TableProgress> },
  ) {
    this.#parts = parts
    this.#number = at.number
    this.#unconfirmed = at.unconfirmed
    this.#states = at.states
    const open = [...at.states.values()].filter((table) => isOpen(table.state) && parts.model.tables.has(table.table))
    this.#open = new Set([...open.map((table) => table.table), ...(parts.request.opening?.keys() ?? [])])
  }

  static async begin(parts: DrainParts): Promise<Drain> {
    const { target, snapshot, context } = parts
    const last = await target.lastDrain()
    if (snapshot.lastDrain > last.number) {
      await context.source.unmarkAfter(last.number)
      throw new WentBack('the target is older than the marks of the source')
    }
    const unconfirmed = await unconfirmedKeys(target, last.number, snapshot)
    const states = await target.progress()
    return new Drain(parts, { number: Math.max(last.number, snapshot.lastDrain) + 1, unconfirmed, states })
  }

  async run(): Promise<DrainReport> {
    const { context, request, snapshot, target, rules } = this.#parts
    for (let complete = false; !complete; this.#slices++) {
      if (this.#slices > 0) {
        await snapshot.refresh()
        await context.hooks?.beforeSlice?.(this.#slices)
      }
      complete = await this.#slice()
    }
    await this.#checkConstraints()
    await target.holdEntries(this.#held.all())
    for (const [table, state] of request.opening ?? []) await target.setProgress(table, { state, problem: null })
    await target.recordDrain({ number: this.#number, consistentAsOf: snapshot.takenAt, identity: snapshot.identity })
    await context.hooks?.beforeCommit?.({ snapshot, target, live: this.#open })
    await request.beforeCommit?.({ snapshot, target })
    await snapshot.end()
    await target.commit()
    const marked = await this.#mark(rules)
    return {
      kind: 'done',
      drain: this.#number,
      entries: this.#ids.length,
      failed: this.#failed,
      slices: this.#slices,
      marked,
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
        const stale = (await target.quarantined()).filter((key) => model.tables.get(key.table)?.name === error.table)
        const [first] = stale
        if (!first) throw error
        const keys = stale.map((key) => key.key)
        await target.deleteKeys(model.mapping(first.table), keys)
      }
    }
  }

  /** A mark that fails is dropped: over another connection it could hit ids that a failover has used again. The next drain redoes the work. */
  async #mark(rules: ProtocolRules): Promise<boolean> {
    const { snapshot } = this.#parts
    try {
      if (rules.markExactIds) await snapshot.mark(this.#held.marks(this.#ids), this.#number)
      else await snapshot.markUpTo(this.#highest, this.#number)
      return true
    } catch (error) {
      if (error instanceof SyncError && (error.code === 'lost-connection' || error.code === 'lock-timeout'))
        return false
      throw error
    }
  }

  /** One snapshot's worth; true when nothing that the snapshot shows is left. */
  async #slice(): Promise<boolean> {
    const { model, snapshot, target, rules } = this.#parts
    const limit = SLICE_ENTRIES * 2 ** Math.max(0, this.#slices - SLICES_BEFORE_GROWTH)
    const entries = await snapshot.entriesAfter(this.#highest, limit)
    const complete = entries.length < limit
    if (complete && this.#slices > 0) entries.push(...(await this.#lateEntries()))
    const dirty = new DirtyKeys()
    await this.#sort(entries, dirty)
    const quarantine = new Quarantine((await target.quarantined()).filter((key) => this.#open.has(key.table)))
    for (const { table, key } of quarantine.keys) dirty.add(table, key, true)
    if (this.#slices === 0) await this.#addKept(dirty)
    const slice: Slice = {
      model,
      snapshot,
      target,
      rules,
      open: this.#open,
      dirty,
      quarantine,
      searched: new Set(),
    }
    await addClosure(slice)
    const tally = new SanitisedTally()
    const outcome = await applySlice(slice, tally)
    this.#failed += await settle(target, outcome, { drain: this.#number, tally })
    this.#held.add(entries, quarantine, outcome)
    await target.recordDrainKeys(
      this.#number,
      [...dirty.keys()].filter((key) => this.#open.has(key.table)),
    )
    for (const entry of entries) {
      this.#ids.push(entry.id)
      if (entry.id > this.#highest) this.#highest = entry.id
    }
    return complete
  }

  /** Entries with lower ids than those read already, which committed since: ids commit out of order. */
  async #lateEntries(): Promise<ChangeEntry[]> {
    const pending = await this.#parts.snapshot.pendingIdsUpTo(this.#highest)
    // both ascend: what was read so far came in the order of ids
    const late: number[] = []
    let at = 0
    for (const id of pending) {
      while (at < this.#ids.length && (this.#ids[at] ?? 0) < id) at++
      if (this.#ids[at] !== id) late.push(id)
    }
    return late.length === 0 ? [] : this.#parts.snapshot.entriesById(late)
  }

  /** Keys of open tables become dirty, those of tables that will open are parked, all others are forgotten. */
  async #sort(entries: readonly ChangeEntry[], dirty: DirtyKeys): Promise<void> {
    const { model, target, rules } = this.#parts
    const parked: ParkedKey[] = []
    for (const entry of entries) {
      const table = entry.table
      const keyed = model.keyed(table)
      if (keyed && keyed.key !== null && entry.rowKey !== '' && entry.layout !== keyed.key.layout) {
        throw new SyncError('generation-changed', `table ${table}: its key is not what its triggers write`, {
          remedy: `mylab-sync setup-triggers --drop --table ${table}, then mylab-sync initial --force --table ${table}`,
        })
      }
      const keys = dirtyKeysOf(entry)
      const state = this.#states.get(table)?.state
      if (this.#open.has(table) || model.isCaptureOnly(table))
        for (const { key, start } of keys) dirty.add(table, key, start)
      else if (state && parksKeys(state)) {
        for (const { key, start } of keys) {
          const drain = rules.parkedPerDrain ? this.#number : 0
          parked.push({ table, key, drain, start: start && rules.parkStartFlag })
        }
      }
    }
    if (parked.length > 0) await target.park(parked)
  }

  /** Parked keys of tables that are open or open now, and keys of drains whose marks the source has lost. */
  async #addKept(dirty: DirtyKeys): Promise<void> {
    const { target } = this.#parts
    for (const { table, key, start } of this.#unconfirmed) if (this.#open.has(table)) dirty.add(table, key, start)
    const parked = await target.parked([...this.#open], Number.MAX_SAFE_INTEGER)
    for (const { table, key, start } of parked) dirty.add(table, key, start)
    if (parked.length > 0) await target.unpark(parked)
  }
}

async function unconfirmedKeys(
  target: TargetTransaction,
  last: number,
  snapshot: SourceSnapshot,
): Promise<readonly ParkedKey[]> {
  if (snapshot.lastDrain >= last) return []
  const kept = await target.drainKeysAfter(snapshot.lastDrain)
  if (kept.complete) return kept.keys
  throw new SyncError('generation-changed', 'the source went back further than the keys of past drains are kept', {
    remedy: 'mylab-sync initial --force copies the tables again in place',
  })
}
