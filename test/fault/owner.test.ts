import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { drain, type EngineContext, initial, loadModel, runDaemon } from '@mylab-sync/engine'
import { type DatabaseNames, eventually, sharedServers } from '@mylab-sync/testkit'
import { connect, OPTIONS } from '../support/connect.js'
import { textRows } from '../support/content.js'
import { watched } from '../support/moments.js'
import { createInstallation } from '../support/installation.js'
import { Cli } from '../support/processes.js'

/** A cloned source or target carries an installation's state along: these tests show what the two do to each other. */
const WAIT_MS = 30_000
/** Instead of ten seconds: a running installation drains several times a second here. */
const OTHER_MS = 1_000

const servers = await sharedServers()
const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** Brings the tables live, then closes its own connections, so that the databases can be cloned. */
async function copied(name: string): Promise<void> {
  const schema =
    'CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a SELECT seq, 0 FROM seq_1_to_50'
  await using installation = await createInstallation(servers, name, { schema, copied: true })
  await drain(installation.context, await loadModel(installation.context))
}

async function open(names: DatabaseNames): Promise<EngineContext> {
  const sides = await connect(servers, names)
  closers.push(async () => await sides[Symbol.asyncDispose]())
  return { ...sides, options: OPTIONS, limits: { otherMs: OTHER_MS } }
}

const drained = async (context: EngineContext): Promise<unknown> =>
  drain(context, await loadModel(context), { waitMs: WAIT_MS })

async function onSource(database: string, statement: string): Promise<(string | null)[][]> {
  await using app = await servers.sourceAdmin(database)
  return statement.startsWith('SELECT') ? await textRows(app, statement) : (await app.query(statement), [])
}

async function onTarget(database: string, statement: string): Promise<(string | null)[][]> {
  await using admin = await servers.targetAdmin(database)
  return await textRows(admin, statement)
}

async function assertSame({ source, target }: DatabaseNames): Promise<void> {
  const query = 'SELECT * FROM a ORDER BY id'
  assert.deepEqual(await onTarget(target, query), await onSource(source, query))
}

async function cloneTarget(from: string, to: string): Promise<void> {
  await onTarget('postgres', `DROP DATABASE IF EXISTS ${to}`)
  await onTarget('postgres', `CREATE DATABASE ${to} TEMPLATE ${from}`)
}

/** Clones the tables with their rows, as a dump loaded beside its original does. */
async function cloneSource(from: string, to: string): Promise<void> {
  await servers.createSourceDatabase(to)
  for (const table of ['a', 'sync_audit_log', 'sync_instance', 'sync_instance_mark'])
    await onSource(
      to,
      `CREATE TABLE ${table} LIKE ${from}.${table}; INSERT INTO ${table} SELECT * FROM ${from}.${table}`,
    )
}

/** Runs a daemon, and an application that writes constantly, until `stop`. */
async function atWork(names: DatabaseNames): Promise<{ stop(): Promise<void> }> {
  const context = await open(names)
  const ended = new AbortController()
  const writing = write(names.source, ended.signal)
  const running = runDaemon(context, { intervalMs: 60_000, onInterval: () => {} }, ended.signal)
  running.catch(() => ended.abort())
  await eventually(
    'it drains',
    async () => Number((await onTarget(names.target, 'SELECT max(v) FROM a'))[0]?.[0]) > 2,
    WAIT_MS,
  )
  closers.push(async () => ended.abort())
  return {
    async stop() {
      ended.abort()
      await writing
      await running
      await drained(context)
    },
  }
}

