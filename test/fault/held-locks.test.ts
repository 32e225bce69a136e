import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { type InitialRequest, initial } from '@mylab-sync/engine'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { startDaemon } from '../support/daemon.js'
import { textRows } from '../support/content.js'
import { assertEqual, createInstallation, type Installation } from '../support/installation.js'

/**
 * Another session's open transaction holds a lock that we need. The wait ends with a named error within a stated time, no
 * session of ours stays queued for the lock, and the work resumes as soon as the lock is released.
 */
const NAMED_MS = 12_000
const TAKEN_UP_MS = 15_000
const SCHEMA = `CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO a SELECT seq, 0 FROM seq_1_to_2000`

const servers = await sharedServers()

/** Takes the lock; returns a function that releases it. */
type Hold = (name: string) => Promise<() => Promise<void>>

const onSource =
  (take: string, give: string): Hold =>
  async (name) => {
    const session = await servers.sourceAdmin(name)
    await session.query(take)
    return async () => {
      await session.query(give)
      await session.end()
    }
  }

const onTarget =
  (take: string): Hold =>
  async (name) => {
    const session = await servers.targetAdmin(name)
    await session.query(`BEGIN; ${take}`)
    return async () => {
      await session.query('ROLLBACK')
      await session.end()
    }
  }

const LIVE: Readonly<Record<string, Hold>> = {
  'the target: a row of the table': onTarget('SELECT * FROM a WHERE id = 1 FOR UPDATE'),
  'the target: the whole table': onTarget('LOCK TABLE a IN ACCESS EXCLUSIVE MODE'),
  'the source: the table of drain numbers': onSource('LOCK TABLES sync_instance WRITE', 'UNLOCK TABLES'),
  'the source: the table of watermarks': onSource('LOCK TABLES sync_instance_mark WRITE', 'UNLOCK TABLES'),
}
const COPY: Readonly<Record<string, Hold>> = {
  'the target: the whole table': onTarget('LOCK TABLE a IN ACCESS EXCLUSIVE MODE'),
  'the source: the whole table': onSource('LOCK TABLES a WRITE', 'UNLOCK TABLES'),
  'the source: the table of watermarks': onSource('LOCK TABLES sync_instance_mark WRITE', 'UNLOCK TABLES'),
}

function tell(t: TestContext, what: { named: number; code: string; takenUp: number }): void {
  t.diagnostic(
    `named ${what.code} after ${(what.named / 1000).toFixed(1)} s, taken up ${(what.takenUp / 1000).toFixed(1)} s after the lock was given back`,
  )
}

for (const [number, [what, hold]] of Object.entries(LIVE).entries()) {
  test(`live sync waits for no lock forever: ${what}`, async (t) => {
    const name = `held_live_${number}`
    await using installation = await createInstallation(servers, name, { schema: SCHEMA, copied: true })
    await using daemon = startDaemon(installation.context)
    const giveBack = await hold(name)
    const since = performance.now()
    if (!what.startsWith('the source')) await installation.app.query('UPDATE a SET v = 1 WHERE id = 1')
    await eventually('the wait is reported by name', () => daemon.problems.length > 0, NAMED_MS)
    const named = performance.now() - since
    await giveBack()
    const free = performance.now()
    if (what.startsWith('the source')) await installation.app.query('UPDATE a SET v = 1 WHERE id = 1')
    await eventually('the change is there', () => hasArrived(installation), TAKEN_UP_MS)
    const code = daemon.problems[0]?.error.code ?? ''
    assert.equal(code, 'lock-timeout')
    tell(t, { named, code, takenUp: performance.now() - free })
    await daemon.stop()
    await assertEqual(installation, ['a'])
  })
}

async function hasArrived(installation: Installation): Promise<boolean> {
  return (await textRows(installation.reader, 'SELECT v FROM a WHERE id = 1'))[0]?.[0] === '1'
}

const ALL: InitialRequest = {
  tables: [],
  createTables: true,
  resume: false,
  triggers: true,
  force: true,
  takeOver: false,
}

for (const [number, [what, hold]] of Object.entries(COPY).entries()) {
  test(`a copy waits for no lock forever: ${what}`, async (t) => {
    const name = `held_copy_${number}`
    await using installation = await createInstallation(servers, name, { schema: SCHEMA, copied: true })
    const notes: string[] = []
    const giveBack = await hold(name)
    const since = performance.now()
    const copying = initial(
      installation.context,
      ALL,
      (event) => {
        if (event.kind === 'note') notes.push(event.text)
      },
      AbortSignal.timeout(60_000),
    )
    copying.catch((error: unknown) => notes.push(String(error)))
    await eventually('the wait is reported', () => notes.length > 0, NAMED_MS)
    const named = performance.now() - since
    await giveBack()
    const free = performance.now()
    await copying
    assert.match(notes[0] ?? '', /lock/)
    tell(t, { named, code: notes[0] ?? '', takenUp: performance.now() - free })
    await assertEqual(installation, ['a'])
  })
}
