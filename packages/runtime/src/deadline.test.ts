import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endsWithin, withDeadline } from './deadline.js'
import { aborted, sleep } from './sleep.js'

const forever = new Promise<never>(() => {})

test('a deadline passes a result and a failure on, and throws when it comes first', async () => {
  assert.equal(await withDeadline(1e6, Promise.resolve(1)), 1)
  await assert.rejects(withDeadline(1e6, Promise.reject(new Error('x'))), { message: 'x' })
  await assert.rejects(withDeadline(1, forever), { message: 'not done within 1 ms' })
})

test('a failure is an end, too', async () => {
  assert.equal(await endsWithin(1e6, Promise.reject(new Error('x'))), true)
  assert.equal(await endsWithin(1, forever), false)
})

test('a sleep ends by its signal, and leaves no listener behind', async () => {
  const stop = new AbortController()
  const slept = sleep(1e9, stop.signal)
  const heard = aborted(stop.signal)
  stop.abort()
  await Promise.all([slept, heard, sleep(1e9, stop.signal), aborted(stop.signal)])
  await sleep(1)
})
