/** Intervals and batch sizes, shared by the daemon and the fleet: neither defines a number of its own. */

/** Pause between two looks at the source while nothing is pending: one index look-up of 0.15 ms each. */
export const POLL_MS = 100
export const BUSY_POLL_MS = 1
/** Pause between two drains without changes: each advances `consistent_as_of` and detects changed definitions. */
export const IDLE_DRAIN_MS = 3_000
/** Pause between two rounds of control work. A table that is set aside triggers one at once. */
export const MAINTAIN_MS = 10_000
export const CLEAN_UP_MS = 3_600_000
/** How long a process trusts the source definitions it has read. After this time every process sees an added column. */
export const MODEL_MS = 10_000

/** A drain job ends after this time, and the next one may run elsewhere, so no host keeps draining forever. */
const DRAIN_TURN_MS = 20_000
/** Pause between two looks for due work while no table is being copied. */
const IDLE_LOOK_MS = 5_000
/** Chunks planned ahead of the copy, per table. */
export const CHUNKS_AHEAD = 50
/** Chunks that one look lists, over all tables. */
export const CHUNKS_PER_LOOK = 400

/** Upper bound of the pause between two attempts, which doubles each time. */
export const LONGEST_RETRY_MS = 5_000

/** The intervals and batch sizes of the fleet's processes. */
export const CADENCE = {
  idleLookMs: IDLE_LOOK_MS,
  cleanUpMs: CLEAN_UP_MS,
  drainTurnMs: DRAIN_TURN_MS,
  chunksAhead: CHUNKS_AHEAD,
  chunksPerLook: CHUNKS_PER_LOOK,
} as const
