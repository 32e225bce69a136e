import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs, poll, retry, retryUntil } from './retry.js'

const limits = { firstMs: 200, longestMs: 5_000 }

test('backoff doubles from the first delay and never exceeds the cap, at any attempt', () => {
  const delays = [1, 2, 3, 4, 5, 6, 7, 100, 1e9].map((attempt) => backoffMs(attempt, limits, () => 1))
  assert.deepEqual(delays, [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000])
})

test('jitter takes off at most half of a delay', () => {
  assert.equal(
    backoffMs(3, limits, () => 0),
    400,
  )
  for (let run = 0; run < 100; run++) {
    const delay = backoffMs(3, limits)
    assert.ok(delay >= 400 && delay <= 800, `${delay}`)
  }
})

const isOurs = (error: unknown): error is Error => error instanceof Error && error.message === 'ours'
const quick = { firstMs: 1, longestMs: 1, isRetryable: isOurs }
const failing = (times: number, then: () => string, message = 'ours') => {
  let calls = 0
  return {
    calls: () => calls,
    work: (): Promise<string> => (++calls > times ? Promise.resolve(then()) : Promise.reject(new Error(message))),
  }
}

test('work is retried until it gets through, and each failure is reported', async () => {
  const { work, calls } = failing(3, () => 'done')
  const told: string[] = []
  assert.equal(await retry(work, { ...quick, onRetry: (error) => told.push(error.message) }), 'done')
  assert.deepEqual([calls(), told], [4, ['ours', 'ours', 'ours']])
})

test('the failure of the last attempt is thrown, and any other one at once', async () => {
  const many = failing(9, () => 'done')
  await assert.rejects(retry(many.work, { ...quick, attempts: 3 }), { message: 'ours' })
  assert.equal(many.calls(), 3)
  const other = failing(9, () => 'done', 'other')
  await assert.rejects(retry(other.work, quick), { message: 'other' })
  assert.equal(other.calls(), 1)
})

test('progress resets the count of failures', async () => {
  let calls = 0
  const work = (progressed: () => void): Promise<void> => {
    calls++
    if (calls === 2) progressed()
    return calls > 3 ? Promise.resolve() : Promise.reject(new Error('ours'))
  }
  await retry(work, { ...quick, attempts: 3 })
  assert.equal(calls, 4)
})

test('the signal ends a pause, the work runs a last time, and its failure is thrown', async () => {
  const { work, calls } = failing(9, () => 'done')
  const stop = new AbortController()
  const onRetry = (): void => stop.abort()
  await assert.rejects(retry(work, { ...quick, firstMs: 1e9, longestMs: 1e9, signal: stop.signal, onRetry }))
  assert.equal(calls(), 2)
})

test('a retryable failure after the signal ends endless work without an error', async () => {
  const stop = AbortSignal.abort()
  const told: string[] = []
  const onRetry = (error: Error): number => told.push(error.message)
  await retryUntil(stop, () => Promise.reject(new Error('ours')), { ...quick, onRetry })
  assert.deepEqual(told, ['ours'])
  await assert.rejects(
    retryUntil(stop, () => Promise.reject(new Error('other')), quick),
    { message: 'other' },
  )
})

test('polling ends by the answer yes, by its attempts or by the signal', async () => {
  const answers = [false, false, true]
  assert.equal(await poll(() => Promise.resolve(answers.shift() ?? false), { everyMs: 1, attempts: 9 }), true)
  let asked = 0
  const never = (): Promise<boolean> => {
    asked++
    return Promise.resolve(false)
  }
  assert.equal(await poll(never, { everyMs: 1, attempts: 3 }), false)
  assert.equal(await poll(never, { everyMs: 1e9, attempts: 3, signal: AbortSignal.abort() }), false)
  assert.equal(asked, 4)
})
