import { isTransient, type SyncError, type TargetTransaction } from '@mylab-sync/core'
import { Behind } from '@mylab-sync/runtime'
import { type EngineContext, limitsOf, throwIfStopped } from '../context.js'
import type { Model } from '../model/model.js'
import type { DirtyKeys } from '../slice/dirty-keys.js'
import { parkOrphans } from '../slice/orphans.js'
import { recordOutcome } from '../slice/record-outcome.js'
import { runSlice } from '../slice/run-slice.js'
import { checkConstraints } from './check-constraints.js'
import { DrainOutcome } from './drain-outcome.js'
import type { DrainReport } from './drain-report.js'
import { EntryFeed, type Load } from './entry-feed.js'
import { sortEntries } from './sort-entries.js'
import { findHistoryGap } from './history-gap.js'
import type { Watched } from './history-verdict.js'
import { type Judgement, judgeSides } from './ownership.js'
import { Participants } from './participants.js'
import type { DrainRequest, Pass } from './pass.js'

export type PassResult =
  | DrainReport
  /** One side is not as this installation left it; only a later look shows why. */
  | { readonly kind: 'look-again'; readonly watched: Watched }
  /** The source's marks or the log's seal did not fit. They were repaired, and the drain starts again. */
  | { readonly kind: 'taken-back' }

/**
 * Runs one pass of DESIGN 3.4, step by step. Throws ConstraintViolated if rows of the snapshot itself violate a constraint,
 * and SyncError generation-changed if the model is older than the snapshot. Either way nothing is committed.
 */
export async function drainPass(
  context: EngineContext,
  model: Model,
  request: DrainRequest & { readonly before?: Watched | undefined },
): Promise<PassResult> {
  // 1. The lock, before the snapshot.
  await using target = await beginDrain(context, request)
  if (target === null) return { kind: 'busy' }
  await request.beforeSnapshot?.()
  // 2. The snapshot, and whether both sides are as this installation left them (3.6).
  await using snapshot = await context.source.openSnapshot()
  const pass: Pass = { context, model, request, snapshot, target }
  const history = await judgeSides(pass, request.before)
  if (history.kind === 'look-again' || history.kind === 'take-back') return await turnBack(pass, history)
  if (!snapshot.isSealed) return await sealAgain(pass)
  // 3.5: who takes part.
  const parts = await Participants.read(pass, await findHistoryGap(pass, history))
  const outcome = new DrainOutcome(Math.max(history.last.number, snapshot.lastDrain) + 1)
  await parts.checkLookUps()
  // 2 and 3. Slice by slice: D, re-read, closure, write.
  const feed = new EntryFeed(pass, parts.open)
  await takeAll(pass, { parts, feed, outcome })
  await checkConstraints(pass)
  await target.quarantine.holdEntries(outcome.unsynced.all())
  await parts.finish({ outcome, snapshots: feed.snapshots })
  // 4. The drain's number, moment and keys.
  const { takenAt: consistentAsOf, identity } = snapshot
  await target.history.record({ number: outcome.number, token: outcome.token, consistentAsOf, identity })
  await request.beforeCommit?.({ model, snapshot, target })
  await snapshot.end()
  await target.commit()
  // 5. The same connection marks exactly these ids.
  const unmarked = await acknowledge(pass, { feed, outcome })
  return outcome.report({ entries: feed.ids.size, unmarked, setAside: parts.setAside, opened: parts.haveOpened, model })
}

function beginDrain(
  { target }: EngineContext,
  { waitMs }: Pick<DrainRequest, 'waitMs'>,
): Promise<TargetTransaction | null> {
  return waitMs ? target.beginDrain({ waitMs }) : target.beginDrain()
}

async function turnBack(
  { context, snapshot }: Pass,
  history: Extract<Judgement, { kind: 'look-again' | 'take-back' }>,
): Promise<PassResult> {
  if (history.kind === 'look-again') return history
  await context.source.log.takeBack(history.to, snapshot)
  return { kind: 'taken-back' }
}

async function sealAgain({ context, snapshot }: Pass): Promise<PassResult> {
  await context.source.log.seal(snapshot)
  return { kind: 'taken-back' }
}

interface Running {
  readonly parts: Participants
  readonly feed: EntryFeed
  readonly outcome: DrainOutcome
}

/** Applies everything that the last snapshot shows; after several snapshots also the orphans that they left. */
async function takeAll(pass: Pass, running: Running): Promise<void> {
  await takeLoads(pass, running)
  const { feed, parts, outcome } = running
  if (feed.snapshots === 1 || !(await rescanOrphans(pass, parts, outcome.number))) return
  feed.readParkedAgain()
  await takeLoads(pass, running)
}

async function takeLoads(pass: Pass, running: Running): Promise<void> {
  const recording = new Behind()
  try {
    for await (const load of running.feed.loads()) {
      throwIfStopped(pass.context)
      const dirty = await takeLoad(pass, running, load)
      await recording.start(() => recordKeys(pass, running, dirty))
      running.outcome.slices++
    }
  } finally {
    // What fails after a failed statement of the target says less than its own error.
    await recording.ended()
  }
}

/** Its statements are sent at once, so that none of the next slice's, which may be rolled back to a savepoint, precedes them. */
function recordKeys({ target }: Pass, { parts, outcome }: Running, dirty: DirtyKeys): Promise<void> {
  return target.history.recordKeys(
    outcome.number,
    [...dirty.keys()].filter((key) => parts.open.has(key.table)),
  )
}

/** Returns the keys that it made clean. */
async function takeLoad(pass: Pass, { parts, feed, outcome }: Running, { parked, entries }: Load): Promise<DirtyKeys> {
  const { target } = pass
  const dirty = await sortEntries(pass, { parts, outcome }, entries)
  // Before the closure, which may park more under this drain's number.
  if (parked.length > 0) await target.parked.remove(parked)
  const done = await runSlice(parts.scope, {
    drain: outcome.number,
    dirty,
    parked,
    opening: outcome.slices === 0 ? [...parts.opening.keys()] : [],
    maxKeys: 2 * limitsOf(pass.context).sliceEntries,
  })
  feed.readAhead()
  await outcome.unreadable.dropOutdated(pass, done.outcome)
  outcome.failed += await recordOutcome(target, done.outcome, { drain: outcome.number, tally: done.tally })
  outcome.unsynced.add(entries, done.quarantine, done.outcome)
  if (done.hasOverflown) feed.readParkedAgain()
  return dirty
}

/** Parks orphans for the last snapshot to read, and returns whether there were any. A validated foreign key already excludes them. */
async function rescanOrphans({ model, target }: Pass, parts: Participants, drain: number): Promise<boolean> {
  const validated = await target.lookup.validatedKeys()
  const edges = model.graph.edges.filter(
    ({ name, child, parent }) => parts.open.has(child) && parts.open.has(parent) && !validated.has(name),
  )
  return parkOrphans(target, model, { edges, drain })
}

/** Marks exactly the entries read. Over another connection the ids could belong to other entries after a failover, so a failed mark is dropped and the next drain redoes the work. */
async function acknowledge(
  { snapshot }: Pass,
  { feed, outcome: { number, token, unsynced } }: Pick<Running, 'feed' | 'outcome'>,
): Promise<SyncError | null> {
  try {
    await snapshot.acknowledge(unsynced.acknowledgement(feed.ids), { number, token })
    return null
  } catch (error) {
    if (isTransient(error)) return error
    throw error
  }
}
