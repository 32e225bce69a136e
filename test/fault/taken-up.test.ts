import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { drain, loadModel } from '@mylab-sync/engine'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { startDaemon } from '../support/daemon.js'
import { sortedRows, textRows } from '../support/content.js'
import { copyAll, createInstallation } from '../support/installation.js'
import { during } from '../support/moments.js'

/** Failures in the middle of a copy or of live sync. Work resumes automatically after each; the tests report how soon. */
const ROWS = 30_000
const SCHEMA = `CREATE TABLE a (id INT PRIMARY KEY, v INT, t VARCHAR(200)) ENGINE=InnoDB;
  INSERT INTO a SELECT seq, seq, REPEAT('x', 150) FROM seq_1_to_${ROWS}`

const servers = await sharedServers()

async function killConnections(name: string): Promise<void> {
  const app = await servers.sourceAdmin(name)
  const mine = `SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '${name}' AND ID <> CONNECTION_ID()`
  // A connection that has closed meanwhile counts as killed.
  for (const [id] of await textRows(app, mine)) await app.query(`KILL ${id}`).catch(() => {})
  app.destroy()
}

async function restart(service: 'mariadb' | 'postgres'): Promise<void> {
  await servers.kill(service)
  await servers.start(service)
}

async function freezeFor(service: 'mariadb' | 'postgres', ms: number): Promise<void> {
  await servers.freeze(service)
  await new Promise((resolve) => setTimeout(resolve, ms))
  servers.thaw(service)
}

const BREAKS: Readonly<Record<string, (name: string) => Promise<void>>> = {
  'every connection to the source is killed': killConnections,
  'the source is killed and restarted': () => restart('mariadb'),
  'the target is killed and restarted': () => restart('postgres'),
  'the source freezes for 3 s': () => freezeFor('mariadb', 3000),
  'the target freezes for 3 s': () => freezeFor('postgres', 3000),
}

async function assertEqual(name: string): Promise<void> {
  await using app = await servers.sourceAdmin(name)
  await using reader = await servers.targetAdmin(name)
  assert.deepEqual(await sortedRows(reader, 'SELECT * FROM a'), await sortedRows(app, 'SELECT * FROM a'))
}

const tell = (t: TestContext, since: number): void =>
  t.diagnostic(`taken up after ${((performance.now() - since) / 1000).toFixed(2)} s`)

for (const [number, [what, breaks]] of Object.entries(BREAKS).entries()) {
  test(`a copy continues when ${what}`, async (t) => {
    const name = `taken_copy_${number}`
    let broken = 0
    const watch = during({
      'chunk:read': async () => {
        if (broken > 0) return
        broken = performance.now()
        await breaks(name)
      },
    })
    await using installation = await createInstallation(servers, name, {
      schema: SCHEMA,
      serversDie: true,
      watch,
      batchRows: 5000,
    })
    await copyAll(installation.context)
    tell(t, broken)
    await assertEqual(name)
  })

  test(`live sync continues when ${what}`, async (t) => {
    const name = `taken_live_${number}`
    await using installation = await createInstallation(servers, name, {
      schema: SCHEMA,
      copied: true,
      serversDie: true,
    })
    await drain(installation.context, await loadModel(installation.context))
    await using daemon = startDaemon(installation.context)
    await installation.app.query('UPDATE a SET v = 0 WHERE id = 1')
    await eventually('the daemon drains', () => hasArrived(name, '0'), 30_000)
    const since = performance.now()
    await breaks(name)
    await change('UPDATE a SET v = v + 1 WHERE id < 100', name)
    await eventually('the change is there', () => hasArrived(name, '1'), 30_000)
    tell(t, since)
    await daemon.stop()
    await assertEqual(name)
  })
}

const NAMED_MS = 30_000

for (const service of ['mariadb', 'postgres'] as const) {
  test(`a silent server is named, and live sync resumes once it answers: ${service}`, async (t) => {
    const name = `taken_still_${service}`
    await using installation = await createInstallation(servers, name, {
      schema: SCHEMA,
      copied: true,
      serversDie: true,
    })
    await using daemon = startDaemon(installation.context)
    await installation.app.query('UPDATE a SET v = 0 WHERE id = 1')
    await eventually('the daemon drains', () => hasArrived(name, '0'), 30_000)
    const still = performance.now()
    await servers.freeze(service)
    try {
      // After the freeze: drained before it, the change would leave no query of the target until the next control work.
      if (service === 'postgres') await installation.app.query('UPDATE a SET v = 1 WHERE id = 1')
      const isTold = (): boolean => daemon.problems.length > 0 || daemon.failure !== undefined
      await eventually('the server is reported by name', isTold, NAMED_MS)
    } finally {
      servers.thaw(service)
    }
    assert.equal(daemon.failure, undefined)
    const code = daemon.problems[0]?.error.code ?? ''
    assert.match(code, /^(lost-connection|cannot-connect)$/)
    t.diagnostic(`named ${code} after ${((performance.now() - still) / 1000).toFixed(1)} s`)
    const since = performance.now()
    if (service === 'mariadb') await change('UPDATE a SET v = 1 WHERE id = 1', name)
    await eventually('the change is there', () => hasArrived(name, '1'), 30_000)
    tell(t, since)
    await daemon.stop()
    await assertEqual(name)
  })
}

/** Uses a connection of its own, because the installation's may be lost. */
async function change(statement: string, name: string): Promise<void> {
  await using app = await servers.sourceAdmin(name)
  await app.query(statement)
}

async function hasArrived(name: string, v: string): Promise<boolean> {
  await using reader = await servers.targetAdmin(name)
  return (await textRows(reader, 'SELECT v FROM a WHERE id = 1'))[0]?.[0] === v
}
