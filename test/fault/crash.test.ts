import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { SCHEMA, TABLES } from '../property/schema.js'
import { Writers } from '../property/writers.js'
import { sortedRows, textRows } from '../support/content.js'
import { MOMENTS, type Moment } from '../support/moments.js'

/** One place of each step. */
const SOME: readonly Moment[] = [
  'chunk:written',
  'opening:scanned',
  'drain:applied',
  'drain:committed',
  'reconcile:asked',
]
/** CRASH_POINTS=all: every moment, and after every call of either port; takes an hour. */
const isEverywhere = process.env['CRASH_POINTS'] === 'all'
const PLACES = isEverywhere ? ['install:trigger', ...(Object.keys(MOMENTS) as Moment[])] : SOME
/** Each seed dies at another visit of the place. */
const SEEDS = (process.env['CRASH_SEEDS'] ?? '1').split(',').map(Number)
const CHILD = new URL('./crash-child.js', import.meta.url).pathname
const WRITERS = 3
/** Of a database, on both servers. */
const MAX_NAME = 60

const servers = await sharedServers()

interface End {
  readonly signal: string | null
  readonly code: number | null
  readonly reached: readonly string[]
  readonly said: string
}

async function live(name: string, place: string, nth: number): Promise<End> {
  const { source, target, product } = servers
  const env = { ...process.env, CRASH_SERVERS: JSON.stringify({ source, target, product }) }
  const child = spawn(process.execPath, [CHILD, name, place, String(nth)], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  let reached = ''
  child.stdout.on('data', (data: Buffer) => (reached += data.toString()))
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  await once(child, 'close')
  return { signal: child.signalCode, code: child.exitCode, reached: reached.split('\n').filter(Boolean), said }
}

/** What both lives reach: moments, and points of the ports. */
async function survives(place: string, seed: number, how: { readonly must: boolean }): Promise<readonly string[]> {
  const name = `crash_${place.replace(/\W/g, '_')}_${seed}`.toLowerCase().slice(0, MAX_NAME)
  await servers.createDatabases({ source: name, target: name })
  const app = await servers.sourceAdmin(name)
  const reader = await servers.targetAdmin(name)
  const connections = await Promise.all(Array.from({ length: WRITERS }, () => servers.sourceAdmin(name)))
  let first: readonly string[] = []
  try {
    await app.query(SCHEMA)
    const writers = new Writers(connections, seed * 31 + place.length, 3)
    try {
      await eventually('the tables hold something to copy', () => writers.statements >= 150, 30_000)
      const killed = await live(name, place, seed)
      first = killed.reached
      if (how.must) assert.equal(killed.signal, 'SIGKILL', `${place} was reached: ${killed.said}`)
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
    return [...first, ...second.reached]
  } finally {
    await Promise.all([...connections, app].map((connection) => connection.end()))
    await reader.end()
  }
}

/** By all lives of this run. */
const reached = new Set<string>()
for (const place of PLACES) {
  test(`a process killed at ${place} leaves nothing wrong behind`, async () => {
    for (const seed of SEEDS) for (const point of await survives(place, seed, { must: seed === 1 })) reached.add(point)
  })
}

test('every moment stands for a port call that a life makes', () => {
  assert.deepEqual(
    Object.keys(MOMENTS).filter((moment) => !reached.has(moment)),
    [],
  )
})

test('a process killed after any call of a port leaves nothing wrong behind', async (t) => {
  if (!isEverywhere) return t.skip('takes an hour: CRASH_POINTS=all')
  // A death before a call is one after the call before it. What a life may do without is not always reached.
  const points = [...reached].filter((point) => /:(after|batch)$/.test(point))
  assert.ok(points.length > 80, `${points.length} points`)
  for (const point of points)
    await t.test(point, async () => {
      for (const seed of SEEDS) await survives(point, seed, { must: false })
    })
})
