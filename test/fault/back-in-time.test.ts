import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SyncError } from '@mylab-sync/core'
import { drain, initial, loadModel, resyncTables } from '@mylab-sync/engine'
import { eventually, ServerSet } from '@mylab-sync/testkit'
import { connect } from '../support/connect.js'
import { sortedRows, textRows } from '../support/content.js'
import { dropTriggers } from '../support/family.js'
import { copyAll, type Installation, installation, settle, states } from '../support/installation.js'

/** A server is put back to an earlier moment, as a failover to a lagging replica or a restore does, and what it knew since is gone. */
const SCHEMA = `
  CREATE TABLE p (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE c (id INT PRIMARY KEY, p_id INT, v INT, FOREIGN KEY (p_id) REFERENCES p (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE other (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO p SELECT seq, 0 FROM seq_1_to_60; INSERT INTO c SELECT seq, seq, 0 FROM seq_1_to_60; INSERT INTO other SELECT seq, 0 FROM seq_1_to_60`
const TABLES = ['p', 'c', 'other'] as const
/** Fires no trigger in c. */
const CHANGES = `DELETE FROM p WHERE id = 3; INSERT INTO p VALUES (100, 1); UPDATE c SET v = 1 WHERE id > 50; UPDATE other SET id = id + 1000 WHERE id < 9`
const LATER = 'UPDATE other SET v = 7 WHERE id = 20; INSERT INTO p VALUES (101, 2)'

let servers: ServerSet
before(async () => {
  servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
})
after(() => servers.close())

/** Its connections are cut by the restore; the product's own pools find new ones. */
async function within(
  name: string,
  settings: Parameters<typeof installation>[2],
  use: (at: Installation) => Promise<void>,
): Promise<void> {
  const at = await installation(servers, name, settings)
  at.app.on('error', () => {})
  at.reader.on('error', () => {})
  try {
    await at.app.query(SCHEMA)
    await use(at)
  } finally {
    at.app.destroy()
    await at.source.close()
    await at.target.close()
    // its server was stopped under it, on purpose
    await at.reader.end().catch(() => {})
  }
}

async function source(name: string, statements: string): Promise<void> {
  const app = await servers.sourceAdmin(name)
  await app.query(statements)
  await app.end()
}

async function assertWhole(name: string, at: Installation, tables: readonly string[] = TABLES): Promise<void> {
  const app = await servers.sourceAdmin(name)
  const reader = await servers.targetAdmin(name)
  try {
    for (const table of tables) {
      const query = `SELECT * FROM ${table}`
      assert.deepEqual(await sortedRows(reader, query), await sortedRows(app, query), table)
    }
    const state = await states(at)
    for (const table of tables) assert.equal(state[table], 'live', table)
  } finally {
    await app.end()
    await reader.end()
  }
}

/** The first statement on a connection that was cut fails; drains are done again, as a daemon does. */
async function settled(at: Installation): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await settle(at)
      return
    } catch (error) {
      if (tries > 10) throw error
    }
  }
}

for (const service of ['mariadb', 'postgres'] as const) {
  test(`${service} is rolled back past several drains of live tables`, async () => {
    const name = `back_live_${service}`
    await within(name, {}, async (at) => {
      await copyAll(at.context)
      await settle(at)
      const backup = await servers.backup(service)
      await source(name, CHANGES)
      await settled(at)
      await source(name, LATER)
      await settled(at)
      await servers.restore(backup)
      await settled(at)
      await assertWhole(name, at)
      await source(name, service === 'mariadb' ? `${CHANGES}; ${LATER}` : 'UPDATE c SET v = 9')
      await settled(at)
      await assertWhole(name, at)
    })
  })

  test(`${service} is rolled back in the middle of a first copy`, async () => {
    const name = `back_copy_${service}`
    let chunks = 0
    let backup: Awaited<ReturnType<ServerSet['backup']>> | undefined
    let beside: Installation
    // drains that ran on would park the keys of what is lost, and so heal it by luck
    let mayDrain = Promise.resolve()
    let release = (): void => {}
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
    await within(
      name,
      { hooks: { beforeChunk: middle, betweenLockAndSnapshot: () => mayDrain }, batchRows: 10 },
      async (at) => {
        // no hooks: its drains are no chunks
        const { source: other, target } = await connect(servers, name)
        beside = { ...at, context: { ...at.context, hooks: {}, source: other, target } }
        try {
          await copyAll({ ...at.context, options: { ...at.context.options, copyConcurrency: 1 } })
          assert.ok(chunks > 12, `${chunks} chunks`)
          await settled(at)
          await assertWhole(name, at)
        } finally {
          await other.close()
          await target.close()
        }
      },
    )
  })
}

