import { fileURLToPath } from 'node:url'

/** For the environment of a Node program: it runs as on a host whose clock is ahead by so much, or behind. */
export function shiftedClock(ms: number): Readonly<Record<string, string>> {
  const preload = fileURLToPath(new URL('shifted-date.js', import.meta.url))
  return { NODE_OPTIONS: `--import=${preload}`, CLOCK_SHIFT_MS: String(ms) }
}
