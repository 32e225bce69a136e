import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import mysql from 'mysql2/promise'
import { eventually } from '../eventually.js'
import { ServerSet } from './server-set.js'

const ALL = ['mariadb', 'postgres', 'redis'] as const
const WAIT_MS = 20_000

/** Processes that work below a folder: those that a set has started and not yet ended. */
function processesBelow(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`)
    } catch {
      return false
    }
  })
}

/** Everything Redis has sent once it contains `until`; rejects at the deadline. */
async function redis(url: string, command: string, until: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let said = ''
  socket.on('data', (data: Buffer) => (said += data.toString()))
  socket.write(`${command}\r\n`)
  try {
    return await eventually(`Redis says ${until}`, () => said.includes(until) && said, WAIT_MS)
  } finally {
    socket.destroy()
  }
}

describe('a set of private servers', () => {
  let set: ServerSet
  let other: ServerSet
  before(async () => {
    ;[set, other] = await Promise.all([ServerSet.start({ services: ALL }), ServerSet.start({ services: ALL })])
    await set.createDatabases({ source: 'here', target: 'here' })
  })
  after(async () => {
    await set.close()
    await other.close()
  })

  async function sourceRows(): Promise<number> {
    const admin = await set.sourceAdmin('here')
    try {
      const [rows] = await admin.query('SELECT id FROM kept')
      return (rows as unknown[]).length
    } finally {
      await admin.end()
    }
  }
  async function onSource(sql: string): Promise<void> {
    const admin = await set.sourceAdmin('here')
    await admin.query(sql).finally(() => admin.end())
  }
  async function onTarget(sql: string): Promise<number> {
    const admin = await set.targetAdmin('here')
    return (await admin.query(sql).finally(() => admin.end())).rowCount ?? 0
  }

  test('is isolated from another set that runs beside it', async () => {
    const ports = [set, other].flatMap((s) => [s.source.port, s.target.port, Number(new URL(s.redisUrl).port)])
    assert.equal(new Set(ports).size, 6)
    await assert.rejects(other.sourceAdmin('here'), { code: 'ER_BAD_DB_ERROR' })
    await assert.rejects(other.targetAdmin('here'), { code: '3D000' })
  })

  test('accepts no TCP login without the password', async () => {
    const url = new URL(set.target.adminUrl)
    url.password = 'wrong'
    const { default: pg } = await import('pg')
    await assert.rejects(new pg.Client({ connectionString: url.href }).connect(), { code: '28P01' })
  })

  test('keeps data and ports when MariaDB, PostgreSQL and Redis are killed', async () => {
    await onSource('CREATE TABLE kept (id INT PRIMARY KEY); INSERT INTO kept VALUES (1), (2)')
    await onTarget('CREATE TABLE kept AS SELECT 1 AS id')
    await redis(set.redisUrl, 'SET kept 1', '+OK')
    const ports = [set.source.port, set.target.port, set.redisUrl]
    for (const service of ALL) await set.kill(service)
    await assert.rejects(set.sourceAdmin())
    await assert.rejects(set.targetAdmin(), { code: 'ECONNREFUSED' })
    await Promise.all(ALL.map((service) => set.start(service)))
    assert.deepEqual([set.source.port, set.target.port, set.redisUrl], ports)
    assert.equal(await sourceRows(), 2)
    assert.equal(await onTarget('SELECT * FROM kept'), 1)
    await redis(set.redisUrl, 'GET kept', '$1\r\n1')
  })

  test('ends all sessions of a killed PostgreSQL, even busy ones', async () => {
    const admin = await set.targetAdmin('here')
    const lost = assert.rejects(admin.query('SELECT count(*) FROM generate_series(1, 100000000000)'))
    const watcher = await set.targetAdmin('here')
    const busy = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%100000000000)'"
    await eventually('the query runs', async () => (await watcher.query(busy)).rowCount, WAIT_MS)
    await set.kill('postgres')
    await lost
    assert.deepEqual(processesBelow(`${set.directory}/postgres`), [])
    await set.start('postgres')
  })

  test('restores a backup any number of times', async () => {
    const before = await Promise.all([set.backup('mariadb'), set.backup('postgres')])
    for (const id of [10, 11]) {
      await onSource(`INSERT INTO kept VALUES (${id})`)
      await onTarget(`INSERT INTO kept VALUES (${id})`)
      assert.equal(await sourceRows(), 3)
      await Promise.all(before.map((backup) => set.restore(backup)))
      assert.equal(await sourceRows(), 2)
      assert.equal(await onTarget('SELECT * FROM kept'), 1)
    }
  })

  test('leaves connections half open while a server is frozen', async () => {
    const source = await set.sourceAdmin('here')
    const target = await set.targetAdmin('here')
    const queries = { mariadb: () => source.query('SELECT 1'), postgres: () => target.query('SELECT 1') }
    for (const [frozen, working] of [
      ['mariadb', 'postgres'],
      ['postgres', 'mariadb'],
    ] as const) {
      await set.freeze(frozen)
      let answered = false
      const answer = queries[frozen]().then(() => (answered = true))
      for (let i = 0; i < 20; i += 1) await queries[working]()
      assert.equal(answered, false)
      set.thaw(frozen)
      await answer
    }
    await source.end()
    await target.end()
  })

  test('stops in order and starts again', async () => {
    for (const service of ALL) {
      await set.stop(service)
      await set.start(service)
    }
    assert.equal(await sourceRows(), 2)
  })

  test("gives the product the README's rights, on databases that the set created", async () => {
    await set.createSourceDatabase('not_all_of')
    const { host, port } = set.source
    const source = await mysql.createConnection({ host, port, ...set.product.source })
    try {
      const [rows] = await source.query<mysql.RowDataPacket[]>('SHOW GRANTS')
      const grants = rows.map((row) => String(Object.values(row)[0]))
      assert.match(
        grants.join('\n'),
        /SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX, ALTER, TRIGGER ON `not\\_all\\_of`/,
      )
      assert.deepEqual(
        grants.map((grant) => /^GRANT (.*?) ON \*\.\*/.exec(grant)?.[1]).filter((rights) => rights !== undefined),
        ['PROCESS'],
      )
    } finally {
      await source.end()
    }
    await set.createTargetDatabase('not_all_of')
    const owner = await set.targetOwner('not_all_of')
    try {
      const { rows } = await owner.query('SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user')
      assert.deepEqual(rows, [{ rolsuper: false, rolcreatedb: false }])
      await owner.query('CREATE SCHEMA of_ours; CREATE TABLE of_ours.t (); CREATE TABLE public.t ()')
    } finally {
      await owner.end()
    }
  })

  test('describes itself in the variables of the product', () => {
    const environment = set.environment({ source: 'here', target: 'there' })
    assert.equal(environment['DB_USERNAME'], set.product.source.user)
    assert.equal(environment['PGSQL_USERNAME'], set.product.target.user)
    assert.equal(environment['DB_PORT'], String(set.source.port))
    assert.equal(environment['PGSQL_DATABASE'], 'there')
    assert.equal(environment['REDIS_URL'], set.redisUrl)
    assert.equal(set.environment({ source: 'here', target: 'there', redis: false })['REDIS_URL'], undefined)
  })
})

test("servers given by URL get the README's accounts, and lose them at close", async () => {
  const theirs = await ServerSet.start({ services: ['mariadb', 'postgres'] })
  const { host, port, user, password } = theirs.source
  process.env['SYNC_TEST_MYSQL_URL'] = `mysql://${user}:${password}@${host}:${port}`
  process.env['SYNC_TEST_POSTGRES_URL'] = theirs.target.adminUrl
  try {
    const set = await ServerSet.start({ services: ['mariadb', 'postgres'] })
    try {
      await set.createDatabases({ source: 'sync_test_here', target: 'sync_test_here' })
      const source = await mysql.createConnection({ host, port, ...set.product.source, database: 'sync_test_here' })
      await source.query('CREATE TABLE t (id INT PRIMARY KEY)').finally(() => source.end())
      const owner = await set.targetOwner('sync_test_here')
      await owner.query('CREATE TABLE t ()').finally(() => owner.end())
    } finally {
      await set.close()
    }
    const admin = await theirs.sourceAdmin()
    const [users] = await admin.query("SELECT User FROM mysql.user WHERE User LIKE 'sync%' ORDER BY 1")
    await admin.end()
    assert.deepEqual(users, [{ User: theirs.product.source.user }])
    const reader = await theirs.targetAdmin()
    const { rows } = await reader.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'sync%'")
    await reader.end()
    assert.deepEqual(rows, [{ rolname: theirs.product.target.user }])
  } finally {
    delete process.env['SYNC_TEST_MYSQL_URL']
    delete process.env['SYNC_TEST_POSTGRES_URL']
    await theirs.close()
  }
})

