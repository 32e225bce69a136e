/**
 * Milliseconds until the next attempt: exponential, capped, with jitter over the upper half, so that workers that
 * failed together do not retry together. BullMQ's own exponential backoff has no cap.
 */
export function cappedBackoff(
  attemptsMade: number,
  { firstMs, longestMs }: { readonly firstMs: number; readonly longestMs: number },
  chance: () => number = Math.random,
): number {
  const full = Math.min(longestMs, firstMs * 2 ** Math.max(0, Math.min(attemptsMade - 1, 30)))
  return Math.round(full * (0.5 + chance() / 2))
}
