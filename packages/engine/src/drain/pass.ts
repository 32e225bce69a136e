import type { SourceSnapshot, TableEvent, TargetTransaction } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'

export type OpeningEvent = Extract<TableEvent, 'open' | 'open-keyless' | 'end-uncaptured'>

/** How long work that needs a drain of its own waits for a running one. */
export const DRAIN_WAIT_MS = 120_000

/** Tables that a drain opens, and how each. */
export type Opening = ReadonlyMap<string, OpeningEvent>

export interface DrainRequest {
  /** It applies the parked keys of these tables and commits their new states. */
  readonly opening?: Opening
  /** Numbers of the copies that were prepared for opening. If one of them was restarted, none opens. */
  readonly copies?: ReadonlyMap<string, number>
  /** Open tables that are checked for rows deleted without an entry. */
  readonly probe?: readonly string[]
  /** Open tables of which a few rows are looked up by their own keys; opening tables always are. */
  readonly lookUps?: readonly string[]
  /** Under the lock, before the drain opens its snapshot; once per pass. */
  readonly beforeSnapshot?: () => Promise<void>
  readonly beforeCommit?: (at: Pick<Pass, 'model' | 'snapshot' | 'target'>) => Promise<void>
  /** Waits up to this long for a running drain instead of returning busy. */
  readonly waitMs?: number
}

/** The model, request and two transactions of one drain. */
export interface Pass {
  readonly context: EngineContext
  readonly model: Model
  readonly request: DrainRequest
  readonly snapshot: SourceSnapshot
  readonly target: TargetTransaction
}
