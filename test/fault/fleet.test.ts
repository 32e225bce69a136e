import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { Fleet, median, nap, WriteLoad } from '../support/fleet.js'
import type { CliProcess } from '../support/processes.js'

/** FLEET_SECONDS=300 runs the long form: a kill every ten seconds, and Redis emptied every fifteen. */
const LONG_MS = Number(process.env['FLEET_SECONDS'] ?? 0) * 1000
const LIVE_MS = LONG_MS > 0 ? LONG_MS : 8_000
const KILL_EVERY_MS = LONG_MS > 0 ? 10_000 : 3_000
const FLUSH_EVERY_MS = LONG_MS > 0 ? 15_000 : 4_000
const COPY_EVERY_MS = 20_000
/** 20 in the long form. */
const DRAINER_KILLS = Number(process.env['FLEET_DRAINER_KILLS'] ?? 1)
/** How often every process is restarted in turn. */
const ROUNDS = Number(process.env['FLEET_ROUNDS'] ?? 1)
const SETTLED_MS = 90_000
const STOP_MS = 20_000
const TAKE_OVER_MS = 15_000

const servers = await sharedServers({ services: ['mariadb', 'postgres', 'redis'] })

const SCHEDULER = ['scheduler']
const WORKER = ['worker']

test('killing processes and emptying Redis during a copy under load ends in equality', async (t) => {
  const name = 'fleet_chaos'
  await using fleet = await Fleet.open(servers, name, LONG_MS > 0 ? 1_000_000 : 100_000)
  const load = await WriteLoad.start(servers, name, 300)
  try {
    await copyAgain(fleet)
    const schedulers = await Promise.all([SCHEDULER, SCHEDULER].map((args) => fleet.start(args)))
    const workers = await Promise.all([WORKER, WORKER, WORKER, WORKER].map((args) => fleet.start(args)))
    const done = await disturb(fleet, { schedulers, workers })
    await load.stop()
    const stopped = performance.now()
    await fleet.settled(SETTLED_MS)
    tell(t, {
      ...done,
      writes: load.writes,
      mostLagMs: load.mostLagMs,
      settledMs: Math.round(performance.now() - stopped),
    })
    assert.deepEqual(await fleet.different(), [])
    assert.ok(done.killed > 0 && done.flushed > 0)
  } finally {
    await load.stop().catch(() => {})
  }
})

async function copyAgain(fleet: Fleet): Promise<void> {
  const { code, err } = await fleet.cli.run(['initial', '--create-tables', '--detach', '--force', '--batch', '20000'])
  assert.equal(code, 0, err)
}

/** Repeatedly kills and replaces one process of each kind, empties Redis, and copies live tables again. */
async function disturb(
  fleet: Fleet,
  at: { schedulers: CliProcess[]; workers: CliProcess[] },
): Promise<{ killed: number; flushed: number; copies: number }> {
  const done = { killed: 0, flushed: 0, copies: 1 }
  const end = performance.now() + LIVE_MS
  const every = async (ms: number, act: () => Promise<void>): Promise<void> => {
    for (let next = performance.now() + ms; next < end; next += ms) {
      await nap(Math.max(0, next - performance.now()))
      await act()
    }
  }
  await Promise.all([
    every(KILL_EVERY_MS, async () => {
      done.killed++
      await replace(fleet, at.schedulers, SCHEDULER)
      await replace(fleet, at.workers, WORKER)
    }),
    every(FLUSH_EVERY_MS, async () => {
      done.flushed++
      await fleet.flushRedis()
    }),
    every(COPY_EVERY_MS, async () => {
      if ((await fleet.states()) !== 'live') return
      done.copies++
      await copyAgain(fleet)
    }),
  ])
  return done
}

/** Replaces the process that has run longest. */
async function replace(fleet: Fleet, processes: CliProcess[], args: readonly string[]): Promise<void> {
  const victim = processes.shift()
  assert.equal(victim?.ended, false, `it ended on its own: ${victim?.said}`)
  await victim?.kill()
  processes.push(await fleet.start(args))
}

test('restarting every process under 300 writes/s loses nothing; each ends within 20 s', async (t) => {
  const name = 'fleet_rolling'
  await using fleet = await Fleet.open(servers, name, 30_000)
  const load = await WriteLoad.start(servers, name, 300)
  try {
    await copyAgain(fleet)
    const kinds = [SCHEDULER, WORKER, SCHEDULER, WORKER, WORKER]
    const processes = await Promise.all(kinds.map((args) => fleet.start(args)))
    await eventually('all tables are live', async () => (await fleet.states()) === 'live', SETTLED_MS)
    await eventually('the target keeps up', () => load.lagMs > 0 && load.lagMs < 1_000, SETTLED_MS)
    load.mostLagMs = 0
    const stops: number[] = []
    for (let restart = 0; restart < ROUNDS * kinds.length; restart++) {
      const at = restart % kinds.length
      const old = processes[at]
      const since = performance.now()
      old?.signal('SIGTERM')
      assert.equal((await old?.finished(STOP_MS))?.code, 143)
      stops.push(Math.round(performance.now() - since))
      processes[at] = await fleet.start(kinds[at] ?? [])
    }
    const { writes, mostLagMs } = load
    await load.stop()
    await fleet.settled(SETTLED_MS)
    tell(t, { restarts: stops.length, longestStopMs: Math.max(...stops), writes, mostLagMs })
    assert.deepEqual(await fleet.different(), [])
  } finally {
    await load.stop().catch(() => {})
  }
})

test('a killed drainer is replaced within 15 s', async (t) => {
  const name = 'fleet_drainer'
  await using fleet = await Fleet.open(servers, name, 1_000)
  const load = await WriteLoad.start(servers, name, 300)
  try {
    await copyAgain(fleet)
    await fleet.start(SCHEDULER)
    const workers = await Promise.all([WORKER, WORKER, WORKER].map((args) => fleet.start(args)))
    await eventually('all tables are live', async () => (await fleet.states()) === 'live', SETTLED_MS)
    const waits: number[] = []
    for (let kill = 0; kill < DRAINER_KILLS; kill++) {
      const drainer = await drainerOf(workers)
      await drainer.kill()
      const since = performance.now()
      const number = await fleet.lastDrain()
      await eventually('the next drain is committed', async () => (await fleet.lastDrain()) > number, TAKE_OVER_MS)
      waits.push((performance.now() - since) / 1000)
      workers[workers.indexOf(drainer)] = await fleet.start(WORKER)
    }
    tell(t, { kills: waits.length, medianS: median(waits).toFixed(1), mostS: Math.max(...waits).toFixed(1) })
    await load.stop()
    await fleet.settled(SETTLED_MS)
    assert.deepEqual(await fleet.different(), [])
  } finally {
    await load.stop().catch(() => {})
  }
})

/** Finds the worker that drains: it reports its drains every second. */
async function drainerOf(workers: readonly CliProcess[]): Promise<CliProcess> {
  const before = workers.map((worker) => worker.printed.length)
  return eventually(
    'a worker drains',
    () => workers.find((worker, at) => worker.printed.length > (before[at] ?? 0)),
    SETTLED_MS,
  )
}

function tell(t: TestContext, figures: object): void {
  t.diagnostic(JSON.stringify(figures))
}
