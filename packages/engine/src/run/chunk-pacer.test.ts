import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DueWork } from './due-work.js'
import { ChunkPacer } from './chunk-pacer.js'

const work = (...chunks: number[]): DueWork => ({
  plan: [],
  chunks: chunks.map((chunk) => ({ table: 'a', chunk })),
  open: [],
  aside: [],
  verify: false,
})

test('polling speeds up while workers lack chunks, and slows when supplied or stalled', () => {
  const chunks = new ChunkPacer(50)
  const short = [1, 2, 3, 4, 5].map((at) => chunks.pauseMs(work(at), 0))
  assert.deepEqual(short, [250, 125, 62.5, 50, 50])
  assert.equal(chunks.pauseMs(work(6), 40), 100)
  // No chunk waits, and the same chunks are still being copied: near the end, polling need not speed up.
  assert.deepEqual(
    [1, 2, 3].map(() => chunks.pauseMs(work(6), 0)),
    [200, 400, 500],
  )
})

test('chunks are enqueued at once, and again twice a second in case Redis lost them', () => {
  let now = 0
  const chunks = new ChunkPacer(50, () => now)
  const named = (...open: number[]): number[] => chunks.toEnqueue(work(...open)).map(({ chunk }) => chunk)
  assert.deepEqual(named(1, 2, 3), [1, 2, 3])
  now = 50
  assert.deepEqual(named(2, 3, 4), [4])
  now = 100
  assert.deepEqual(named(3, 4), [])
  now = 500
  assert.deepEqual(named(3, 4, 5), [3, 4, 5])
})
