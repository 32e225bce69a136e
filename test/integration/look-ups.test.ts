import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KeysOf, Source, SourceSnapshot } from '@mylab-sync/core'
import { drain, drainAll, type EngineContext, loadModel, repair, status, verifyStep } from '@mylab-sync/engine'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { startDaemon } from '../support/daemon.js'
import { copyAll, createInstallation, drainNow, type Installation, problemOf, states } from '../support/installation.js'

const SCHEMA =
  'CREATE TABLE a (k INT, i INT, v INT, PRIMARY KEY (k, i)) ENGINE=InnoDB; CREATE TABLE b (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3); INSERT INTO b VALUES (1, 1)'

const servers = await sharedServers()

/** A source that finds nothing by the keys of table `a`, like a server that compares a type in its own way. */
function blindTo({ context }: Installation): EngineContext {
  const with_ = <T extends object>(object: T, others: Partial<T>): T =>
    new Proxy(object, {
      get(target, name) {
        const own: unknown = Reflect.get(others, name)
        if (own !== undefined) return own
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  const openSnapshot = async (): Promise<SourceSnapshot> => {
    const snapshot = await context.source.openSnapshot()
    const isBlind = (table: Parameters<SourceSnapshot['rows']['readColumns']>[0]): boolean => table.source.name === 'a'
    const seen = (wanted: readonly KeysOf[]): KeysOf[] =>
      wanted.map(({ table, keys }) => ({ table, keys: isBlind(table) ? [] : keys }))
    const rows = with_(snapshot.rows, {
      readColumns: async (table, keys, columns) =>
        isBlind(table) ? [] : snapshot.rows.readColumns(table, keys, columns),
      heldKeys: (wanted) => snapshot.rows.heldKeys(seen(wanted)),
      readKeys: (wanted) => snapshot.rows.readKeys(seen(wanted)),
    })
    return with_(snapshot, { rows })
  }
  return { ...context, source: with_<Source>(context.source, { openSnapshot }) }
}

test('a changed row found only by another form of its key breaks its table, undeleted', async () => {
  await using installation = await createInstallation(servers, 'l_drain', { schema: SCHEMA, copied: true })
  await installation.app.query('UPDATE a SET v = v + 10; UPDATE b SET v = 2')
  const context = blindTo(installation)
  await drain(context, await loadModel(context))
  assert.deepEqual(await states(installation), { a: 'broken', b: 'live' })
  assert.deepEqual(await installation.rows('SELECT v FROM a ORDER BY v'), [['1'], ['2'], ['3']])
  assert.deepEqual(await installation.rows('SELECT v FROM b'), [['2']])
  const [[problem]] = (await installation.rows(
    "SELECT problem FROM mylab_sync.sync_progress WHERE table_name = 'a'",
  )) as [[string]]
  assert.match(problem, /does not find its rows by their key \(int.*\), so none of its rows is deleted; exclude it/)
})

test('a row gone without its own entry, after one that implies it, breaks nothing', async () => {
  const schema = `CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE a (k INT, i INT, PRIMARY KEY (k, i), FOREIGN KEY (k) REFERENCES p (id) ON DELETE CASCADE) ENGINE=InnoDB;
    INSERT INTO p VALUES (1), (2); INSERT INTO a VALUES (1, 1), (2, 1)`
  await using installation = await createInstallation(servers, 'l_cascade', { schema, copied: true })
  await installation.app.query(
    'INSERT INTO a VALUES (1, 2); UPDATE a SET i = 3 WHERE i = 1; DELETE FROM p WHERE id = 1',
  )
  await drainNow(installation)
  assert.deepEqual(await states(installation), { a: 'live', p: 'live' })
  assert.deepEqual(await installation.rows('SELECT k, i FROM a'), [['2', '3']])
})

test('a repair deletes no row that only another form of its key finds', async () => {
  const schema = `${SCHEMA}; CREATE TABLE c (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO c VALUES (1, 1)`
  for (const way of ['report', 'auto'] as const) {
    await using installation = await createInstallation(servers, `l_repair_${way}`, { schema, copied: true })
    await installation.reader.query('UPDATE a SET v = 0 WHERE k = 2; UPDATE c SET v = 0')
    const blind = blindTo(installation)
    const context = { ...blind, options: { ...blind.options, verify: { share: 1, repair: way } } }
    if (way === 'auto') assert.equal((await verifyStep(context, () => loadModel(context))).kind, 'done')
    else {
      const { left } = await repair(context, { tables: [] })
      assert.deepEqual(
        left.tables.map(({ table, different }) => [table, different]),
        [
          ['a', 1],
          ['b', 0],
          ['c', 0],
        ],
      )
    }
    assert.deepEqual(await states(installation), { a: 'broken', b: 'live', c: 'live' }, way)
    assert.deepEqual(await installation.rows('SELECT k, v FROM a ORDER BY k'), [
      ['1', '1'],
      ['2', '0'],
      ['3', '3'],
    ])
    assert.deepEqual(await installation.rows('SELECT v FROM c'), [['1']])
    assert.match(await problemOf(installation, 'a'), /does not find its rows by their key/)
    const { tables } = await status(installation.context)
    assert.deepEqual(
      tables.map(({ table, rowsDifferent, rowsRepaired }) => [table, rowsDifferent, rowsRepaired]),
      [
        ['a', 1, 0],
        ['b', 0, 0],
        ['c', 0, 1],
      ],
    )
  }
})

test('a table whose rows are not found by their own keys does not open', async () => {
  await using installation = await createInstallation(servers, 'l_open', { schema: SCHEMA })
  await copyAll(blindTo(installation))
  assert.deepEqual(await states(installation), { a: 'broken', b: 'live' })
})

test('a process finds out at its start whether rows are found by their own keys', async () => {
  {
    await using installation = await createInstallation(servers, 'l_once', { schema: SCHEMA, copied: true })
    await drainAll(blindTo(installation), new AbortController().signal)
    assert.deepEqual(await states(installation), { a: 'broken', b: 'live' })
  }
  await using installation = await createInstallation(servers, 'l_daemon', { schema: SCHEMA, copied: true })
  await using daemon = startDaemon(blindTo(installation), 60_000)
  await eventually('table a is broken', async () => (await states(installation))['a'] === 'broken', 30_000)
  assert.deepEqual(await states(installation), { a: 'broken', b: 'live' })
  await daemon.stop()
})
