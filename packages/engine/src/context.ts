import { type Source, SyncError, type TableState, type Target } from '@mylab-sync/core'
import type { MappingOptions } from '@mylab-sync/mapping'

export interface EngineOptions {
  /** Table name patterns with `*` and `?`. */
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  readonly mapping: MappingOptions
  /** Maximum rows per chunk of the copies that this process requests; null: chunks are bounded by bytes alone. */
  readonly batchRows: number | null
  readonly copyConcurrency: number
  /** Memory that the process may use, in MiB. The amounts that it holds at once are derived from this. */
  readonly memoryMb: number
  /** `apply`: changed types of live tables are applied. `wait`: the table waits for a person to run the statements. */
  readonly schemaChanges: 'apply' | 'wait'
  /** Verification by itself: the share of the time that it takes, 0 to 1, and whether it repairs what it finds. */
  readonly verify: { readonly share: number; readonly repair: 'report' | 'auto' }
}

/** Limits of the work done at once, of waits and of attempts. */
export interface WorkLimits {
  /** Maximum number of parked keys that the opening drain applies; catch-up applies any excess before. */
  readonly lastSliceKeys: number
  readonly catchUpKeys: number
  /** Entries in one slice of a drain, which is held in memory as a whole. */
  readonly sliceEntries: number
  /** How long a drain's slices share a snapshot. A larger backlog takes several in one target transaction (DESIGN 3.4). */
  readonly snapshotMs: number
  /** How long to watch a side that is not as this installation left it; a draining installation moves it every 3 s. */
  readonly otherMs: number
  /** How long another process may hold the drain lock and do nothing before it is reported by name. */
  readonly drainWaitMs: number
  /** A table with more quarantined rows than this is broken; the other tables continue. */
  readonly quarantinedRows: number
  /** Fewer small tables than this are copied one by one. */
  readonly leastTogether: number
  /** Rows per INSERT statement for a chunk whose COPY was refused. */
  readonly statementRows: number
  /** Attempts of one-shot work, such as `drainAll`, if a retry may fix its failure. */
  readonly attempts: number
  /** The first pause between two attempts; each further one is twice as long, up to 5 s. */
  readonly retryDelayMs: number
}

/** Limits for 256 MB, of which an idle process uses less than half. */
const DEFAULT_LIMITS: WorkLimits = {
  lastSliceKeys: 5_000,
  catchUpKeys: 20_000,
  sliceEntries: 12_000,
  snapshotMs: 60_000,
  otherMs: 10_000,
  drainWaitMs: 30_000,
  quarantinedRows: 1_000,
  leastTogether: 8,
  statementRows: 100,
  attempts: 3,
  retryDelayMs: 100,
}

export interface EngineContext {
  readonly source: Source
  readonly target: Target
  readonly options: EngineOptions
  /** Overrides of the limits that follow from `memoryMb`. */
  readonly limits?: Partial<WorkLimits>
  /** Called with one line for the operator about a repair whose cause a person should investigate. */
  readonly tell?: (line: string) => void
  /**
   * Ends the work at its next safe point: a batch of a chunk, a slice of a drain, a step of an opening. Uncommitted work is
   * rolled back.
   */
  readonly signal?: AbortSignal
}

export type Progress = (
  event:
    | { readonly kind: 'triggers'; readonly table: string; readonly done: number; readonly total: number }
    | { readonly kind: 'copy'; readonly table: string; readonly rows: number; readonly estimated: number }
    | { readonly kind: 'state'; readonly table: string; readonly state: TableState; readonly rows: number }
    | { readonly kind: 'note'; readonly text: string },
) => void

/** Indexes and constraints built at the same time: one for each of a small server's processors, and as many again that wait for an answer. */
export const BUILDS_AT_ONCE = 4

/** Below this limit a process copies chunks one at a time. */
const TWO_COPIES_MB = 192

export function copiesAtOnce(memoryMb: number): number {
  return memoryMb < TWO_COPIES_MB ? 1 : 2
}

/** Marks a safe point: throws SyncError stopped once the context's signal is given. */
export function throwIfStopped({ signal }: EngineContext): void {
  if (signal?.aborted) throw new SyncError('stopped', 'the work was stopped')
}

const DEFAULT_MB = 256
const IDLE_MB = 120

export function limitsOf({ options, limits }: EngineContext): WorkLimits {
  const factor = Math.max(0.1, (options.memoryMb - IDLE_MB) / (DEFAULT_MB - IDLE_MB))
  const scaled = (keys: number): number => Math.round(keys * factor)
  const { lastSliceKeys, catchUpKeys, sliceEntries, ...others } = DEFAULT_LIMITS
  return {
    lastSliceKeys: scaled(lastSliceKeys),
    catchUpKeys: scaled(catchUpKeys),
    sliceEntries: scaled(sliceEntries),
    ...others,
    ...limits,
  }
}
