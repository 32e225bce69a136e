import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EntryIds } from './entry-ids.js'

function kept(ids: readonly bigint[]): { size: number; ids: bigint[] } {
  const all = new EntryIds()
  for (const id of ids) all.add(id)
  return { size: all.size, ids: [...all] }
}

test('ids round-trip exactly: runs, strides, gaps and late ones', () => {
  const cases = [
    [],
    [7],
    [1, 2, 3, 4],
    [1, 2, 3, 5, 6, 9],
    [3, 6, 9, 12, 13, 16],
    [1, 3, 4, 5, 9, 10, 100, 99, 98, 2],
    [5, 5],
    [2 ** 53 - 1, 2 ** 53],
  ].map((ids) => ids.map(BigInt))
  const beyondNumbers = [9007199254740993n, 9007199254740994n, 18446744073709551614n]
  for (const ids of [...cases, beyondNumbers]) assert.deepEqual(kept(ids), { size: ids.length, ids })
})

test('two million ids of neighbouring entries take next to no memory', () => {
  const before = process.memoryUsage().heapUsed
  const all = new EntryIds()
  for (let id = 1n; id <= 4_000_000n; id += 2n) all.add(id)
  assert.equal(all.size, 2_000_000)
  assert.ok(process.memoryUsage().heapUsed - before < 4e6)
})
