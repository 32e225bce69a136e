import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SyncError } from '@mylab-sync/core'
import { drain, initial, loadModel, resyncTables } from '@mylab-sync/engine'
import { eventually, type ServerSet, sharedServers } from '@mylab-sync/testkit'
import { connect } from '../support/connect.js'
import { sortedRows, textRows } from '../support/content.js'
import { dropTriggers } from '../support/family.js'
import {
  copyAll,
  createInstallation,
  type Installation,
  type InstallationSettings,
  overSides,
  settle,
  states,
  unwatched,
} from '../support/installation.js'
import { during, watched } from '../support/moments.js'

/** Takes a server back to an earlier moment, as failover to a lagging replica or a restore does: later changes are lost. */
const SCHEMA = `
  CREATE TABLE p (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE c (id INT PRIMARY KEY, p_id INT, v INT, FOREIGN KEY (p_id) REFERENCES p (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE other (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO p SELECT seq, 0 FROM seq_1_to_60; INSERT INTO c SELECT seq, seq, 0 FROM seq_1_to_60; INSERT INTO other SELECT seq, 0 FROM seq_1_to_60`
const TABLES = ['p', 'c', 'other'] as const
/** The cascade of the DELETE fires no trigger in c. */
const CHANGES = `DELETE FROM p WHERE id = 3; INSERT INTO p VALUES (100, 1); UPDATE c SET v = 1 WHERE id > 50; UPDATE other SET id = id + 1000 WHERE id < 9`
const LATER = 'UPDATE other SET v = 7 WHERE id = 20; INSERT INTO p VALUES (101, 2)'

const servers = await sharedServers()

/** The restore cuts its connections; the product's own pools open new ones. */
const restorable = (name: string, settings: InstallationSettings = {}): Promise<Installation> =>
  createInstallation(servers, name, { schema: SCHEMA, serversDie: true, ...settings })

async function source(name: string, statements: string): Promise<void> {
  const app = await servers.sourceAdmin(name)
  await app.query(statements)
  await app.end()
}

async function assertWhole(
  name: string,
  installation: Installation,
  tables: readonly string[] = TABLES,
): Promise<void> {
  await using app = await servers.sourceAdmin(name)
  await using reader = await servers.targetAdmin(name)
  for (const table of tables) {
    const query = `SELECT * FROM ${table}`
    assert.deepEqual(await sortedRows(reader, query), await sortedRows(app, query), table)
  }
  const state = await states(installation)
  for (const table of tables) assert.equal(state[table], 'live', table)
}

/** Retries drains, as a daemon does: the first statement on a cut connection fails. */
async function settled(installation: Installation): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await settle(installation)
      return
    } catch (error) {
      if (tries > 10) throw error
    }
  }
}

for (const service of ['mariadb', 'postgres'] as const) {
  test(`${service} is rolled back past several drains of live tables`, async () => {
    const name = `back_live_${service}`
    await using installation = await restorable(name)
    await copyAll(installation.context)
    await settle(installation)
    const backup = await servers.backup(service)
    await source(name, CHANGES)
    await settled(installation)
    await source(name, LATER)
    await settled(installation)
    await servers.restore(backup)
    await settled(installation)
    await assertWhole(name, installation)
    await source(name, service === 'mariadb' ? `${CHANGES}; ${LATER}` : 'UPDATE c SET v = 9')
    await settled(installation)
    await assertWhole(name, installation)
  })

  test(`${service} is rolled back in the middle of a first copy`, async () => {
    const name = `back_copy_${service}`
    let chunks = 0
    let backup: Awaited<ReturnType<ServerSet['backup']>> | undefined
    let beside: Installation
    // Drains that went on would park the lost keys, and so heal the loss by luck.
    let mayDrain = Promise.resolve()
    let release = (): void => {}
    const wait = (): Promise<void> => mayDrain
    const middle = async (): Promise<void> => {
      chunks++
      if (chunks === 2) backup = await servers.backup(service)
      if (chunks === 4) await source(name, CHANGES)
      if (chunks === 6) {
        await drain(beside.context, await loadModel(beside.context))
        mayDrain = new Promise((resolve) => (release = resolve))
        await source(name, TABLES.map((table) => `UPDATE ${table} SET v = 7`).join('; '))
      }
      if (chunks !== 12) return
      assert.ok(backup)
      await servers.restore(backup)
      release()
    }
    await using installation = await restorable(name, {
      watch: during({ 'chunk:taken': middle, 'drain:locked': wait, 'drain:opened': wait }),
      batchRows: 10,
    })
    await using sides = await connect(servers, name)
    beside = overSides(installation, sides)
    await copyAll({ ...installation.context, options: { ...installation.context.options, copyConcurrency: 1 } })
    assert.ok(chunks > 12, `${chunks} chunks`)
    await settled(installation)
    await assertWhole(name, installation)
  })
}