test('a half-finished acknowledgement is completed by the next drain', async () => {
  await within('back_half', {}, async (at) => {
    await copyAll(at.context)
    await at.app.query(CHANGES)
    await settle(at)
    // the first batch of a mark moves the number, the second never came
    await at.app.query(
      'UPDATE sync_audit_log SET synced = 0, drain_no = NULL, synced_at = NULL ORDER BY id DESC LIMIT 5',
    )
    await at.app.query('UPDATE other SET v = 3 WHERE id = 30')
    await settle(at)
    const [rows] = await at.app.query('SELECT COUNT(*) AS n FROM sync_audit_log WHERE synced = 0')
    assert.deepEqual(rows, [{ n: 0 }])
    await assertWhole('back_half', at)
  })
})

test("rolling the source back voids what only a recopy's chunks and catch-up have seen", async () => {
  let again = false
  const beforeChunk = async (): Promise<void> => {
    if (!again) return
    again = false
    await source('back_again', 'UPDATE other SET v = 7')
    // parks the keys, which catch-up then takes without leaving them under a drain's number
    await drain(beside.context, await loadModel(beside.context))
  }
  let beside: Installation
  await within('back_again', { hooks: { beforeChunk } }, async (at) => {
    beside = { ...at, context: { ...at.context, hooks: {} } }
    await copyAll(at.context)
    await settle(at)
    const backup = await servers.backup('mariadb')
    await settled(at)
    again = true
    const context = { ...at.context, limits: { lastSliceKeys: 0, catchUpKeys: 10 } }
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
    await settled(at)
    await assertWhole('back_again', at)
  })
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
  await within(name, { hooks: { beforeChunk, betweenLockAndSnapshot: () => mayDrain }, batchRows: 10 }, async (at) => {
    await copyAll({ ...at.context, options: { ...at.context.options, copyConcurrency: 1 } }, ['other'])
    assert.ok(chunks > 10, `${chunks} chunks: it was not copied again`)
    await settled(at)
    await assertWhole(name, at, ['other'])
  })
})

test('rolling the source back re-detects surplus rows', async () => {
  const name = 'back_surplus'
  let backup: Backup | undefined
  let mayDrain = Promise.resolve()
  let release = (): void => {}
  let step = 0
  const at = async (point: string): Promise<void> => {
    if (point === 'chunk:committed' && step === 1) {
      step = 2
      // no drain parks the key of what is lost
      mayDrain = new Promise((resolve) => (release = resolve))
      backup = await servers.backup('mariadb')
      await source(name, 'INSERT INTO other VALUES (5, 5)')
    }
    if (point !== 'opening:surplus' || step !== 2) return
    step = 3
    assert.ok(backup)
    await servers.restore(backup)
    release()
  }
  await within(name, { hooks: { at, betweenLockAndSnapshot: () => mayDrain } }, async (installed) => {
    await copyAll(installed.context)
    await settle(installed)
    // the target still has it, and no entry says that it is gone
    await source(name, 'SET @mylab_sync_bypass = 1; DELETE FROM other WHERE id = 5')
    step = 1
    const again = { createTables: true, resume: false, triggers: true, force: true, takeOver: false }
    await initial(installed.context, { ...again, tables: ['other'] }, () => {}, new AbortController().signal)
    assert.equal(step, 3)
    await settled(installed)
    await assertWhole(name, installed)
  })
})

/** One beside may run just then. */
const WAITING = { waitMs: 30_000 }

