import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, type Retry, type Source, SyncError } from '@mylab-sync/core'
import { initial, JobHandlers, type Progress } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { assertEqual, copyAll, createInstallation, settle, states } from '../support/installation.js'
import type { Watch } from '../support/intercept.js'
import { during, type Moment } from '../support/moments.js'

const servers = await sharedServers()

const never = new AbortController().signal

/** Signals are given at this moment, once armed. */
function stopAt(moment: Moment): { watch: Watch; signal: AbortSignal; arm(): void } {
  const given = new AbortController()
  let armed = false
  return {
    watch: during({
      [moment]: () => {
        if (armed) given.abort()
      },
    }),
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
      watch: stop.watch,
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
    watch: stop.watch,
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

/** This source, whose looks for pending changes fail by these errors, one after the other, before they get through. */
function failing(source: Source, faults: SyncError[]): Source {
  const poll = (): ReturnType<Source['log']['poll']> => {
    const fault = faults.shift()
    return fault ? Promise.reject(fault) : source.log.poll()
  }
  const log = new Proxy(source.log, {
    get(real, key) {
      const value: unknown = key === 'poll' ? poll : Reflect.get(real, key, real)
      return typeof value === 'function' ? value.bind(real) : value
    },
  })
  return { ...source, log, openSnapshot: source.openSnapshot.bind(source), close: source.close.bind(source) }
}

const REQUEST = { tables: [], createTables: true, resume: false, triggers: true, force: true, takeOver: false }

const FOR_EVER: readonly (readonly [ErrorCode, Retry?])[] = [
  ['wrong-owner'],
  ['missing-right'],
  ['not-migrated'],
  ['cannot-connect', 'once-mended'],
]

test('initial ends at once by what no retry cures, and outlasts what passes', async () => {
  await using installation = await createInstallation(servers, 'signals_initial', {
    schema: 'CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1), (2, 2)',
  })
  const { context, source } = installation
  for (const [code, retry] of FOR_EVER) {
    const events: Parameters<Progress>[0][] = []
    const fault = new SyncError(code, 'refused', retry === undefined ? {} : { retry })
    const faults = Array.from({ length: 1_000 }, () => fault)
    const refused = { ...context, source: failing(source, faults) }
    await assert.rejects(
      initial(refused, REQUEST, (event) => events.push(event), never),
      { code, message: 'refused' },
    )
    const copied = events.filter(({ kind }) => kind === 'copy' || kind === 'note')
    assert.deepEqual(copied, [], code)
  }
  const passing = (['lost-connection', 'cannot-connect', 'lock-timeout'] as const).map(
    (code) => new SyncError(code, `away by ${code}`),
  )
  const notes: string[] = []
  const note: Progress = (event) => event.kind === 'note' && notes.push(event.text)
  await initial({ ...context, source: failing(source, passing) }, REQUEST, note, never)
  assert.equal(notes[0], 'a drain during the copy will be tried again: away by lost-connection')
  await settle(installation)
  await assertEqual(installation, ['a'])
})
