import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from './config.js'

const SIDES = { DB_DATABASE: 'clinic', PGSQL_DATABASE: 'clinic' }
const limit = (given?: string): number =>
  loadConfig({ env: { ...SIDES, SYNC_MEMORY_LIMIT: given }, directory: '/nonexistent' }).memoryLimitMb

test('a process may take 256 MB, or what it is told', () => {
  assert.equal(limit(), 256)
  assert.equal(limit(''), 256)
  assert.equal(limit('128'), 128)
})

test('less than an idle process takes is refused, and what is no number', () => {
  for (const given of ['127', '512M', '1.5', '-1'])
    assert.throws(() => limit(given), {
      message: `environment: SYNC_MEMORY_LIMIT: found ${given}, expected MB, 128 or more`,
    })
})
