import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { drain, initial, loadModel } from '@mylab-sync/engine'
import { ServerSet } from '@mylab-sync/testkit'
import { connect } from '../support/connect.js'
import { sortedRows } from '../support/content.js'
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

async function assertWhole(name: string, at: Installation): Promise<void> {
  const app = await servers.sourceAdmin(name)
  const reader = await servers.targetAdmin(name)
  try {
    for (const table of TABLES) {
      const query = `SELECT * FROM ${table}`
      assert.deepEqual(await sortedRows(reader, query), await sortedRows(app, query), table)
    }
    assert.deepEqual(await states(at), { p: 'live', c: 'live', other: 'live' })
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
  test(`${service} goes back behind several drains of live tables`, async () => {
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

  test(`${service} goes back in the middle of a first copy`, async () => {
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

test('a mark that got half way is finished by the next drain', async () => {
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

test('mariadb goes back to before a table was copied again: what only its chunks and its catch-up have seen is gone', async () => {
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