test('a half-finished acknowledgement is completed by the next drain', async () => {
  await using installation = await restorable('back_half')
  await copyAll(installation.context)
  await installation.app.query(CHANGES)
  await settle(installation)
  // The first batch of an acknowledgement advances the drain number; the second never arrived.
  await installation.app.query(
    'UPDATE sync_audit_log SET synced = 0, drain_no = NULL, synced_at = NULL ORDER BY id DESC LIMIT 5',
  )
  await installation.app.query('UPDATE other SET v = 3 WHERE id = 30')
  await settle(installation)
  const [rows] = await installation.app.query('SELECT COUNT(*) AS n FROM sync_audit_log WHERE synced = 0')
  assert.deepEqual(rows, [{ n: 0 }])
  await assertWhole('back_half', installation)
})

test("rolling the source back voids what only a recopy's chunks and catch-up have seen", async () => {
  let again = false
  const beforeChunk = async (): Promise<void> => {
    if (!again) return
    again = false
    await source('back_again', 'UPDATE other SET v = 7')
    // Parks the keys. Catch-up then takes them without leaving them under a drain's number.
    await drain(beside.context, await loadModel(beside.context))
  }
  let beside: Installation
  await using installation = await restorable('back_again', { watch: during({ 'chunk:taken': beforeChunk }) })
  beside = unwatched(installation)
  await copyAll(installation.context)
  await settle(installation)
  const backup = await servers.backup('mariadb')
  await settled(installation)
  again = true
  const context = { ...installation.context, limits: { lastSliceKeys: 0, catchUpKeys: 10 } }
  const request = {
    tables: ['other'],
    createTables: true,
    resume: false,
    triggers: true,
    force: true,
    takeOver: false,
  }
  await initial(context, request, () => {}, new AbortController().signal)
  assert.equal(again, false)
  await servers.restore(backup)
  await settled(installation)
  await assertWhole('back_again', installation)
})

test('rolling the source back during a first copy loses changes that no drain saw', async () => {
  const name = 'back_unseen'
  let chunks = 0
  let backup: Backup | undefined
  let mayDrain = Promise.resolve()
  let release = (): void => {}
  const beforeChunk = async (): Promise<void> => {
    chunks++
    if (chunks === 2) {
      mayDrain = new Promise((resolve) => (release = resolve))
      backup = await servers.backup('mariadb')
      await source(name, 'UPDATE other SET v = 7')
    }
    if (chunks !== 4) return
    assert.ok(backup)
    await servers.restore(backup)
    release()
  }
  await using installation = await restorable(name, {
    watch: during({ 'chunk:taken': beforeChunk, 'drain:locked': () => mayDrain, 'drain:opened': () => mayDrain }),
    batchRows: 10,
  })
  await copyAll({ ...installation.context, options: { ...installation.context.options, copyConcurrency: 1 } }, [
    'other',
  ])
  assert.ok(chunks > 10, `${chunks} chunks: it was not copied again`)
  await settled(installation)
  await assertWhole(name, installation, ['other'])
})