test('a drain that starts before the last acknowledgement is in sets nothing aside', async () => {
  const name = 'back_unmarked'
  await within(name, { batchRows: 20 }, async (at) => {
    let chunks = 0
    let alone = false
    // those beside the copy would leave the mark that is to be missing
    const betweenDrains = async (): Promise<void> => {
      if (alone) throw new SyncError('lock-timeout', 'the lock is held')
    }
    const beforeChunk = async (): Promise<void> => {
      if (++chunks !== 3) return
      alone = true
      await source(name, 'UPDATE other SET v = 7')
      const dies = new Error('dies before its mark')
      const hooks = { at: (point: string) => (point === 'drain:committed' ? Promise.reject(dies) : Promise.resolve()) }
      await assert.rejects(drain({ ...at.context, hooks }, await loadModel(at.context), WAITING), dies)
      // the mark of a chunk that is done meanwhile is younger than its snapshot
      let looks = 0
      const betweenLockAndSnapshot = async (): Promise<void> => {
        if (++looks !== 2) return
        const before = await done()
        await eventually('another chunk is done', async () => (await done()) > before, 10_000)
      }
      await drain({ ...at.context, hooks: { betweenLockAndSnapshot } }, await loadModel(at.context), WAITING)
      assert.equal(looks, 2)
      alone = false
    }
    const done = async (): Promise<number> =>
      Number((await at.rows("SELECT count(*) FROM mylab_sync.sync_chunk WHERE state = 'done'"))[0]?.[0])
    await copyAll({ ...at.context, hooks: { beforeChunk, betweenLockAndSnapshot: betweenDrains } })
    assert.deepEqual(await at.rows('SELECT count(*) FROM mylab_sync.sync_chunk'), [[String(chunks)]])
    await settled(at)
    await assertWhole(name, at)
  })
})

type Backup = Awaited<ReturnType<ServerSet['backup']>>

/** Each step is drained, or goes back to what an earlier one has saved; all is right after each. */
async function history(
  name: string,
  steps: (at: {
    change(statements: string): Promise<void>
    save(service: 'mariadb' | 'postgres'): Promise<Backup>
    back(...to: readonly Backup[]): Promise<void>
    copies(): Promise<(string | null)[][]>
  }) => Promise<void>,
): Promise<void> {
  await within(name, {}, async (at) => {
    const context = { ...at.context, limits: { otherMs: 50 } }
    const right = async (): Promise<void> => {
      await settled({ ...at, context })
      await assertWhole(name, at)
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
        const reader = await servers.targetAdmin(name)
        try {
          return await textRows(reader, 'SELECT table_name, opened_drain FROM mylab_sync.sync_progress ORDER BY 1')
        } finally {
          await reader.end()
        }
      },
    })
  })
}

/** The keys of the lost drains are enough, unless MariaDB's files bear the time of the restoration: nothing else tells some ALTERs. */
function assertNotCopied(opened: unknown, before: unknown): void {
  if (servers.isMysql) assert.deepEqual(opened, before)
}

/** Nothing but its own entry leads to each of these rows. */
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
    // its drains take the numbers that the lost ones had
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
    // no entry tells of it, and the triggers are right again when the target goes back
    await change('UPDATE other SET v = 1 WHERE id = 30')
    await back(target)
  })
})

test('a target restored between two steps of an opening opens by what it holds now', async () => {
  const name = 'back_opening'
  let copy: Awaited<ReturnType<ServerSet['backup']>> | undefined
  let done = false
  const step = async (point: string): Promise<void> => {
    if (point === 'opening:indexed' && !copy) copy = await servers.backup('postgres')
    if (point !== 'opening:scanned' || done || !copy) return
    done = true
    // What was found to be surplus is not parked any more.
    await servers.restore(copy)
  }
  await within(name, {}, async (at) => {
    await copyAll(at.context)
    await at.reader.query('INSERT INTO other VALUES (5000, 5)')
    const running = { progress: (): void => {}, signal: new AbortController().signal }
    await resyncTables({ ...at.context, hooks: { at: step } }, ['other'], running)
    assert.ok(done)
    await settled(at)
    await assertWhole(name, at)
  })
})
