import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { initial, pauseTables, resumeTables, resyncTables } from '@mylab-sync/engine'
import { ServerSet } from '@mylab-sync/testkit'
import { run } from '../support/cli.js'
import {
  assertEqual,
  copyAll,
  drainNow,
  type Installation,
  installation,
  settle,
  states,
  withCopied,
} from '../support/installation.js'

const FAMILY = `
  CREATE TABLE p (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE c (id INT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
  CREATE TABLE other (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO p VALUES (1, 1), (2, 2), (3, 3); INSERT INTO c VALUES (1, 1), (2, 2), (3, 3); INSERT INTO other VALUES (1, 1)`
const TABLES = ['p', 'c', 'other'] as const
const ENDLESS = { progress: (): void => {}, signal: new AbortController().signal }

let servers: ServerSet
before(async () => {
  servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
})
after(() => servers.close())

const copied = (name: string, use: (at: Installation) => Promise<void>): Promise<void> =>
  withCopied(servers, { name, schema: FAMILY }, use)

const cli = async (name: string, ...args: string[]): Promise<string> => {
  const result = await run(servers, name, args)
  assert.equal(result.code, 0, result.stderr)
  return result.stdout
}

test('a paused table stops with those its rows act on alone, and catches up on resume', async () => {
  await copied('care_pause', async (at) => {
    assert.deepEqual((await pauseTables(at.context, ['p'])).sort(), ['c', 'p'])
    await at.app.query(
      'UPDATE p SET v = 9; DELETE FROM p WHERE id = 1; INSERT INTO p VALUES (1, 5); UPDATE p SET id = 7 WHERE id = 2; UPDATE other SET v = 8',
    )
    await settle(at)
    assert.deepEqual(await states(at), { c: 'paused', other: 'live', p: 'paused' })
    assert.deepEqual(await at.rows('SELECT id, v FROM p ORDER BY 1'), [['1', '1'], ['2', '2'], ['3', '3']]) // biome-ignore format: rows
    assert.deepEqual(await at.rows('SELECT v FROM other'), [['8']])
    await resumeTables(at.context, [], ENDLESS)
    assert.deepEqual(await states(at), { c: 'live', other: 'live', p: 'live' })
    await assertEqual(at, TABLES)
  })
})

test('an initial that dies while creating triggers can be resumed', async () => {
  const at = await installation(servers, 'care_resume')
  try {
    await at.app.query(FAMILY)
    const request = { tables: [], createTables: true, triggers: true, force: false, takeOver: false }
    const dies = (): void => {
      throw new Error('the process dies here')
    }
    await assert.rejects(initial(at.context, { ...request, resume: false }, dies, ENDLESS.signal), /dies here/)
    await initial(at.context, { ...request, resume: true }, () => {}, ENDLESS.signal)
    await assertEqual(at, TABLES)
  } finally {
    await at.close()
  }
})

test('resuming where nothing was begun acts as the first call', async () => {
  const at = await installation(servers, 'care_first')
  try {
    await at.app.query(FAMILY)
    const request = { tables: [], createTables: true, triggers: true, force: false, takeOver: false, resume: true }
    await initial(at.context, request, () => {}, ENDLESS.signal)
    await assertEqual(at, TABLES)
    await at.app.query('CREATE TABLE later (id INT PRIMARY KEY) ENGINE=InnoDB')
    const { tables } = await initial(at.context, request, () => {}, ENDLESS.signal)
    assert.equal(tables.find((table) => table.table === 'later')?.state, 'capturing')
  } finally {
    await at.close()
  }
})

test('resync repairs what somebody wrote into the target, rows of its own included', async () => {
  await copied('care_resync', async (at) => {
    await at.reader.query('DELETE FROM other; INSERT INTO other VALUES (5, 5), (6, 6)')
    assert.deepEqual(await resyncTables(at.context, ['other'], ENDLESS), ['other'])
    await assertEqual(at, TABLES)
  })
})

