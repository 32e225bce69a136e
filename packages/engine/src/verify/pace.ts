/** The longest pause: a step whose drain took minutes does not end verification for hours. */
const MAX_PAUSE_MS = 900_000

/** The pause after a step, so that step and pause together keep to the share of the time. `share`: above 0, at most 1. */
export function pauseAfter(stepMs: number, share: number): number {
  return Math.min(MAX_PAUSE_MS, stepMs / share - stepMs)
}

const MIN_USE_MS = 250
const MAX_USE_MS = 2_000
/** A moment costs a drain; what it is used for should take some times as long. */
const USES = 4

/** How long a step uses its moment, which took so long to open. */
export function useMs(openedMs: number): number {
  return Math.min(MAX_USE_MS, Math.max(MIN_USE_MS, USES * openedMs))
}
