import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CrashPoint, JobHandlers } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { assertEqual, copyAll, createInstallation, settle, states } from '../support/installation.js'

const servers = await sharedServers()

const never = new AbortController().signal

/** Signals are given at this point, once. */
function stopAt(wanted: CrashPoint): { at: (point: CrashPoint) => Promise<void>; signal: AbortSignal; arm(): void } {
  const given = new AbortController()
  let armed = false
  return {
    at: async (point) => {
      if (armed && point === wanted) given.abort()
    },
    signal: given.signal,
    arm: () => {
      armed = true
    },
  }
}

for (const [number, kind] of (['signal', 'yielding'] as const).entries()) {
  test(`an opening stops between two steps on ${kind}, and the next job finishes it`, async () => {
    const stop = stopAt('opening:indexed')
    await using installation = await createInstallation(servers, `signals_open_${number}`, {
      hooks: { at: stop.at },
      schema: 'CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1), (2, 2)',
    })
    await copyAll(installation.context)
    await installation.reader.query("UPDATE mylab_sync.sync_progress SET state = 'copying'")
    const jobs = new JobHandlers(installation.context)
    stop.arm()
    await jobs.openComponent('a', { signal: never, yielding: never, [kind]: stop.signal })
    assert.deepEqual(await states(installation), { a: 'copying' })
    await jobs.openComponent('a', { signal: never, yielding: never })
    assert.deepEqual(await states(installation), { a: 'live' })
  })
}

test('a drain whose job was taken over by another worker rolls back at its next slice', async () => {
  const stop = stopAt('drain:begun')
  await using installation = await createInstallation(servers, 'signals_drain', {
    hooks: { at: stop.at },
    schema: 'CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1), (2, 2)',
  })
  await copyAll(installation.context)
  await settle(installation)
  await installation.app.query('INSERT INTO a VALUES (3, 3)')
  stop.arm()
  const jobs = new JobHandlers(installation.context)
  const turn = { turnMs: 60_000, mayEnd: () => Promise.resolve(true), onDrained: () => {}, onProblem: () => {} }
  await assert.rejects(jobs.drainTurn({ ...turn, signal: stop.signal, yielding: never }), { code: 'stopped' })
  assert.deepEqual(await installation.rows('SELECT count(*) FROM a'), [['2']])
  await settle(installation)
  await assertEqual(installation, ['a'])
})
