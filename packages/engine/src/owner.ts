import { type SourceSnapshot, SyncError, type TargetTransaction } from '@mylab-sync/core'
import { type EngineContext, limitsOf } from './context.js'
import { pause } from './pause.js'

export type LastDrain = Awaited<ReturnType<TargetTransaction['lastDrain']>>

/** Where both sides stand: what moves when anybody drains. */
interface Standing {
  readonly sourceDrain: number
  readonly token: string | null
  readonly targetDrain: number
  readonly identity: string | null
}

/** What can be told of one look at both sides. */
type Finding =
  | { readonly kind: 'own' }
  /** Everything has to be read again, for this reason. */
  | { readonly kind: 'unknown'; readonly problem: string }
  /** The source has marks of drains that this target does not know: it was put back, or another target is at work. */
  | { readonly kind: 'target-behind' }
  /** It was put in the other's place, or both are at work. */
  | { readonly kind: 'other-source' }
  /** Of the same number, and yet of another history: another target is at work, or both sides were put back, each to its own moment. */
  | { readonly kind: 'other-target' }

/** What earlier looks have seen, one after the other. */
interface Watched {
  readonly standing: Standing
  /** Looks that found it moved since the one before. */
  readonly moves: number
}

/** Something is not as this installation left it; only later looks tell a restored side from a second one at work. */
export class NotAsLeft extends Error {
  readonly watched: Watched
  constructor(watched: Watched) {
    super('one side is not as it was left')
    this.watched = watched
  }
}

/**
 * Who is at work moves both sides at every look. One move or two may be another process of this installation that has
 * found the same a moment ago, and a side that was put back once more since.
 */
const MOVES_AT_WORK = 3

function findingOf(snapshot: SourceSnapshot, last: LastDrain): Finding {
  if (last.identity !== null && last.identity !== snapshot.identity) return { kind: 'other-source' }
  if (snapshot.token === '') return { kind: 'unknown', problem: 'all tables were asked to be read again' }
  const isAhead = snapshot.lastDrain > last.number
  // Never marked since tokens are written.
  if (snapshot.token === null) return isAhead ? { kind: 'target-behind' } : { kind: 'own' }
  // Also where the source is ahead: its later marks have been taken back for this very target.
  if (snapshot.token === last.token) return { kind: 'own' }
  if (isAhead) return { kind: 'target-behind' }
  return last.token === null
    ? { kind: 'unknown', problem: 'the source went back further than the tokens of past drains are kept' }
    : { kind: 'other-target' }
}

/**
 * Whose the change log and the target are. A second target or a second source, made by copying one of the two, would
 * hide changes from the other; a side that was put back from a backup or replaced after a failover looks alike, and is
 * legal. They are told apart by time: who drains moves both sides every few seconds, what was put back stands still.
 * Throws NotAsLeft where another look is needed, SyncError wrong-owner where somebody else is at work.
 * Returns why everything has to be read again, or null; `takeBack`: the source's later marks have to be taken back.
 */
export function judgeOwner(
  snapshot: SourceSnapshot,
  last: LastDrain,
  before: Watched | undefined,
): { readonly problem: string | null; readonly takeBack: boolean } {
  const finding = findingOf(snapshot, last)
  if (finding.kind === 'own') return { problem: null, takeBack: false }
  if (finding.kind === 'unknown') return { problem: finding.problem, takeBack: false }
  const standing = standingOf(snapshot, last)
  if (!before) throw new NotAsLeft({ standing, moves: 0 })
  if (hasMoved(finding.kind, before.standing, standing)) {
    const moves = before.moves + 1
    if (moves < MOVES_AT_WORK) throw new NotAsLeft({ standing, moves })
    throw finding.kind === 'other-source' ? otherSource() : otherTarget()
  }
  if (finding.kind === 'target-behind') return { problem: null, takeBack: true }
  const problem =
    finding.kind === 'other-source'
      ? 'another server answers as the source'
      : 'the source was put back to before this target was'
  return { problem, takeBack: false }
}

/** The side that somebody else would move. */
function hasMoved(kind: Finding['kind'], before: Standing, now: Standing): boolean {
  return kind === 'other-source'
    ? before.targetDrain !== now.targetDrain || before.identity !== now.identity
    : before.sourceDrain !== now.sourceDrain || before.token !== now.token
}

function standingOf(snapshot: SourceSnapshot, last: LastDrain): Standing {
  const { lastDrain: sourceDrain, token } = snapshot
  return { sourceDrain, token, targetDrain: last.number, identity: last.identity }
}

function otherTarget(): SyncError {
  return new SyncError(
    'wrong-owner',
    "source: its change log is drained into another target under this installation's name",
    {
      remedy:
        "stop one of the two, or give the new one a SYNC_INSTANCE of its own; for this target to go on then: UPDATE sync_instance SET token = '' at the source, and everything is read again",
    },
  )
}

function otherSource(): SyncError {
  return new SyncError('wrong-owner', 'target: another source is drained into it under the same state schema', {
    remedy:
      'check DB_HOST and DB_DATABASE of both, and stop one; a second source needs a schema and SYNC_STATE_SCHEMA of its own',
  })
}

/** Pauses for as long as an installation at work stands still at most, and some more. */
export function watchOthers(context: EngineContext): Promise<void> {
  return pause(limitsOf(context).otherMs, context.signal ?? new AbortController().signal)
}

/** As every drain does, without one: before anything is written. Throws SyncError wrong-owner. */
export async function requireOwner(context: EngineContext): Promise<void> {
  let before: Watched | undefined
  for (;;) {
    try {
      await look(context, before)
      return
    } catch (error) {
      if (!(error instanceof NotAsLeft)) throw error
      before = error.watched
      await watchOthers(context)
    }
  }
}

async function look(context: EngineContext, before: Watched | undefined): Promise<void> {
  const snapshot = await context.source.openSnapshot()
  try {
    // After the snapshot: a drain that ends between the two is one that the target knows.
    const target = await context.target.begin()
    try {
      judgeOwner(snapshot, await target.lastDrain(snapshot.lastDrain), before)
    } finally {
      await target.rollback()
    }
  } finally {
    snapshot.release()
  }
}
