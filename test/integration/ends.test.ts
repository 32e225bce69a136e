import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { run } from '../support/cli.js'
import { dropTriggers } from '../support/family.js'
import { assertEqual, copyAll, createInstallation, settle } from '../support/installation.js'
import { during } from '../support/moments.js'
import { cli } from '../support/run.js'

const SOON_S = 20

const servers = await sharedServers({ services: ['mariadb', 'postgres', 'redis'] })

test('a daemon that must end ends at once, even if healing waits for a lock', async () => {
  await using installation = await createInstallation(servers, 'ends_daemon')
  await using holder = await servers.sourceAdmin('ends_daemon')
  await using admin = await servers.targetAdmin()
  try {
    await installation.app.query(
      'CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO t VALUES (1, 1)',
    )
    await copyAll(installation.context)
    await dropTriggers(installation.app)
    // While it is held, the missing trigger cannot be created.
    await holder.query('START TRANSACTION; SELECT * FROM t; UPDATE t SET v = 2')
    const ended = run(servers, 'ends_daemon', ['database', '--daemon'])
    await eventually(
      'the daemon makes the trigger again',
      async () => {
        const [waiting] = await installation.app.query(
          "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'CREATE%TRIGGER%' AND ID <> CONNECTION_ID()",
        )
        return (waiting as unknown[]).length > 0
      },
      60_000,
    )
    await admin.query('ALTER SYSTEM SET default_transaction_read_only = on')
    await admin.query('SELECT pg_reload_conf()')
    const since = performance.now()
    const { code, stderr } = await ended
    assert.equal(code, 1, stderr)
    assert.match(stderr, /read-only \(25006\)/)
    assert.ok(
      (performance.now() - since) / 1000 < SOON_S,
      `it took ${Math.round((performance.now() - since) / 1000)} s`,
    )
  } finally {
    await admin.query('SET default_transaction_read_only = off')
    await admin.query('ALTER SYSTEM RESET default_transaction_read_only')
    await admin.query('SELECT pg_reload_conf()')
  }
})

/** Listens on a free port and calls `answer` for each connection. */
async function listening(
  answer: (socket: Socket) => void,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    answer(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return { server, port: typeof address === 'object' && address !== null ? address.port : 0 }
}

const STRANGERS: readonly (readonly [string, (socket: Socket) => void])[] = [
  ['hangs up', (socket) => socket.end()],
  ['hangs up hard', (socket) => socket.resetAndDestroy()],
  ['speaks HTTP', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')],
  ['speaks SSH', (socket) => socket.write('SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n')],
  ['speaks Redis', (socket) => socket.write('-ERR wrong number of arguments\r\n')],
]

for (const [what, answer] of STRANGERS)
  test(`a peer that ${what} is no connection: exit 4, on both sides and for Redis`, async () => {
    const { server, port } = await listening(answer)
    try {
      await servers.createDatabases({ source: 'ends_other', target: 'ends_other' })
      const at = servers.environment({ source: 'ends_other', target: 'ends_other' })
      const sides = [
        ['source', { DB_HOST: '127.0.0.1', DB_PORT: String(port) }],
        ['target', { PGSQL_HOST: '127.0.0.1', PGSQL_PORT: String(port) }],
        ['Redis', { REDIS_URL: `redis://127.0.0.1:${port}`, SYNC_USE_QUEUE: 'true' }],
      ] as const
      for (const [side, env] of sides) {
        const { code, err } = await cli([side === 'Redis' ? 'worker' : 'plan'], { ...at, ...env })
        assert.equal(code, 4, `${side}: ${err}`)
        assert.match(err, /try: check (DB_HOST|PGSQL_HOST|REDIS_URL)/, side)
      }
    } finally {
      server.close()
    }
  })

const EMPTIED = [
  ['drains', 'sync_drain'],
  ['tokens', 'sync_drain_token'],
  ['all three', 'sync_drain, mylab_sync.sync_drain_token, mylab_sync.sync_drain_key'],
] as const
for (const [at, [what, tables]] of EMPTIED.entries())
  test(`a command on emptied state (${what}) names the remedy, and nothing is lost`, async () => {
    const name = `ends_state_${at}`
    const schema = 'CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO t VALUES (1, 1), (2, 2)'
    await using installation = await createInstallation(servers, name, { schema, copied: true })
    await installation.app.query('UPDATE t SET v = 3')
    await settle(installation)
    // No drain knows of it; only a full comparison finds it.
    await installation.reader.query('UPDATE t SET v = 99 WHERE id = 1')
    await installation.reader.query(`TRUNCATE mylab_sync.${tables}`)
    const { code, stderr } = await run(servers, name, ['database'])
    assert.equal(code, 1)
    assert.match(stderr, /rows of sync_drain or sync_drain_token were deleted\n {2}try: mylab-sync migrate/)
    assert.equal((await run(servers, name, ['migrate'])).code, 0)
    await installation.app.query('DELETE FROM t WHERE id = 2')
    await settle(installation)
    await assertEqual(installation, ['t'])
  })

test('chunks deleted from the state by hand are recopied before their table opens', async () => {
  const name = 'ends_chunks'
  await using installation = await createInstallation(servers, name, {
    batchRows: 2,
    watch: during({ 'chunk:committed': deleteChunks }),
  })
  let isDone = false
  async function deleteChunks(): Promise<void> {
    if (isDone) return
    isDone = true
    await installation.reader.query(
      "DELETE FROM mylab_sync.sync_chunk WHERE chunk_no = 3 OR (chunk_no > 3 AND state = 'open')",
    )
  }
  await installation.app.query(`CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
      INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8), (9, 9)`)
  await copyAll(installation.context)
  await assertEqual(installation, ['t'])
})