test('close leaves no process and no folder behind', async () => {
  const set = await ServerSet.start({ services: ALL })
  assert.notDeepEqual(processesBelow(set.directory), [])
  await set.close()
  assert.deepEqual(processesBelow(set.directory), [])
  assert.equal(existsSync(set.directory), false)
  await set.close()
})

test('a starter that is killed takes its servers and its folder along', async () => {
  const program = `
    import { ServerSet } from ${JSON.stringify(new URL('./server-set.js', import.meta.url).href)}
    const set = await ServerSet.start({ services: ['mariadb', 'postgres', 'redis'] })
    process.stdout.write(set.directory)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program])
  const [directory] = (await once(child.stdout, 'data')).map(String)
  assert.ok(directory)
  assert.notDeepEqual(processesBelow(directory), [])
  child.kill('SIGKILL')
  await eventually('the folder is gone', () => !existsSync(directory), WAIT_MS)
  assert.deepEqual(processesBelow(directory), [])
})

test('an unreachable URL is an error, not a reason to start another server', async () => {
  process.env['SYNC_TEST_POSTGRES_URL'] = 'postgres://nobody@127.0.0.1:1/none'
  try {
    await assert.rejects(ServerSet.start({ services: ['postgres'] }), /SYNC_TEST_POSTGRES_URL is set, but/)
  } finally {
    delete process.env['SYNC_TEST_POSTGRES_URL']
  }
})

test('a server that exits on its own is reported with the end of its log', async () => {
  await assert.rejects(
    ServerSet.start({ services: ['mariadb'], extraArguments: { mariadb: ['--no-such-option'] } }),
    /MariaDB did not start[^]*unknown option/,
  )
})
