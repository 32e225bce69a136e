import {
  type DrainName,
  HARMED_LOG,
  type LastDrain,
  type SourceSnapshot,
  SyncError,
  type TargetTransaction,
} from '@mylab-sync/core'
import { type EngineContext, limitsOf } from '../context.js'
import { pause } from '../run/pause.js'

export interface Sides {
  readonly snapshot: SourceSnapshot
  readonly target: TargetTransaction
}

/** Where both sides stand: what moves when anybody drains. */
interface Standing {
  readonly sourceDrain: number
  readonly token: string | null
  readonly targetDrain: number
  readonly identity: string | null
}

/**
 * What can be told of one look at both sides. `common` is the latest drain that both know: up to it the target holds
 * what the source's own history says; null where the names of that drain are no longer kept.
 */
type Finding =
  /** The source's last mark is the target's. */
  | { readonly kind: 'own'; readonly common: number }
  /** Everything has to be read again: somebody has asked for it, or has changed the change log by hand. */
  | { readonly kind: 'asked'; readonly problem: string }
  /** The source has later marks than the target's last one: the target was put back, or another target is at work. */
  | { readonly kind: 'target-behind'; readonly common: DrainName }
  /** It was put in the other's place, or both are at work. */
  | { readonly kind: 'other-source' }
  /** Each has drains that the other does not know: another target is at work, or both sides were put back, each to its own moment. */
  | { readonly kind: 'parted'; readonly common: DrainName | null }

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

const HARMED =
  'the change log at the source was emptied, replaced or changed by hand, and what its entries would have told is unknown'

async function findingOf({ snapshot, target }: Sides, last: LastDrain): Promise<Finding> {
  if (last.identity !== null && last.identity !== snapshot.identity) return { kind: 'other-source' }
  const { token } = snapshot
  if (token === '') return { kind: 'asked', problem: 'all tables were asked to be read again' }
  if (token === HARMED_LOG) return { kind: 'asked', problem: HARMED }
  if (last.number === 0 && snapshot.lastDrain === 0) return { kind: 'own', common: 0 }
  if (token === null) return { kind: 'own', common: 0 }
  if (token === last.token) return { kind: 'own', common: last.number }
  const kept = await target.history.kept()
  // Not by its number: the source's stays when marks are taken back.
  const own = kept.find((drain) => drain.token === token)
  if (own) return { kind: 'own', common: own.number }
  const common = await snapshot.latestMark(kept)
  return common?.number === last.number ? { kind: 'target-behind', common } : { kind: 'parted', common }
}

/** What a drain has to do before anything else. */
export type Judgement =
  /** All that the target's drains after `common` have carried is read again. */
  | { readonly kind: 'go-on'; readonly last: LastDrain; readonly common: number }
  | { readonly kind: 'read-everything'; readonly last: LastDrain; readonly problem: string }
  /** What the source's drains after this one have marked is pending again. */
  | { readonly kind: 'take-back'; readonly to: DrainName }

/**
 * Whose the change log and the target are. A second target or a second source, made by copying one of the two, would
 * hide changes from the other; a side that was put back from a backup or replaced after a failover looks alike, and is
 * legal. They are told apart by time: who drains moves both sides every few seconds, what was put back stands still.
 * Throws NotAsLeft where another look is needed, SyncError wrong-owner where somebody else is at work.
 */
export async function judgeOwner(sides: Sides, before: Watched | undefined): Promise<Judgement> {
  const { snapshot } = sides
  const last = await sides.target.history.last()
  const finding = await findingOf(sides, last)
  if (finding.kind === 'own') return { kind: 'go-on', last, common: finding.common }
  if (finding.kind === 'asked') return { kind: 'read-everything', last, problem: finding.problem }
  const standing = standingOf(snapshot, last)
  if (!before) throw new NotAsLeft({ standing, moves: 0 })
  if (hasMoved(finding.kind, before.standing, standing)) {
    const moves = before.moves + 1
    if (moves < MOVES_AT_WORK) throw new NotAsLeft({ standing, moves })
    throw finding.kind === 'other-source' ? otherSource() : otherTarget()
  }
  if (finding.kind === 'other-source')
    return { kind: 'read-everything', last, problem: 'another server answers as the source' }
  if (finding.common !== null) return { kind: 'take-back', to: finding.common }
  return { kind: 'read-everything', last, problem: 'source and target have no drain in common that is still kept' }
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
  return new SyncError('wrong-owner', 'another source is drained into it under the same state schema', {
    side: 'target',
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
    await using target = await context.target.begin()
    await judgeOwner({ snapshot, target }, before)
  } finally {
    snapshot.release()
  }
}
