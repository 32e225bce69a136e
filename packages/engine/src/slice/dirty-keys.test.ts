import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DirtyKeys, dirtyKeysOf } from './dirty-keys.js'

const entry = { id: 1n, table: 't', rowKey: '2', layout: 0 }

test('a plain update dirties one key and starts no closure', () => {
  assert.deepEqual(dirtyKeysOf({ ...entry, operation: 'UPDATE', oldKey: null }), [
    { key: '2', start: false, isThere: true },
  ])
})

test('a changed key dirties both keys, and both start a closure', () => {
  const keys = dirtyKeysOf({ ...entry, operation: 'UPDATE', oldKey: '1' })
  assert.deepEqual(keys, [
    { key: '2', start: true, isThere: true },
    { key: '1', start: true, isThere: false },
  ])
})

test('an insert and a delete each start a closure', () => {
  for (const operation of ['INSERT', 'DELETE'] as const)
    assert.equal(dirtyKeysOf({ ...entry, operation, oldKey: null })[0]?.start, true)
})

test('a key that becomes a start key after its examination is examined again, once', () => {
  const dirty = new DirtyKeys()
  dirty.add('t', '1', false)
  assert.deepEqual(dirty.takeUnexamined(), new Map([['t', ['1']]]))
  assert.equal(dirty.takeUnexamined().size, 0)
  dirty.add('t', '1', true)
  assert.deepEqual(dirty.takeUnexamined(), new Map([['t', ['1']]]))
  dirty.add('t', '1', true)
  assert.equal(dirty.takeUnexamined().size, 0)
})
