import assert from 'node:assert/strict'
import { copyOfRows, drainOfEntries, type Point } from './axes.js'

/** What each ratio was when it was last measured; `npm run bench -- smoke` prints today's. */
const MEASURED: Readonly<Record<string, number>> = { rows: 3.0, entries: 1.7 }
/** Worse than this much of the measured ratio fails: less is noise on a machine with other work. */
const TOLERATED = 1.5

/** A small copy and a small drain beside their peers. Throws if one has become slower by half. */
export async function smoke(): Promise<readonly Point[]> {
  const points = [...(await copyOfRows([500_000])), ...(await drainOfEntries([20_000]))]
  const slow = points.filter(({ axis, ratio }) => (ratio ?? Infinity) > (MEASURED[axis] ?? 0) * TOLERATED)
  const said = slow.map(({ axis, ratio }) => `${axis}: ${ratio} times its peer's time, measured ${MEASURED[axis]}`)
  assert.deepEqual(said, [], 'slower by half than when it was last measured')
  return points
}
