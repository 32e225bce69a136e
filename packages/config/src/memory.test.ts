import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from './config.js'

const SIDES = { DB_DATABASE: 'clinic', PGSQL_DATABASE: 'clinic' }
const limit = (given?: string): number =>
  loadConfig({ env: { ...SIDES, SYNC_MEMORY_LIMIT: given }, directory: '/nonexistent' }).memoryLimitMb

test('a process may use 256 MB unless configured otherwise', () => {
  assert.equal(limit(), 256)
  assert.equal(limit(''), 256)
  assert.equal(limit('128'), 128)
})

test('a limit that is no number, or below what an idle process uses, is refused', () => {
  for (const given of ['127', '512M', '1.5', '-1'])
    assert.throws(() => limit(given), {
      message: `environment: SYNC_MEMORY_LIMIT: found ${given}, expected MB, 128 or more`,
    })
})