test('rolling the source back re-detects surplus rows', async () => {
  const name = 'back_surplus'
  let backup: Backup | undefined
  let mayDrain = Promise.resolve()
  let release = (): void => {}
  let step = 0
  const wait = (): Promise<void> => mayDrain
  const afterChunk = async (): Promise<void> => {
    if (step !== 1) return
    step = 2
    // No drain may park the lost key.
    mayDrain = new Promise((resolve) => (release = resolve))
    backup = await servers.backup('mariadb')
    await source(name, 'INSERT INTO other VALUES (5, 5)')
  }
  const afterSurplus = async (): Promise<void> => {
    if (step !== 2) return
    step = 3
    assert.ok(backup)
    await servers.restore(backup)
    release()
  }
  const watch = during({
    'chunk:committed': afterChunk,
    'opening:surplus': afterSurplus,
    'drain:locked': wait,
    'drain:opened': wait,
  })
  await using installation = await restorable(name, { watch })
  await copyAll(installation.context)
  await settle(installation)
  // The target still has the row, and no entry reports the delete.
  await source(name, 'SET @mylab_sync_bypass = 1; DELETE FROM other WHERE id = 5')
  step = 1
  const again = { createTables: true, resume: false, triggers: true, force: true, takeOver: false }
  await initial(installation.context, { ...again, tables: ['other'] }, () => {}, new AbortController().signal)
  assert.equal(step, 3)
  await settled(installation)
  await assertWhole(name, installation)
})

/** Another drain may be running at that moment. */
const WAITING = { waitMs: 30_000 }

test('a drain that starts before the last acknowledgement is in sets nothing aside', async () => {
  const name = 'back_unmarked'
  await using installation = await restorable(name, { batchRows: 20 })
  let chunks = 0
  let alone = false
  // Drains beside the copy would complete the acknowledgement that must be missing.
  const betweenDrains = async (): Promise<void> => {
    if (alone) throw new SyncError('lock-timeout', 'the lock is held')
  }
  const beforeChunk = async (): Promise<void> => {
    if (++chunks !== 3) return
    alone = true
    await source(name, 'UPDATE other SET v = 7')
    const dies = new Error('dies before its mark')
    const dying = watched(installation.context, { 'drain:committed': () => Promise.reject(dies) })
    await assert.rejects(drain(dying, await loadModel(installation.context), WAITING), dies)
    // A chunk that completes meanwhile leaves a watermark younger than the drain's snapshot.
    let looks = 0
    const afterSnapshot = async (): Promise<void> => {
      looks++
      const before = await done()
      await eventually('another chunk is done', async () => (await done()) > before, 10_000)
    }
    const looking = watched(installation.context, { 'drain:opened': afterSnapshot })
    await drain(looking, await loadModel(installation.context), WAITING)
    assert.equal(looks, 1)
    alone = false
  }
  const done = async (): Promise<number> =>
    Number((await installation.rows("SELECT count(*) FROM mylab_sync.sync_chunk WHERE state = 'done'"))[0]?.[0])
  await copyAll(watched(installation.context, { 'chunk:taken': beforeChunk, 'drain:locked': betweenDrains }))
  assert.deepEqual(await installation.rows('SELECT count(*) FROM mylab_sync.sync_chunk'), [[String(chunks)]])
  await settled(installation)
  await assertWhole(name, installation)
})

type Backup = Awaited<ReturnType<ServerSet['backup']>>

