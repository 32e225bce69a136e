/** How often and how much at once, for the one process that does everything and for the fleet alike: neither knows a number of its own. */

/** Pause between two looks at the source while nothing is pending: one index look-up of 0.15 ms each. */
export const POLL_MS = 100
export const BUSY_POLL_MS = 10
/** Without changes too: `consistent_as_of` moves, and definitions that have changed are noticed. */
export const IDLE_DRAIN_MS = 3_000
/** Between two rounds of control work, unless a table was set aside since: that one calls it at once. */
export const MAINTAIN_MS = 10_000
export const CLEAN_UP_MS = 3_600_000
/** How long definitions of the source are believed: a column that is added is seen after this by all that work. */
export const MODEL_MS = 10_000

/** A drain job ends after this time and the next one may run elsewhere, so that no host keeps it for ever. */
const DRAIN_TURN_MS = 20_000
/** Between two looks for due work while nothing is copied. */
const IDLE_LOOK_MS = 5_000
/** Chunks planned ahead of the copy, of one table, and listed by one look, of all tables. */
export const CHUNKS_AHEAD = 50
export const CHUNKS_PER_LOOK = 400

/** The pause between two tries doubles up to this. */
export const LONGEST_RETRY_MS = 5_000

/** What the fleet's processes go by. */
export const CADENCE = {
  idleLookMs: IDLE_LOOK_MS,
  maintainMs: MAINTAIN_MS,
  cleanUpMs: CLEAN_UP_MS,
  drainTurnMs: DRAIN_TURN_MS,
  chunksAhead: CHUNKS_AHEAD,
  chunksPerLook: CHUNKS_PER_LOOK,
} as const
