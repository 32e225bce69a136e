import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Database } from '../connection/database.js'
import type { Check, Facts } from './check.js'
import { connections, poolerFinding, readOnly, version } from './server.js'

const GOOD: Facts = {
  version: 150_018,
  version_text: '15.18',
  encoding: 'UTF8',
  recovery: false,
  read_only: false,
  replication_role: 'origin',
  account: 'sync',
  database: 'app',
  create_schema: true,
  temporary: true,
  max_connections: 100,
  connections: 10,
}

/** The checks tested here read facts only. */
function codes(check: Check, change: Partial<Facts>): string[] {
  const outcome = check({ facts: { ...GOOD, ...change }, database: null as unknown as Database, tables: [] })
  assert.ok(Array.isArray(outcome))
  return outcome.map(({ code, remedy }) => `${code}: ${remedy}`)
}

test('servers before 11, standbys and full servers are reported', () => {
  assert.deepEqual(codes(version, {}), [])
  assert.deepEqual(codes(version, { version: 110_000 }), [])
  assert.equal(codes(version, { version: 100_023, version_text: '10.23' }).length, 1)
  assert.match(codes(readOnly, { recovery: true, read_only: true })[0] ?? '', /pg_promote/)
  assert.deepEqual(codes(connections, { connections: 92 }), [
    'target-connections: ALTER SYSTEM SET max_connections = 200; and restart the server',
  ])
})

test('one server process behind two open sessions means a pooler', () => {
  assert.deepEqual(poolerFinding(false), [])
  assert.equal(poolerFinding(true)[0]?.severity, 'note')
})