/** Steps change the source, save a server, or go back to what an earlier step saved. After each, both sides are equal. */
async function history(
  name: string,
  steps: (at: {
    change(statements: string): Promise<void>
    save(service: 'mariadb' | 'postgres'): Promise<Backup>
    back(...to: readonly Backup[]): Promise<void>
    copies(): Promise<(string | null)[][]>
  }) => Promise<void>,
): Promise<void> {
  await using installation = await restorable(name)
  const context = { ...installation.context, limits: { otherMs: 50 } }
  const right = async (): Promise<void> => {
    await settled({ ...installation, context })
    await assertWhole(name, installation)
  }
  await copyAll(context)
  await right()
  await steps({
    async change(statements) {
      await source(name, statements)
      await right()
    },
    async save(service) {
      const backup = await servers.backup(service)
      await right()
      return backup
    },
    async back(...to) {
      for (const backup of to) await servers.restore(backup)
      await right()
    },
    async copies() {
      await using reader = await servers.targetAdmin(name)
      return await textRows(reader, 'SELECT table_name, opened_drain FROM mylab_sync.sync_progress ORDER BY 1')
    },
  })
}

/**
 * The keys of the lost drains suffice, without a new copy. MariaDB is the exception: its restored files bear the time of
 * the restore, and nothing else reveals some ALTERs.
 */
function assertNotCopied(opened: unknown, before: unknown): void {
  if (servers.isMysql) assert.deepEqual(opened, before)
}

/** Only its own entry leads to each of these rows. */
const insert = (id: number): string => `INSERT INTO other VALUES (${id}, ${id})`

test('the target is restored into a history that the source has lost', async () => {
  await history('back_both', async ({ change, save, back, copies }) => {
    const opened = await copies()
    const early = await save('mariadb')
    await change(`${insert(2001)}; ${CHANGES}`)
    const late = await save('postgres')
    await change(insert(2002))
    await back(early)
    await change(insert(2003))
    await back(late)
    await change(insert(2004))
    assertNotCopied(await copies(), opened)
  })
})

test('source and target are restored to one moment, then the target to lost drains', async () => {
  await history('back_numbers', async ({ change, save, back }) => {
    const source = await save('mariadb')
    const target = await save('postgres')
    for (let id = 3001; id < 3006; id++) await change(insert(id))
    const lost = await save('postgres')
    await change(insert(3006))
    await back(source, target)
    // These drains reuse the numbers of the lost ones.
    for (let id = 4001; id < 4012; id++) await change(insert(id))
    await back(lost)
    await change(insert(4012))
  })
})

test('the source is restored to before its acknowledgements were taken back', async () => {
  await history('back_taken', async ({ change, save, back, copies }) => {
    const opened = await copies()
    const target = await save('postgres')
    await change(insert(5001))
    const source = await save('mariadb')
    await back(target)
    await change(`DELETE FROM other WHERE id = 5001; ${insert(5002)}`)
    await back(source)
    await change(insert(5003))
    assertNotCopied(await copies(), opened)
  })
})

test('the target is restored to before a trigger gap that has been healed since', async () => {
  await history('back_triggers', async ({ change, save, back }) => {
    const target = await save('postgres')
    const app = await servers.sourceAdmin('back_triggers')
    await dropTriggers(app, 'other')
    await app.end()
    // No entry reports the change, and the triggers are intact again when the target goes back.
    await change('UPDATE other SET v = 1 WHERE id = 30')
    await back(target)
  })
})

test('a target restored between two steps of an opening opens by what it holds now', async () => {
  const name = 'back_opening'
  let copy: Awaited<ReturnType<ServerSet['backup']>> | undefined
  let done = false
  const afterIndexes = async (): Promise<void> => {
    copy ??= await servers.backup('postgres')
  }
  const afterScan = async (): Promise<void> => {
    if (done || !copy) return
    done = true
    // The restored target no longer parks the surplus rows that the opening found.
    await servers.restore(copy)
  }
  await using installation = await restorable(name)
  await copyAll(installation.context)
  await installation.reader.query('INSERT INTO other VALUES (5000, 5)')
  const running = { progress: (): void => {}, signal: new AbortController().signal }
  const context = watched(installation.context, { 'opening:indexed': afterIndexes, 'opening:scanned': afterScan })
  await resyncTables(context, ['other'], running)
  assert.ok(done)
  await settled(installation)
  await assertWhole(name, installation)
})
