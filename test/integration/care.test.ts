import assert from 'node:assert/strict'
import { test } from 'node:test'
import { initial, pauseTables, resumeTables, resyncTables } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { run } from '../support/cli.js'
import {
  assertEqual,
  copyAll,
  createInstallation,
  drainNow,
  type Installation,
  settle,
  states,
} from '../support/installation.js'

const FAMILY = `
  CREATE TABLE p (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE c (id INT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
  CREATE TABLE other (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO p VALUES (1, 1), (2, 2), (3, 3); INSERT INTO c VALUES (1, 1), (2, 2), (3, 3); INSERT INTO other VALUES (1, 1)`
const TABLES = ['p', 'c', 'other'] as const
const ENDLESS = { progress: (): void => {}, signal: new AbortController().signal }

const servers = await sharedServers()

const copied = (name: string): Promise<Installation> =>
  createInstallation(servers, name, { schema: FAMILY, copied: true })

const cli = async (name: string, ...args: string[]): Promise<string> => {
  const result = await run(servers, name, args)
  assert.equal(result.code, 0, result.stderr)
  return result.stdout
}

test('a paused table stops with those its rows act on alone, and catches up on resume', async () => {
  await using installation = await copied('care_pause')
  assert.deepEqual((await pauseTables(installation.context, ['p'])).sort(), ['c', 'p'])
  await installation.app.query(
    'UPDATE p SET v = 9; DELETE FROM p WHERE id = 1; INSERT INTO p VALUES (1, 5); UPDATE p SET id = 7 WHERE id = 2; UPDATE other SET v = 8',
  )
  await settle(installation)
  assert.deepEqual(await states(installation), { c: 'paused', other: 'live', p: 'paused' })
  assert.deepEqual(await installation.rows('SELECT id, v FROM p ORDER BY 1'), [['1', '1'], ['2', '2'], ['3', '3']]) // biome-ignore format: rows
  assert.deepEqual(await installation.rows('SELECT v FROM other'), [['8']])
  await resumeTables(installation.context, [], ENDLESS)
  assert.deepEqual(await states(installation), { c: 'live', other: 'live', p: 'live' })
  await assertEqual(installation, TABLES)
})

test('an initial that dies while creating triggers can be resumed', async () => {
  await using installation = await createInstallation(servers, 'care_resume', { schema: FAMILY })
  const request = { tables: [], createTables: true, triggers: true, force: false, takeOver: false }
  const dies = (): void => {
    throw new Error('the process dies here')
  }
  await assert.rejects(initial(installation.context, { ...request, resume: false }, dies, ENDLESS.signal), /dies here/)
  await initial(installation.context, { ...request, resume: true }, () => {}, ENDLESS.signal)
  await assertEqual(installation, TABLES)
})

test('resuming where nothing was begun acts as the first call', async () => {
  await using installation = await createInstallation(servers, 'care_first', { schema: FAMILY })
  const request = { tables: [], createTables: true, triggers: true, force: false, takeOver: false, resume: true }
  await initial(installation.context, request, () => {}, ENDLESS.signal)
  await assertEqual(installation, TABLES)
  await installation.app.query('CREATE TABLE later (id INT PRIMARY KEY) ENGINE=InnoDB')
  const { tables } = await initial(installation.context, request, () => {}, ENDLESS.signal)
  assert.equal(tables.find((table) => table.table === 'later')?.state, 'capturing')
})

test('resync repairs writes of others to the target, including additional rows', async () => {
  await using installation = await copied('care_resync')
  await installation.reader.query('DELETE FROM other; INSERT INTO other VALUES (5, 5), (6, 6)')
  assert.deepEqual(await resyncTables(installation.context, ['other'], ENDLESS), ['other'])
  await assertEqual(installation, TABLES)
})

