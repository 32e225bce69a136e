import { type Source, SyncError, type TableState, type Target } from '@mylab-sync/core'
import type { MappingOptions } from '@mylab-sync/mapping'

export interface EngineOptions {
  /** Table name patterns with `*` and `?`. */
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  readonly mapping: MappingOptions
  /** Most rows in a chunk of the copies that this process asks for; null: by bytes alone. */
  readonly batchRows: number | null
  readonly copyConcurrency: number
  /** What the process may take, in MiB: how much is held at once follows from it. */
  readonly memoryMb: number
  /** Whether changed types of live tables are applied, or wait for somebody with their statements. */
  readonly schemaChanges: 'apply' | 'wait'
}

/** How much one snapshot is asked for. */
export interface WorkLimits {
  /** Parked keys that the opening drain takes along; more are caught up before. */
  readonly lastSliceKeys: number
  readonly catchUpKeys: number
  /** Entries of one slice of a drain: what is held in memory at once. */
  readonly sliceEntries: number
  /** How long a drain's slices share a snapshot; a larger backlog takes several in one target transaction (DESIGN 3.4). */
  readonly snapshotMs: number
  /** How long the other side is watched that is not as it was left; an installation at work drains every 3 s. */
  readonly otherMs: number
  /** How long another process may hold the lock of a drain and do nothing before it is told by name. */
  readonly drainWaitMs: number
  /** More quarantined rows than this break their table; the rest goes on. */
  readonly quarantinedRows: number
  /** Rows of one statement of a chunk whose COPY was refused. */
  readonly statementRows: number
  /** Tries of what ends by itself, where a retry may cure what went wrong. */
  readonly attempts: number
  /** The first pause between two tries; each further one is twice as long, up to 5 s. */
  readonly retryDelayMs: number
}

/** Limits for 256 MB, of which an idle process takes less than half. */
const DEFAULT_LIMITS: WorkLimits = {
  lastSliceKeys: 5_000,
  catchUpKeys: 20_000,
  sliceEntries: 12_000,
  snapshotMs: 60_000,
  otherMs: 10_000,
  drainWaitMs: 30_000,
  quarantinedRows: 1_000,
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
  /** Called with one line for whoever runs this, about what was put right and that a person should look into. */
  readonly tell?: (line: string) => void
  /** Ends the work at its next safe place: a batch of a chunk, a slice of a drain, a step of an opening. What is not committed is rolled back. */
  readonly signal?: AbortSignal
}

export type Progress = (
  event:
    | { readonly kind: 'triggers'; readonly table: string; readonly done: number; readonly total: number }
    | { readonly kind: 'copy'; readonly table: string; readonly rows: number; readonly estimated: number }
    | { readonly kind: 'state'; readonly table: string; readonly state: TableState; readonly rows: number }
    | { readonly kind: 'note'; readonly text: string },
) => void

/** Below this limit a process copies chunks one at a time. */
const TWO_COPIES_MB = 192

export function copiesAtOnce(memoryMb: number): number {
  return memoryMb < TWO_COPIES_MB ? 1 : 2
}

/** A safe place: throws SyncError stopped once the context's signal is given. */
export function throwIfStopped({ signal }: EngineContext): void {
  if (signal?.aborted) throw new SyncError('stopped', 'the work was told to stop')
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
