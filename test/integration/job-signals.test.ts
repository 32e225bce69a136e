import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type CrashPoint, JobHandlers } from '@mylab-sync/engine'
import { ServerSet } from '@mylab-sync/testkit'
import { assertEqual, copyAll, installation, settle, states } from '../support/installation.js'

let servers: ServerSet
before(async () => {
  servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
})
after(() => servers.close())

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
    const at = await installation(servers, `signals_open_${number}`, { hooks: { at: stop.at } })
    try {
      await at.app.query(
        'CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1), (2, 2)',
      )
      await copyAll(at.context)
      await at.reader.query("UPDATE mylab_sync.sync_progress SET state = 'copying'")
      const jobs = new JobHandlers(at.context)
      stop.arm()
      await jobs.openComponent('a', { signal: never, yielding: never, [kind]: stop.signal })
      assert.deepEqual(await states(at), { a: 'copying' })
      await jobs.openComponent('a', { signal: never, yielding: never })
      assert.deepEqual(await states(at), { a: 'live' })
    } finally {
      await at.close()
    }
  })
}

test('a drain whose job was taken over by another worker rolls back at its next slice', async () => {
  const stop = stopAt('drain:begun')
  const at = await installation(servers, 'signals_drain', { hooks: { at: stop.at } })
  try {
    await at.app.query('CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1), (2, 2)')
    await copyAll(at.context)
    await settle(at)
    await at.app.query('INSERT INTO a VALUES (3, 3)')
    stop.arm()
    const jobs = new JobHandlers(at.context)
    const turn = { turnMs: 60_000, mayEnd: () => Promise.resolve(true), onDrained: () => {}, onProblem: () => {} }
    await assert.rejects(jobs.drainTurn({ ...turn, signal: stop.signal, yielding: never }), { code: 'stopped' })
    assert.deepEqual(await at.rows('SELECT count(*) FROM a'), [['2']])
    await settle(at)
    await assertEqual(at, ['a'])
  } finally {
    await at.close()
  }
})
