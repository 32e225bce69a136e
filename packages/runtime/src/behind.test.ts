import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { Behind } from './behind.js'

test('work behind its caller runs one piece at a time while the caller goes on', async () => {
  const behind = new Behind()
  const log: string[] = []
  let open = (): void => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  await behind.start(async () => {
    await gate
    log.push('first ends')
  })
  log.push('caller goes on')
  const second = behind.start(async () => void log.push('second begins'))
  await setImmediate()
  assert.deepEqual(log, ['caller goes on'])
  open()
  await second
  await behind.ended()
  assert.deepEqual(log, ['caller goes on', 'first ends', 'second begins'])
})

test('an error behind the caller is reported by the next call, which then does nothing', async () => {
  const behind = new Behind()
  const failure = new Error('refused')
  await behind.start(() => Promise.reject(failure))
  await setImmediate()
  await assert.rejects(
    behind.start(() => Promise.reject(new Error('must not run'))),
    failure,
  )
  await assert.rejects(behind.ended(), failure)
})
