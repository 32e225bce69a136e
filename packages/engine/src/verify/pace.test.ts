import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pauseAfter, useMs } from './pace.js'

test('steps and pauses keep to the share of the time, however long a step takes', () => {
  for (const share of [0.001, 0.01, 0.25, 1]) {
    let worked = 0
    let passed = 0
    for (const ms of [1, 40, 333, 700, 260, 2]) {
      worked += ms
      passed += ms + pauseAfter(ms, share)
    }
    assert.ok(Math.abs(worked / passed - share) < 1e-9, `${share}: ${worked / passed}`)
  }
})

test('one slow step does not end verification for hours', () => {
  assert.equal(pauseAfter(120_000, 0.01), 900_000)
})

test('a moment is used some times as long as it took to open, within bounds', () => {
  assert.deepEqual([10, 200, 60_000].map(useMs), [250, 800, 2_000])
})