async function write(database: string, signal: AbortSignal): Promise<void> {
  const app = await servers.sourceAdmin(database)
  for (let v = 1; !signal.aborted; v++) {
    await app.query(`UPDATE a SET v = ${v} WHERE id = ${1 + (v % 50)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await app.end()
}

test('a clone of a target in use is refused, and hides nothing from the original', async () => {
  const [first, second] = [
    { source: 'own_t', target: 'own_t' },
    { source: 'own_t', target: 'own_t2' },
  ] as const
  await copied('own_t')
  await cloneTarget('own_t', 'own_t2')
  const working = await atWork(first)
  await assert.rejects(drained(await open(second)), { code: 'wrong-owner', message: /into another target/ })
  await assert.rejects(
    initial(
      await open(second),
      { tables: [], createTables: true, resume: false, triggers: true, force: true, takeOver: false },
      () => {},
      new AbortController().signal,
    ),
    { code: 'wrong-owner' },
  )
  await working.stop()
  await assertSame(first)
  assert.notDeepEqual(await onTarget('own_t2', 'SELECT max(v) FROM a'), await onSource('own_t', 'SELECT max(v) FROM a'))
})

test('a restored target goes on; two that drain in turns lose nothing to each other', async () => {
  const [first, second] = [
    { source: 'own_r', target: 'own_r' },
    { source: 'own_r', target: 'own_r2' },
  ] as const
  await copied('own_r')
  await cloneTarget('own_r', 'own_r2')
  const one = await open(first)
  const two = await open(second)
  for (let turn = 1; turn <= 2; turn++) {
    await onSource('own_r', `UPDATE a SET v = ${turn} WHERE id = ${turn}`)
    await drained(one)
    await onSource('own_r', `UPDATE a SET v = ${turn} WHERE id = ${turn + 10}; DELETE FROM a WHERE id = ${turn + 20}`)
    await drained(two)
    await assertSame(second)
  }
  await drained(one)
  await assertSame(first)
})

test('a target rereads acknowledgements another took back, or everything on request', async () => {
  const [first, second] = [
    { source: 'own_s', target: 'own_s' },
    { source: 'own_s', target: 'own_s2' },
  ] as const
  await copied('own_s')
  await cloneTarget('own_s', 'own_s2')
  const one = await open(first)
  await onSource('own_s', 'UPDATE a SET v = 1')
  await drained(one)
  // The second installation dies between its two steps.
  const two = await open(second)
  await assert.rejects(drained(watched(two, { 'drain:begun': () => Promise.reject(new Error('dies')) })), /dies/)
  const states = (): Promise<(string | null)[][]> =>
    onTarget('own_s', 'SELECT DISTINCT state FROM mylab_sync.sync_progress')
  await onSource('own_s', 'UPDATE a SET v = 2 WHERE id = 7')
  await drained(one)
  assert.deepEqual(await states(), [['live']])
  await assertSame(first)
  await onSource('own_s', "UPDATE sync_instance SET token = ''")
  await drained(one)
  assert.deepEqual(await states(), [['suspect']])
  assert.deepEqual(await onSource('own_s', "SELECT token = '' FROM sync_instance"), [['0']])
})

test('a source clone is refused beside its original, and reread whole in its place', async () => {
  const [original, copy] = [
    { source: 'own_c', target: 'own_c' },
    { source: 'own_c2', target: 'own_c' },
  ] as const
  await copied('own_c')
  await cloneSource('own_c', 'own_c2')
  await onSource('own_c2', 'UPDATE a SET v = -1')
  const working = await atWork(original)
  const other = await open(copy)
  await assert.rejects(drained(other), { code: 'wrong-owner', message: /another source/ })
  await working.stop()
  await assertSame(original)
  await drained(other)
  assert.deepEqual(await onTarget('own_c', 'SELECT state, problem FROM mylab_sync.sync_progress'), [
    ['suspect', 'the source is a different server now'],
  ])
})

function cliOf(env: Record<string, string>): (...args: string[]) => Promise<void> {
  const cli = new Cli(env)
  closers.push(() => cli.close())
  return async (...args) => {
    const { code, err } = await cli.run(args)
    assert.equal(code, 0, `${args.join(' ')}: ${err}`)
  }
}

test('two installations on one source see all changes; one leaves without harm', async () => {
  await servers.createDatabases({ source: 'two', target: 'two_a' })
  await servers.createTargetDatabase('two_b')
  const second = { ...servers.environment({ source: 'two', target: 'two_b' }), SYNC_INSTANCE: 'second' }
  const [one, two] = [cliOf(servers.environment({ source: 'two', target: 'two_a' })), cliOf(second)]
  await onSource(
    'two',
    'CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a SELECT seq, 0 FROM seq_1_to_50',
  )
  await one('initial', '--create-tables')
  await two('initial', '--create-tables')
  await onSource('two', 'UPDATE a SET v = 1 WHERE id < 10; DELETE FROM a WHERE id = 20; INSERT INTO a VALUES (100, 1)')
  await one('database', '--once')
  await two('database', '--once')
  for (const target of ['two_a', 'two_b']) await assertSame({ source: 'two', target })
  const sharing = cliOf({ ...second, SYNC_AUDIT_TABLE: 'sync_audit_log' })
  await assert.rejects(sharing('migrate'), /change log of the installation default/)
  await servers.grantDrop('two')
  await one('uninstall', '--yes')
  await onSource('two', 'UPDATE a SET v = 2 WHERE id < 10')
  await two('database', '--once')
  await assertSame({ source: 'two', target: 'two_b' })
})

test('two sources share one target database, each in a schema of its own', async () => {
  await servers.createTargetDatabase('into')
  for (const [source, v] of [
    ['from_a', 1],
    ['from_b', 2],
  ] as const) {
    await servers.createSourceDatabase(source)
    await onSource(source, `CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, ${v})`)
    const schemas = { PGSQL_SCHEMA: source, SYNC_STATE_SCHEMA: `state_${source}` }
    const cli = cliOf({ ...servers.environment({ source, target: 'into' }), ...schemas })
    await cli('initial', '--create-tables')
    await onSource(source, `INSERT INTO a VALUES (2, ${v})`)
    await cli('database', '--once')
  }
  const rows = (schema: string): Promise<unknown> => onTarget('into', `SELECT v, count(*) FROM ${schema}.a GROUP BY v`)
  assert.deepEqual([await rows('from_a'), await rows('from_b')], [[['1', '2']], [['2', '2']]])
})
