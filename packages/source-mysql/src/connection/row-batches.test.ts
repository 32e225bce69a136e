import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RowBatches } from './row-batches.js'

const row = (bytes = 1): Buffer[] => [Buffer.alloc(bytes)]

function taken(batches: RowBatches): [at: number, rows: number][] {
  const all: [number, number][] = []
  for (let batch = batches.take(); batch; batch = batches.take()) all.push([batch.at, batch.rows.length])
  const last = batches.last()
  return [...all, [last.at, last.rows.length]]
}

test('each batch holds rows of one statement, at most 500 or a megabyte', () => {
  const batches = new RowBatches()
  for (let i = 0; i < 501; i++) assert.equal(batches.add(1, row()), i === 499)
  assert.equal(batches.add(4, row(999_999)), true)
  assert.equal(batches.add(4, row()), true)
  assert.equal(batches.add(7, row()), false)
  assert.deepEqual(
    taken(batches).filter(([, rows]) => rows > 0),
    [
      [1, 500],
      [1, 1],
      [4, 2],
      [7, 1],
    ],
  )
})

test('reading pauses by what waits, in however many batches, until all is taken', () => {
  const byRows = new RowBatches()
  for (let at = 0; at < 1_000; at++) byRows.add(at, row())
  assert.equal(byRows.isEnough, false)
  byRows.add(1_000, row())
  assert.equal(byRows.isEnough, true)
  taken(byRows)
  assert.equal(byRows.isEnough, false)
  const byBytes = new RowBatches()
  for (let at = 0; at < 3; at++) byBytes.add(at, row(999_000))
  assert.equal(byBytes.isEnough, false)
  byBytes.add(3, row(999_000))
  assert.equal(byBytes.isEnough, true)
})
