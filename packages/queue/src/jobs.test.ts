import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AnyJob, jobOptions, parseJob, QUEUE_NAMES } from './jobs.js'

test('a queue takes its own jobs only, and only what names work', () => {
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

test('no payload has room for a row: a kind, a table’s name and the number of a chunk are all that any may hold', () => {
  const fields = new Set<string>()
  for (const schema of Object.values(PAYLOADS)) {
    const { anyOf = [schema] } = z.toJSONSchema(schema) as { anyOf?: unknown[] }
    const { oneOf = anyOf } = z.toJSONSchema(schema) as { oneOf?: unknown[] }
    for (const one of oneOf.map((each) => each as { properties?: object; additionalProperties?: boolean })) {
      const { properties = {}, additionalProperties } = one.properties ? one : z.toJSONSchema(schema)
      assert.equal(additionalProperties, false)
      for (const field of Object.keys(properties)) fields.add(field)
    }
  }
  assert.deepEqual([...fields].sort(), ['chunk', 'kind', 'table'])
})

test('jobs are told apart by what they name, have no id of their own, and are kept for a bounded time', () => {
  const jobs: AnyJob[] = [
    { kind: 'plan-table', table: 't' },
    { kind: 'copy-chunk', table: 't', chunk: 1 },
    { kind: 'copy-chunk', table: 't', chunk: 2 },
    { kind: 'open-component', table: 't' },
    { kind: 'maintain' },
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
