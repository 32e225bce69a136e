import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cappedBackoff } from './backoff.js'

const limits = { firstMs: 200, longestMs: 5_000 }

test('backoff doubles from the first delay and never exceeds the cap, at any attempt', () => {
  const delays = [1, 2, 3, 4, 5, 6, 7, 100, 1e9].map((attempt) => cappedBackoff(attempt, limits, () => 1))
  assert.deepEqual(delays, [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000])
})

test('jitter takes off at most half of a delay', () => {
  assert.equal(
    cappedBackoff(3, limits, () => 0),
    400,
  )
  for (let run = 0; run < 100; run++) {
    const delay = cappedBackoff(3, limits)
    assert.ok(delay >= 400 && delay <= 800, `${delay}`)
  }
})
