import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_TLS } from '@mylab-sync/core'
import { sharedServers } from '@mylab-sync/testkit'
import { Session } from './connection/session.js'
import type { SourceSettings } from './settings.js'

const DATABASE = 'wide_rows_test'
const servers = await sharedServers()
await servers.createDatabases({ source: DATABASE, target: DATABASE })
const env = servers.environment({ source: DATABASE, target: DATABASE })
const settings: SourceSettings = {
  host: env['DB_HOST'] ?? '',
  port: Number(env['DB_PORT'] ?? 0),
  user: env['DB_USERNAME'] ?? '',
  password: env['DB_PASSWORD'] ?? '',
  database: DATABASE,
  tls: NO_TLS,
  auditTable: 'sync_audit_log',
  instance: 'default',
}

async function readRaw(session: Session, sql: string): Promise<string[]> {
  const read: string[] = []
  for await (const { rows, bytes, bounds } of session.blocks([sql, 'SHOW WARNINGS'], { columns: 2, keyed: false }))
    for (let row = 0; row < rows; row++) {
      const [start = 0, end = 0, from = 0, to = 0] = bounds.subarray(4 * row, 4 * row + 4)
      read.push(`${bytes.toString('latin1', start, end)} ${to - from}`)
    }
  return read
}

async function readDecoded(session: Session, sql: string): Promise<string[]> {
  const read: string[] = []
  for await (const { rows } of session.stream([sql], (error) => error))
    for (const [at, value] of rows) read.push(`${at?.toString()} ${value?.length}`)
  return read
}

test('a session answers the next statement, wherever wide rows stand in a result', { timeout: 60_000 }, async () => {
  const session = await Session.open(settings)
  const widths = [10, 70_000, 600_000, 1_200_000]
  try {
    for (const rows of widths
      .flatMap((before) => widths.map((wide) => [before, wide]))
      .flatMap((pair) => [pair, ...widths.map((after) => [...pair, after])])) {
      const sql = rows.map((width, at) => `SELECT ${at}, REPEAT('x', ${width})`).join(' UNION ALL ')
      const wanted = rows.map((width, at) => `${at} ${width}`)
      assert.deepEqual(await readRaw(session, sql), wanted)
      assert.deepEqual(await readDecoded(session, sql), wanted)
      assert.deepEqual(await session.rows('SELECT 1'), [['1']])
    }
  } finally {
    await session.close()
  }
})
