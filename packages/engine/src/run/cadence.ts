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

/** The pause between two tries doubles up to this. */
export const LONGEST_RETRY_MS = 5_000
