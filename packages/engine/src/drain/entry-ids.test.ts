import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
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

const IDS = fc.oneof(fc.bigInt({ min: 1n, max: 40n }), fc.bigInt({ min: 2n ** 63n, max: 2n ** 63n + 40n }))

test('ids that are added are the ids that come back, in any order', () => {
  fc.assert(
    fc.property(fc.array(IDS), (ids) => {
      assert.deepEqual(kept(ids), { size: ids.length, ids })
    }),
    { numRuns: 500 },
  )
})

test('late ids are exactly the pending ones that were not read', async () => {
  const ascending = fc
    .uniqueArray(IDS, { maxLength: 60 })
    .map((ids) => ids.toSorted((a, b) => (a < b ? -1 : Number(a > b))))
  await fc.assert(
    fc.asyncProperty(ascending, ascending, fc.integer({ min: 1, max: 5 }), async (read, pending, size) => {
      const all = new EntryIds()
      for (const id of read) all.add(id)
      async function* batches(): AsyncIterable<readonly bigint[]> {
        for (let at = 0; at < pending.length; at += size) yield pending.slice(at, at + size)
      }
      const known = new Set(read)
      assert.deepEqual(
        [...(await all.missingOf(batches()))],
        pending.filter((id) => !known.has(id)),
      )
    }),
    { numRuns: 300 },
  )
})

test('two million ids of neighbouring entries take next to no memory', () => {
  const before = process.memoryUsage().heapUsed
  const all = new EntryIds()
  for (let id = 1n; id <= 4_000_000n; id += 2n) all.add(id)
  assert.equal(all.size, 2_000_000)
  assert.ok(process.memoryUsage().heapUsed - before < 4e6)
})
