import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inLanes } from './lanes.js'

test('every item is worked on once, no more at once than lanes', async () => {
  const done: number[] = []
  let [running, most] = [0, 0]
  await inLanes([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    most = Math.max(most, ++running)
    await new Promise(setImmediate)
    running--
    done.push(item)
  })
  assert.deepEqual(
    done.toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7],
  )
  assert.equal(most, 3)
})

test('a failure starts nothing more, and is thrown once all that runs has ended', async () => {
  const [begun, ended]: [number[], number[]] = [[], []]
  const work = async (item: number): Promise<void> => {
    begun.push(item)
    await new Promise(setImmediate)
    if (item === 1) throw new Error('the first')
    await new Promise(setImmediate)
    ended.push(item)
    if (item === 2) throw new Error('the second')
  }
  await assert.rejects(inLanes([1, 2, 3, 4], 2, work), /the first/)
  assert.deepEqual([begun, ended], [[1, 2], [2]])
})
