import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PutOff } from './put-off.js'

test('an index that timed out is retried ever more seldom, another one after 30 s', () => {
  let now = 0
  const putOff = new PutOff(() => now)
  assert.equal(putOff.reason('a'), null)
  putOff.failed('a', 5_000, 'because')
  assert.deepEqual([putOff.reason('a'), putOff.reason('b')], ['because', 'because'])
  now = 30_000
  assert.deepEqual([putOff.reason('a'), putOff.reason('b')], ['because', null])
  now = 60_000
  assert.equal(putOff.reason('a'), null)
  putOff.failed('a', 5_000, 'still')
  now = 179_999
  assert.equal(putOff.reason('a'), 'still')
  now = 180_000
  assert.equal(putOff.reason('a'), null)
  putOff.failed('a', 3_600_000, 'long')
  now += 9 * 3_600_000 - 1
  assert.equal(putOff.reason('a'), 'long')
  putOff.built('a')
  assert.equal(putOff.reason('a'), null)
})
