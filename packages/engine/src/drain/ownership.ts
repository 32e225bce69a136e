import { type SourceSnapshot, SyncError, type TargetTransaction } from '@mylab-sync/core'
import { sleep } from '@mylab-sync/runtime'
import { type EngineContext, limitsOf } from '../context.js'
import {
  type HistoryFacts,
  type HistoryVerdict,
  isPlain,
  judgeHistory,
  NO_NAMES,
  type Watched,
} from './history-verdict.js'

export interface Sides {
  readonly snapshot: SourceSnapshot
  readonly target: TargetTransaction
}

/** What a drain must do before anything else. */
export type Judgement = Exclude<HistoryVerdict, { kind: 'wrong-owner' }>

/** Reads both sides and judges their history. Throws SyncError wrong-owner where another installation is draining. */
export async function judgeSides(sides: Sides, before: Watched | undefined): Promise<Judgement> {
  const verdict = judgeHistory(await readFacts(sides), before)
  if (verdict.kind === 'wrong-owner') throw verdict.other === 'source' ? otherSource() : otherTarget()
  return verdict
}

async function readFacts({ snapshot: source, target: { history } }: Sides): Promise<HistoryFacts> {
  const target = await history.last()
  if (isPlain({ source, target })) return { source, target, names: NO_NAMES }
  const kept = await history.kept()
  const atToken = kept.find((drain) => drain.token === source.token) ?? null
  return { source, target, names: { atToken, latest: atToken ?? (await source.watermarks.latest(kept)) } }
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

/** Waits longer than a draining installation ever pauses. */
export function watchOthers(context: EngineContext): Promise<void> {
  return sleep(limitsOf(context).otherMs, context.signal)
}

/** Makes a drain's ownership check on its own, before anything is written. Throws SyncError wrong-owner. */
export async function requireOwner(context: EngineContext): Promise<void> {
  for (let verdict = await look(context, undefined); verdict.kind === 'look-again'; ) {
    await watchOthers(context)
    verdict = await look(context, verdict.watched)
  }
}

async function look(context: EngineContext, before: Watched | undefined): Promise<Judgement> {
  await using snapshot = await context.source.openSnapshot()
  // Opened after the snapshot, so the target knows a drain that ends between the two.
  await using target = await context.target.begin()
  return await judgeSides({ snapshot, target }, before)
}
