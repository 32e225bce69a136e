/**
 * npm run bench [-- name...]: each benchmark starts private servers, measures, and prints one JSON line per figure.
 * A benchmark whose result is wrong ends with exit 1: a fast wrong answer is no figure.
 */
import { copyFromAfar, copyOfRows, copyOfTables, copyOfWidths, drainOfEntries } from './axes.js'
import { backlog } from './backlog.js'
import { impact } from './impact.js'
import { manyTables, wide, wideTables } from './large.js'
import { redis } from './redis.js'
import { smoke } from './smoke.js'
import { workers } from './workers.js'

const BENCHES: Readonly<Record<string, () => Promise<readonly object[]>>> = {
  backlog,
  impact,
  wide,
  manyTables,
  wideTables,
  redis,
  workers,
  smoke,
  rows: () => copyOfRows(sizes('BENCH_ROWS', [10_000, 100_000, 1_000_000, 10_000_000])),
  tables: () => copyOfTables(sizes('BENCH_TABLES', [10, 100, 381, 2_000])),
  roundTrip: () => copyFromAfar(sizes('BENCH_ROUND_TRIPS', [0, 5, 20])),
  entries: () => drainOfEntries(sizes('BENCH_ENTRIES', [1_000, 2_000, 20_000, 200_000, 2_000_000])),
  width: () => copyOfWidths(sizes('BENCH_WIDTHS', [20, 200, 2_000, 20_000, 100_000])),
}

/** The sizes of one axis, comma-separated in a variable, or these. */
function sizes(variable: string, all: readonly number[]): readonly number[] {
  return process.env[variable]?.split(',').map(Number) ?? all
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