test('cleanup removes only old synced entries; a target from before is reread whole', async () => {
  await copied('care_cleanup', async (at) => {
    await at.reader.query('CREATE TABLE kept AS SELECT * FROM mylab_sync.sync_drain')
    await at.app.query('UPDATE p SET v = 20 WHERE id = 1')
    await settle(at)
    await at.app.query('UPDATE p SET v = 30 WHERE id = 3')
    await at.app.query('UPDATE sync_audit_log SET synced_at = NOW() - INTERVAL 8 DAY WHERE synced = 1')
    const synced = (await at.app.query('SELECT COUNT(*) AS n FROM sync_audit_log WHERE synced = 1'))[0] as {
      n: number
    }[]
    assert.match(
      await cli('care_cleanup', 'cleanup', '--dry-run'),
      new RegExp(`^${synced[0]?.n} entr(y|ies) .* would be`),
    )
    assert.match(await cli('care_cleanup', 'cleanup'), new RegExp(`^${synced[0]?.n} entr(y|ies) .* removed`))
    const [left] = await at.app.query('SELECT synced FROM sync_audit_log WHERE id > 0')
    assert.deepEqual(left, [{ synced: 0 }])
    // as a restored target would be: older rows, an older number
    await at.reader.query(
      'UPDATE p SET v = 1 WHERE id = 1; UPDATE mylab_sync.sync_drain SET number = (SELECT number FROM kept)',
    )
    const report = await drainNow(at)
    assert.equal(report.kind === 'done' && report.setAside.length, 3)
    await settle(at)
    assert.deepEqual(await states(at), { c: 'live', other: 'live', p: 'live' })
    await assertEqual(at, TABLES)
  })
})

test('uninstall leaves no trigger, table or state, and first says what it would do', async () => {
  await copied('care_uninstall', async (at) => {
    assert.equal((await run(servers, 'care_uninstall', ['uninstall'])).code, 2)
    const statements = await cli('care_uninstall', 'uninstall', '--sql')
    assert.equal(statements.match(/DROP TRIGGER/g)?.length, 9)
    await servers.grantDrop('care_uninstall')
    await cli('care_uninstall', 'uninstall', '--yes')
    const [triggers] = await at.app.query('SHOW TRIGGERS')
    const [tables] = await at.app.query("SHOW TABLES LIKE 'sync%'")
    assert.deepEqual([triggers, tables], [[], []])
    assert.deepEqual(await at.rows("SELECT nspname FROM pg_namespace WHERE nspname = 'mylab_sync'"), [])
    await at.app.query('DELETE FROM p')
    assert.deepEqual(await at.rows('SELECT count(*) FROM p'), [['3']])
    // and back again: the rows that are there are taken over, what has gone meanwhile goes
    await cli('care_uninstall', 'initial', '--take-over')
    await assertEqual(at, TABLES)
  })
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
  const admin = await servers.sourceAdmin()
  const known: (readonly [string, string])[] = []
  try {
    for (const setting of odd) {
      const [rows] = await admin.query('SHOW GLOBAL VARIABLES LIKE ?', [setting[0]])
      if ((rows as unknown[]).length > 0) known.push(setting)
    }
    const at = await installation(servers, 'care_odd')
    try {
      await at.app.query(FAMILY)
      await admin.query(known.map(([name, value]) => `SET GLOBAL ${name} = ${value}`).join('; '))
      await copyAll(at.context)
      await assertEqual(at, TABLES)
      await at.app.query(
        'DELETE FROM p WHERE id = 1; UPDATE p SET id = id + 10; INSERT INTO other VALUES (2, 2), (3, 3), (4, 4)',
      )
      await settle(at)
      await assertEqual(at, TABLES)
    } finally {
      await at.close()
    }
  } finally {
    await admin.query(known.map(([name]) => `SET GLOBAL ${name} = DEFAULT`).join('; '))
    await admin.end()
  }
})
