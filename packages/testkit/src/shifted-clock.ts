import { fileURLToPath } from 'node:url'

/** Environment variables that run a Node.js program as on a host whose clock is ahead, or behind if negative. */
export function shiftedClock(ms: number): Readonly<Record<string, string>> {
  const preload = fileURLToPath(new URL('shifted-date.js', import.meta.url))
  return { NODE_OPTIONS: `--import=${preload}`, CLOCK_SHIFT_MS: String(ms) }
}
