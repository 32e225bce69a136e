import type { SourceSnapshot, TableState, TargetTransaction } from '@mylab-sync/core'
import type { EngineContext, ProtocolRules } from '../context.js'
import type { Model } from '../model/model.js'

export interface DrainRequest {
  /** Tables that this drain opens: their parked keys are part of it, and their new states are committed with it. */
  readonly opening?: ReadonlyMap<string, TableState>
  /** Numbers of the copies that were made ready to open; where one was begun anew, none of them opens. */
  readonly copies?: ReadonlyMap<string, number>
  /** Open tables that are checked for rows deleted without an entry. */
  readonly probe?: readonly string[]
  /** Open tables of which a few rows are looked up by their own keys; those that open always are. */
  readonly lookUps?: readonly string[]
  readonly beforeCommit?: (at: { snapshot: SourceSnapshot; target: TargetTransaction }) => Promise<void>
  /** Wait for a running drain instead of answering busy. */
  readonly waitMs?: number
}

/** What one drain reads and writes with. */
export interface Pass {
  readonly context: EngineContext
  readonly model: Model
  readonly request: DrainRequest
  readonly rules: ProtocolRules
  readonly snapshot: SourceSnapshot
  readonly target: TargetTransaction
}
