import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clockFindings } from './doctor.js'

const clocks = (source: number, target: number) =>
  clockFindings(
    new Map([
      ["the source's clock", source],
      ["the target's clock", target],
      ["this host's clock", 0],
    ]),
  )

test('clocks that differ by seconds are reported: the two furthest apart', () => {
  assert.deepEqual(clocks(1_900, 0), [])
  assert.equal(
    clocks(-1_500, 1_500)[0]?.cause,
    "the target's clock is 3.0 s ahead of the source's clock: lags and ages are shown wrong by that much; rows are not affected",
  )
  assert.match(clocks(-60_000, 0)[0]?.cause ?? '', /^this host's clock is 60.0 s ahead of the source's clock/)
})
