/**
 * npm run bench [-- name...]: each benchmark starts private servers, measures, and prints one JSON line per figure.
 * A benchmark whose result is wrong ends with exit 1: a fast wrong answer is no figure.
 */
import { backlog } from './backlog.js'
import { impact } from './impact.js'
import { manyTables, wide, wideTables } from './large.js'
import { redis } from './redis.js'
import { workers } from './workers.js'

const BENCHES: Readonly<Record<string, () => Promise<readonly object[]>>> = {
  backlog,
  impact,
  wide,
  manyTables,
  wideTables,
  redis,
  workers,
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !(name in BENCHES))
if (unknown.length > 0) {
  process.stderr.write(`bench: unknown: ${unknown.join(', ')}; known: ${Object.keys(BENCHES).join(', ')}\n`)
  process.exitCode = 2
} else {
  for (const [name, run] of Object.entries(BENCHES)) {
    if (names.length > 0 && !names.includes(name)) continue
    for (const figure of await run()) process.stdout.write(`${JSON.stringify({ bench: name, ...figure })}\n`)
  }
}
