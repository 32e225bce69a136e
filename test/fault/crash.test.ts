import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { CRASH_POINTS, type CrashPoint } from '@mylab-sync/engine'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { SCHEMA, TABLES } from '../property/schema.js'
import { Writers } from '../property/writers.js'
import { sortedRows, textRows } from '../support/content.js'

/** All points take minutes: CRASH_POINTS=all. These are one of each step. */
const SOME: readonly CrashPoint[] = [
  'chunk:written',
  'opening:scanned',
  'drain:applied',
  'drain:committed',
  'reconcile:asked',
]
const POINTS = process.env['CRASH_POINTS'] === 'all' ? CRASH_POINTS : SOME
/** Each seed dies at another visit of the point. */
const SEEDS = (process.env['CRASH_SEEDS'] ?? '1').split(',').map(Number)
const CHILD = new URL('./crash-child.js', import.meta.url).pathname
const WRITERS = 3

const servers = await sharedServers()

interface End {
  readonly signal: string | null
  readonly code: number | null
  readonly said: string
}

async function live(name: string, point: CrashPoint | '', nth: number): Promise<End> {
  const { source, target, product } = servers
  const env = { ...process.env, CRASH_SERVERS: JSON.stringify({ source, target, product }) }
  const child = spawn(process.execPath, [CHILD, name, point, String(nth)], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  await once(child, 'close')
  return { signal: child.signalCode, code: child.exitCode, said }
}

async function survives(point: CrashPoint, seed: number): Promise<void> {
  const name = `crash_${point.replace(/\W/g, '_')}_${seed}`
  await servers.createDatabases({ source: name, target: name })
  const app = await servers.sourceAdmin(name)
  const reader = await servers.targetAdmin(name)
  const connections = await Promise.all(Array.from({ length: WRITERS }, () => servers.sourceAdmin(name)))
  try {
    await app.query(SCHEMA)
    const writers = new Writers(connections, seed * 31 + point.length, 3)
    try {
      await eventually('the tables hold something to copy', () => writers.statements >= 150, 30_000)
      const killed = await live(name, point, seed)
      if (seed === 1) assert.equal(killed.signal, 'SIGKILL', `the point was reached: ${killed.said}`)
    } finally {
      await writers.stop()
    }
    const second = await live(name, '', 1)
    assert.equal(second.code, 0, second.said)
    for (const table of TABLES) {
      const query = `SELECT * FROM ${table}`
      assert.deepEqual(await sortedRows(reader, query), await sortedRows(app, query), table)
    }
    const open = await textRows(
      reader,
      "SELECT table_name FROM mylab_sync.sync_progress WHERE state NOT IN ('live', 'recopied')",
    )
    assert.deepEqual(open, [])
    const kept =
      'SELECT count(*) FROM mylab_sync.sync_parked UNION ALL SELECT count(*) FROM mylab_sync.sync_parked_parent'
    assert.deepEqual(await textRows(reader, kept), [['0'], ['0']])
  } finally {
    await Promise.all([...connections, app].map((connection) => connection.end()))
    await reader.end()
  }
}

for (const point of POINTS) {
  test(`a process killed at ${point} leaves nothing wrong behind`, async () => {
    for (const seed of SEEDS) await survives(point, seed)
  })
}
