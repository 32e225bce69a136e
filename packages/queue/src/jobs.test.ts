import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AnyJob, jobOptions, parseJob, QUEUE_NAMES } from './jobs.js'

test('a queue accepts only its own jobs, and only payloads that name work', () => {
  const chunk = { kind: 'copy-chunk', table: 'a:b `c`', chunk: 3 }
  assert.deepEqual(parseJob('copy', chunk), chunk)
  assert.deepEqual(parseJob('drain', { kind: 'drain' }), { kind: 'drain' })
  assert.deepEqual(parseJob('control', { kind: 'open-component', table: 't' }), { kind: 'open-component', table: 't' })
  const strangers: unknown[] = [
    null,
    'drain',
    {},
    { kind: 'other' },
    { ...chunk, chunk: 0 },
    { ...chunk, chunk: '3' },
    { ...chunk, table: '' },
    { ...chunk, table: 'x'.repeat(65) },
    { ...chunk, rows: [[1, 'x']] },
  ]
  for (const data of strangers)
    for (const queue of QUEUE_NAMES) assert.equal(parseJob(queue, data), null, `${queue} ${JSON.stringify(data)}`)
  assert.equal(parseJob('drain', chunk), null)
})

/** As the target tells moments. */
const SINCE = '2026-01-02T03:04:05.678901Z'

test('jobs deduplicate by the work they name and are kept for a bounded time', () => {
  const jobs: AnyJob[] = [
    { kind: 'plan-table', table: 't' },
    { kind: 'copy-chunk', table: 't', chunk: 1 },
    { kind: 'copy-chunk', table: 't', chunk: 2 },
    { kind: 'open-component', table: 't' },
    { kind: 'maintain' },
    { kind: 'verify-chunk' },
    { kind: 'verify-chunk', since: SINCE },
    { kind: 'verify-chunk', since: SINCE, table: 't' },
    { kind: 'drain' },
  ]
  const options = jobs.map((job) => jobOptions('copy', job))
  assert.equal(new Set(options.map((option) => option.deduplication?.id)).size, jobs.length)
  for (const option of options) {
    assert.equal(option.jobId, undefined)
    assert.notEqual(option.removeOnComplete, undefined)
    assert.notEqual(option.removeOnFail, undefined)
  }
})

test('a comparison that is asked for names a moment, and a table or none', () => {
  for (const job of [{ since: SINCE }, { since: SINCE, table: 't' }, {}])
    assert.deepEqual(parseJob('control', { kind: 'verify-chunk', ...job }), { kind: 'verify-chunk', ...job })
  for (const job of [{ since: 'now' }, { since: 1 }, { table: '' }, { tables: ['t'] }])
    assert.equal(parseJob('control', { kind: 'verify-chunk', ...job }), null)
})