test('cleanup removes only old synced entries; a target from before is reread whole', async () => {
  await using installation = await copied('care_cleanup')
  await installation.reader.query('CREATE TABLE kept AS SELECT * FROM mylab_sync.sync_drain')
  await installation.app.query('UPDATE p SET v = 20 WHERE id = 1')
  await settle(installation)
  await installation.app.query('UPDATE p SET v = 30 WHERE id = 3')
  await installation.app.query('UPDATE sync_audit_log SET synced_at = NOW() - INTERVAL 8 DAY WHERE synced = 1')
  const synced = (await installation.app.query('SELECT COUNT(*) AS n FROM sync_audit_log WHERE synced = 1'))[0] as {
    n: number
  }[]
  assert.match(
    await cli('care_cleanup', 'cleanup', '--dry-run'),
    new RegExp(`^${synced[0]?.n} entr(y|ies) .* would be`),
  )
  assert.match(await cli('care_cleanup', 'cleanup'), new RegExp(`^${synced[0]?.n} entr(y|ies) .* removed`))
  const [left] = await installation.app.query('SELECT synced FROM sync_audit_log WHERE id > 0')
  assert.deepEqual(left, [{ synced: 0 }])
  // like a restored target: older rows, an older number
  await installation.reader.query(
    'UPDATE p SET v = 1 WHERE id = 1; UPDATE mylab_sync.sync_drain SET number = (SELECT number FROM kept)',
  )
  const report = await drainNow(installation)
  assert.equal(report.kind === 'done' && report.setAside.length, 3)
  await settle(installation)
  assert.deepEqual(await states(installation), { c: 'live', other: 'live', p: 'live' })
  await assertEqual(installation, TABLES)
})

test('uninstall leaves no trigger, table or state, and first says what it would do', async () => {
  await using installation = await copied('care_uninstall')
  assert.equal((await run(servers, 'care_uninstall', ['uninstall'])).code, 2)
  const statements = await cli('care_uninstall', 'uninstall', '--sql')
  assert.equal(statements.match(/DROP TRIGGER/g)?.length, 9)
  await servers.grantDrop('care_uninstall')
  await cli('care_uninstall', 'uninstall', '--yes')
  const [triggers] = await installation.app.query('SHOW TRIGGERS')
  const [tables] = await installation.app.query("SHOW TABLES LIKE 'sync%'")
  assert.deepEqual([triggers, tables], [[], []])
  assert.deepEqual(await installation.rows("SELECT nspname FROM pg_namespace WHERE nspname = 'mylab_sync'"), [])
  await installation.app.query('DELETE FROM p')
  assert.deepEqual(await installation.rows('SELECT count(*) FROM p'), [['3']])
  // and back again: existing rows are taken over, and rows deleted meanwhile are removed
  await cli('care_uninstall', 'initial', '--take-over')
  await assertEqual(installation, TABLES)
})

test('global session settings cut no row, end no statement and change no definition', async () => {
  const odd = [
    ['sql_select_limit', '2'],
    ['max_statement_time', '0.000001'],
    ['sql_quote_show_create', 'OFF'],
    ['completion_type', '2'],
    ['sql_safe_updates', 'ON'],
    ['sql_auto_is_null', 'ON'],
    ['sql_big_selects', 'OFF'],
    ['max_join_size', '1'],
    ['tx_read_only', 'ON'],
    ['transaction_isolation', "'READ-UNCOMMITTED'"],
    ['sql_mode', "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'"],
    ['time_zone', "'-08:00'"],
    ['autocommit', 'OFF'],
  ] as const
  await using admin = await servers.sourceAdmin()
  const known: (readonly [string, string])[] = []
  try {
    for (const setting of odd) {
      const [rows] = await admin.query('SHOW GLOBAL VARIABLES LIKE ?', [setting[0]])
      if ((rows as unknown[]).length > 0) known.push(setting)
    }
    await using installation = await createInstallation(servers, 'care_odd', { schema: FAMILY })
    await admin.query(known.map(([name, value]) => `SET GLOBAL ${name} = ${value}`).join('; '))
    await copyAll(installation.context)
    await assertEqual(installation, TABLES)
    await installation.app.query(
      'DELETE FROM p WHERE id = 1; UPDATE p SET id = id + 10; INSERT INTO other VALUES (2, 2), (3, 3), (4, 4)',
    )
    await settle(installation)
    await assertEqual(installation, TABLES)
  } finally {
    await admin.query(known.map(([name]) => `SET GLOBAL ${name} = DEFAULT`).join('; '))
  }
})
