import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAINTAIN_MS } from './cadence.js'
import { ControlClock } from './control-clock.js'

test('control work is due after its pause, and at once for a table newly set aside', () => {
  let now = 0
  const clock = new ControlClock(() => now)
  const doneWhenDue = (aside: readonly string[]): boolean => {
    const isDue = clock.isDue(aside)
    if (isDue) clock.done(aside)
    return isDue
  }
  assert.equal(doneWhenDue([]), true)
  now += MAINTAIN_MS - 1
  assert.deepEqual([doneWhenDue([]), doneWhenDue(['a']), doneWhenDue(['a'])], [false, true, false])
  assert.deepEqual([doneWhenDue(['a', 'b']), doneWhenDue(['b'])], [true, false])
  now += MAINTAIN_MS
  assert.deepEqual([doneWhenDue(['b']), doneWhenDue(['b'])], [true, false])
  clock.hurry()
  assert.equal(doneWhenDue(['b']), true)
})
