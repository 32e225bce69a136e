import assert from 'node:assert/strict'
import { test } from 'node:test'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { SyncError } from '@mylab-sync/core'
import { drain, drainAll, loadModel, migrate, resyncTables, runDaemon, verifyCounts } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { run } from '../support/cli.js'
import { textRows } from '../support/content.js'
import {
  assertEqual,
  copyAll,
  createInstallation,
  drainNow,
  type Installation,
  settle,
  states,
} from '../support/installation.js'

/** Blocked work would wait forever. */
const STUCK_MS = 180_000

const servers = await sharedServers()

const SCHEMA = `
  CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE plain (code VARCHAR(20) PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO a (v) VALUES (1), (2), (3); INSERT INTO plain VALUES ('one', 1)`
const TABLES = ['a', 'plain'] as const

/** An account of the application with these rights only. */
async function stranger(
  installation: Installation,
  name: string,
  grants: readonly string[],
): Promise<mysql.Connection> {
  await installation.app.query(`CREATE USER '${name}'@'%' IDENTIFIED BY 'pass'`)
  for (const grant of grants) await installation.app.query(`GRANT ${grant} TO '${name}'@'%'`)
  const { host, port } = servers.source
  const [row] = await textRows(installation.app, 'SELECT DATABASE()')
  return mysql.createConnection({
    host,
    port,
    user: name,
    password: 'pass',
    database: row?.[0] ?? '',
    multipleStatements: true,
  })
}

/** Ids beyond exact numbers, beyond the target's integers, and the highest possible; rolled back, so no entry shows them. */
const JUMPS: Record<string, string> = {
  'beyond exact numbers': "SET insert_id = 9007199254740993; INSERT INTO plain VALUES ('x1', 1)",
  'beyond signed integers': "SET insert_id = 9223372036854775809; INSERT INTO plain VALUES ('x2', 1)",
  'just below them': "SET insert_id = 9007199254740990; INSERT INTO plain VALUES ('x3', 1), ('x4', 1), ('x5', 1)",
  'to the end': "SET insert_id = 18446744073709551614; INSERT INTO plain VALUES ('x6', 1)",
  'rolled back': "BEGIN; SET insert_id = 18446744073709551614; INSERT INTO plain VALUES ('x7', 1); ROLLBACK",
}

async function isFound({ source }: Installation): Promise<boolean> {
  return (await source.admin.preflight([])).some(({ code }) => code === 'source-log-ids')
}

test('no log id chosen by an account with INSERT alone stops a drain or a write', async (t) => {
  await using installation = await createInstallation(servers, 'log_ids', { schema: SCHEMA, copied: true })
  const told: string[] = []
  const context = { ...installation.context, tell: (line: string) => void told.push(line) }
  await using writer = await stranger(installation, 'jumper', ['INSERT ON log_ids.plain'])
  for (const [name, statements] of Object.entries(JUMPS))
    await t.test(name, async () => {
      told.length = 0
      await writer.query(statements)
      if (name !== 'rolled back') {
        // As it is before control work repairs it.
        assert.equal((await drain(context, await loadModel(context))).kind, 'done')
        await assertEqual(installation, TABLES)
        // An id rounded to a number on its way would acknowledge no entry.
        assert.deepEqual(await textRows(installation.app, 'SELECT id FROM sync_audit_log WHERE synced = 0'), [])
      }
      assert.ok(await isFound(installation))
      await settle({ ...installation, context })
      assert.match(
        told[0] ?? '',
        /^the next entry of the change log would have had the id \d{16,}, .* the next one gets the id \d{1,16}$/,
      )
      await installation.app.query('INSERT INTO a (v) VALUES (7); UPDATE plain SET v = v + 1')
      await drainNow(installation)
      await assertEqual(installation, TABLES)
      assert.deepEqual(await states(installation), { a: 'live', plain: 'live' })
      const highest = 'SELECT COUNT(*), SUM(synced = 0) FROM sync_audit_log WHERE id > 9007199254740991'
      assert.deepEqual(await textRows(installation.app, highest), [['0', null]])
      assert.ok(!(await isFound(installation)))
    })
})

/** `F` is a placeholder for the flags that the triggers of table a write. */
const FORGED: Record<string, string> = {
  'of no table of the database': "VALUES ('nowhere', 'INSERT', '1', NULL, F, 0, NULL, 0, NULL)",
  'of our own tables': "VALUES ('sync_instance', 'DELETE', 'default', NULL, F, 0, NULL, 0, NULL)",
  'of keys that no row has': "VALUES ('a', 'DELETE', '99999', '1', F, 0, NULL, 0, NULL)",
  'of a key that is none': "VALUES ('a', 'UPDATE', 'x,y', NULL, F, 0, NULL, 0, NULL)",
  'of a long key': "VALUES ('a', 'UPDATE', REPEAT('9', 6500), REPEAT('9', 6500), F, 0, NULL, 0, NULL)",
  'of another layout': "VALUES ('a', 'UPDATE', '1', NULL, 4294967295, 0, NULL, 0, NULL)",
  'of no operation': "VALUES ('a', '', '1', NULL, F, 0, NULL, 0, NULL)",
  'tried less than never': "VALUES ('a', 'UPDATE', '1', NULL, F, 0, NULL, -7, NULL)",
  'of another state': "VALUES ('a', 'UPDATE', '1', NULL, F, -1, NULL, 0, NULL)",
  'of a drain that never was': "VALUES ('a', 'UPDATE', '1', NULL, F, 1, 18446744073709551615, 0, '2001-01-01')",
  'of a drain to come': "VALUES ('a', 'UPDATE', '1', NULL, F, 1, 9007199254740991, 0, '2001-01-01')",
}

test('log entries forged with INSERT alone cost at most their own table, for a while', async (t) => {
  await using installation = await createInstallation(servers, 'log_forged', { schema: SCHEMA, copied: true })
  await using writer = await stranger(installation, 'forger', [
    'INSERT ON log_forged.sync_audit_log',
    'INSERT ON log_forged.a',
  ])
  await installation.app.query('UPDATE a SET v = v + 1')
  const [flags] = await textRows(installation.app, "SELECT MAX(flags) FROM sync_audit_log WHERE table_name = 'a'")
  for (const [name, values] of Object.entries(FORGED))
    await t.test(name, async () => {
      await writer.query(
        `SET sql_mode = '', timestamp = 1; INSERT INTO sync_audit_log (table_name, operation, row_key, old_key, flags, synced, drain_no, retry_count, synced_at) ${values.replace('F', flags?.[0] ?? '')}`,
      )
      await writer.query('INSERT INTO a (v) VALUES (9)')
      assert.equal((await drainNow(installation)).kind, 'done')
      assert.equal((await states(installation))['plain'], 'live')
      await settle(installation)
      assert.deepEqual(await states(installation), { a: 'live', plain: 'live' })
      await assertEqual(installation, TABLES)
      await installation.source.log.purge({ olderThanDays: 7, dryRun: false, signal: new AbortController().signal })
      const noted = "SELECT purged_drain <= last_drain, token <> 'log-harmed' FROM sync_instance"
      assert.deepEqual(await textRows(installation.app, noted), [['1', '1']])
    })
  const next = await drainNow(installation)
  assert.deepEqual(next.kind === 'done' && next.setAside, [])
})

test('a connect-only role blocks no work, and a held drain lock is reported by process', {
  timeout: STUCK_MS,
}, async () => {
  await using installation = await createInstallation(servers, 'locks', { schema: SCHEMA, copied: true })
  await using admin = await servers.targetAdmin('locks')
  await admin.query("CREATE ROLE anybody LOGIN PASSWORD 'x'")
  const { host, port } = servers.target
  const anybody = new pg.Client({ host, port, user: 'anybody', password: 'x', database: 'locks' })
  await anybody.connect()
  try {
    for (const work of ['drain', 'tick', 'maintain', 'verify', 'plan a', 'open a', 'open lone tables'])
      await anybody.query('SELECT pg_advisory_lock(hashtext($1))', [`mylab-sync ${work} mylab_sync default`])
    await anybody.query('SELECT pg_advisory_lock(hashtext($1))', ['mylab-sync migrate mylab_sync'])
    await migrate(installation.context)
    await installation.app.query(
      'CREATE TABLE later (id INT PRIMARY KEY, v INT); INSERT INTO later VALUES (1, 1); INSERT INTO a (v) VALUES (5)',
    )
    await copyAll(installation.context)
    assert.deepEqual(await states(installation), { a: 'live', later: 'live', plain: 'live' })
    await settle(installation)
    await assertEqual(installation, [...TABLES, 'later'])

    // It may not take the table locks either.
    await assert.rejects(
      anybody.query('BEGIN; LOCK TABLE mylab_sync.sync_lock_drain IN ACCESS SHARE MODE'),
      /permission denied/,
    )
  } finally {
    await anybody.end()
  }

  await using owner = await servers.targetOwner('locks')
  const [{ pid }] = (await owner.query('SELECT pg_backend_pid() AS pid')).rows as [{ pid: number }]
  await owner.query('BEGIN; LOCK TABLE mylab_sync.sync_lock_drain IN EXCLUSIVE MODE')
  await installation.app.query('INSERT INTO a (v) VALUES (6)')
  const limits = { drainWaitMs: 1_500 }
  const named = new RegExp(`: process ${pid} of sync_product.* holds the drain lock and is idle$`)
  await assert.rejects(
    drainAll({ ...installation.context, limits }, new AbortController().signal),
    (error) => error instanceof SyncError && error.code === 'lock-timeout' && named.test(error.message),
  )
  const ended = new AbortController()
  const problems: string[] = []
  await runDaemon(
    { ...installation.context, limits },
    { intervalMs: 100, onInterval: () => {}, onProblem: ({ message }) => (problems.push(message), ended.abort()) },
    ended.signal,
  )
  assert.match(problems[0] ?? '', named)
  await owner.query('COMMIT')
  await settle(installation)
  await assertEqual(installation, TABLES)
})

test('a held lock takes no transaction id and no snapshot, so dumps of the state go on', async () => {
  await using installation = await createInstallation(servers, 'lock_cost', { schema: SCHEMA, copied: true })
  await using lock = await installation.target.beginExclusive('maintain')
  assert.ok(lock)
  const held = `SELECT a.backend_xid, a.backend_xmin FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      WHERE l.relation = 'mylab_sync.sync_lock_maintain'::regclass`
  assert.deepEqual(await installation.rows(held), [[null, null]])
  assert.equal(await installation.target.beginExclusive('maintain'), null)
  await installation
    .rows('BEGIN; LOCK TABLE mylab_sync.sync_lock_maintain IN ACCESS SHARE MODE NOWAIT')
    .catch(() => assert.fail())
})

const STATE = 'ours to be'

test('a schema in use by others is refused for the state; uninstall drops only ours', async () => {
  await servers.createDatabases({ source: 'state_schema', target: 'state_schema' })
  const mylab = (args: readonly string[], schema: string) =>
    run(servers, 'state_schema', args, { SYNC_STATE_SCHEMA: schema })
  await using app = await servers.sourceAdmin('state_schema')
  await using owner = await servers.targetOwner('state_schema')
  await app.query(SCHEMA)
  await servers.grantDrop('state_schema')
  const same = await mylab(['migrate'], 'public')
  assert.equal(same.code, 3)
  assert.match(
    same.stderr,
    /^mylab-sync: target.stateSchema, SYNC_STATE_SCHEMA: found public, which holds the tables themselves/,
  )
  await owner.query(
    `CREATE SCHEMA app; CREATE TABLE app.people (id int); CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
  )
  const foreign = await mylab(['migrate'], 'app')
  assert.equal(foreign.code, 3, foreign.stderr)
  assert.match(
    foreign.stderr,
    /schema app is used by others and cannot hold our state: it holds function f, table people\n {2}try: /,
  )

  // One that was empty, and is not ours to drop.
  await owner.query(`CREATE SCHEMA "${STATE}"`)
  assert.equal((await mylab(['migrate'], STATE)).code, 0)
  await owner.query(`CREATE VIEW public.report AS SELECT table_name FROM "${STATE}".sync_progress`)
  const held = await mylab(['uninstall', '--yes'], STATE)
  assert.equal(held.code, 1)
  assert.match(
    held.stderr,
    /^mylab-sync: target: public.report of another owner depends on our state tables; nothing was removed/,
  )
  assert.equal((await textRows(app, "SHOW TABLES LIKE 'sync_audit_log'")).length, 1)
  await owner.query(`DROP VIEW public.report; CREATE TABLE "${STATE}".sync_notes (id int)`)
  const gone = await mylab(['uninstall', '--yes'], STATE)
  assert.equal(gone.code, 0, gone.stderr)
  assert.ok(gone.stdout.endsWith(` stay.\nAlso left in the target: schema ${STATE}, table sync_notes.\n`), gone.stdout)
  const left = await textRows(owner, `SELECT tablename FROM pg_tables WHERE schemaname = '${STATE}'`)
  assert.deepEqual(left, [['sync_notes']])

  // One that we have made.
  assert.equal((await mylab(['migrate'], 'sync_own')).code, 0)
  const whole = await mylab(['uninstall', '--yes'], 'sync_own')
  assert.equal(whole.code, 0, whole.stderr)
  assert.match(whole.stdout, /The copied tables stay.\n$/)
  const schemas = await textRows(owner, "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")
  assert.deepEqual(schemas, [['app'], ['information_schema'], [STATE], ['public']])
})

/** Functions with names that our statements use, and arguments that match better than PostgreSQL's own. */
const PLANTED: readonly (readonly [name: string, parameters: string, returns: string])[] = [
  ['unnest', 'text[]', 'SETOF text'],
  ['unnest', 'bigint[]', 'SETOF bigint'],
  ['count', 'text', 'bigint'],
  ['hashtext', 'text', 'integer'],
  ['pg_try_advisory_xact_lock', 'integer', 'boolean'],
  ['pg_advisory_xact_lock', 'integer', 'boolean'],
  ['sha256', 'text', 'bytea'],
  ['decode', 'text, text', 'bytea'],
  ['octet_length', 'varchar', 'integer'],
  ['to_regclass', 'varchar', 'regclass'],
  ['to_char', 'timestamptz, varchar', 'text'],
  ['array_position', 'text[], text', 'integer'],
  ['format_type', 'oid, bigint', 'text'],
  ['set_config', 'varchar, varchar, boolean', 'text'],
  ['pg_has_role', 'name, varchar', 'boolean'],
]
const COMPARED = ['text', 'varchar', 'integer', 'bigint', 'name', 'oid', 'tid']

/**
 * Everything that a role with CREATE in `public` can put there to be found by name. Each moves a sequence of its own when it
 * runs with the rights of `victim`: that outlives a transaction which fails because of it.
 */
async function plant(planter: pg.Client, victim: string): Promise<void> {
  const create = async (name: string, signature: string, result: string): Promise<void> => {
    await planter.query(`CREATE SEQUENCE IF NOT EXISTS public.ran_${name}; GRANT USAGE ON SEQUENCE public.ran_${name} TO PUBLIC;
      CREATE FUNCTION public.${name}${signature} LANGUAGE plpgsql SET search_path = pg_catalog AS $$ BEGIN
        IF current_user = '${victim}' THEN PERFORM nextval('public.ran_${name}'); END IF; ${result}; END $$`)
  }
  for (const [name, parameters, returns] of PLANTED)
    await create(name, `(${parameters}) RETURNS ${returns}`, returns.startsWith('SETOF') ? 'RETURN' : 'RETURN NULL')
  for (const left of COMPARED)
    for (const right of COMPARED) {
      const name = `same_${left}_${right}`
      await create(name, `(${left}, ${right}) RETURNS boolean`, 'RETURN true')
      for (const operator of ['=', '<>', '>', '<='])
        await planter.query(
          `CREATE OPERATOR public.${operator} (LEFTARG = ${left}, RIGHTARG = ${right}, FUNCTION = public.${name})`,
        )
    }
}

test('nothing planted in public by a role that may create there runs with our rights', {
  timeout: STUCK_MS,
}, async () => {
  await using installation = await createInstallation(servers, 'planted')
  await using admin = await servers.targetAdmin('planted')
  await admin.query("CREATE ROLE planter LOGIN PASSWORD 'x'; GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC")
  const { host, port } = servers.target
  const planter = new pg.Client({ host, port, user: 'planter', password: 'x', database: 'planted' })
  await planter.connect()
  try {
    await plant(planter, servers.product.target.user)
    await installation.app.query(`${SCHEMA};
      CREATE TABLE child (id BIGINT PRIMARY KEY, code VARCHAR(20), FOREIGN KEY (code) REFERENCES plain (code) ON DELETE CASCADE) ENGINE=InnoDB;
      CREATE TABLE bare (v VARCHAR(9)) ENGINE=InnoDB;
      INSERT INTO child VALUES (1, 'one'); INSERT INTO bare VALUES ('x'), ('x'), ('y')`)
    await copyAll(installation.context)
    // Rows of tables with triggers are written another way.
    await installation.reader.query(`CREATE FUNCTION public.noted() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$ BEGIN RETURN NULL; END $$;
      CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON public.plain FOR EACH ROW EXECUTE FUNCTION public.noted();
      CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON public.bare FOR EACH ROW EXECUTE FUNCTION public.noted()`)
    await installation.app.query(
      `INSERT INTO plain VALUES ('two', 2), ('three', 3); INSERT INTO child VALUES (2, 'two'); INSERT INTO bare VALUES ('z')`,
    )
    await settle(installation)
    await installation.app.query(
      `UPDATE plain SET v = v + 1; DELETE FROM plain WHERE code = 'two'; DELETE FROM a LIMIT 1; DELETE FROM bare WHERE v = 'x' LIMIT 1`,
    )
    await settle(installation)
    await resyncTables(installation.context, ['a', 'plain'], {
      progress: () => {},
      signal: new AbortController().signal,
    })
    await settle(installation)
    await assertEqual(installation, [...TABLES, 'child'])
    await verifyCounts(installation.context, [])
    const found = await installation.target.admin.preflight([])
    assert.ok(found.some(({ code, cause }) => code === 'target-schema-open' && cause.includes('schema public')))
    await installation.target.admin.requireUninstallRights()
    await installation.target.admin.run(await installation.target.admin.uninstallStatements())
    assert.deepEqual(
      await textRows(
        admin,
        "SELECT sequencename FROM pg_sequences WHERE sequencename LIKE 'ran!_%' ESCAPE '!' AND last_value IS NOT NULL",
      ),
      [],
    )
  } finally {
    await planter.end()
  }
})

/** Characters that clear a screen, forge a line and reverse a text. */
const EVIL = 'e\u001b[2J\nfine: live\u202e'

test('names and keys of the source move no cursor and forge no line', async () => {
  await servers.createDatabases({ source: 'evil', target: 'evil' })
  await using app = await servers.sourceAdmin('evil')
  await app.query(`CREATE TABLE \`${EVIL}\` (k VARCHAR(40) PRIMARY KEY, j JSON) ENGINE=InnoDB`)
  await app.query(`INSERT INTO \`${EVIL}\` VALUES (?, '{}'), ('b', '{}')`, [EVIL])
  const outputs: Record<string, string> = {}
  const mylab = async (...args: string[]): Promise<void> => {
    const { stdout, stderr } = await run(servers, 'evil', args)
    outputs[args.join(' ')] = `${stdout}\n${stderr}`
  }
  await mylab('plan', '--full')
  await mylab('initial', '--create-tables')
  // MySQL's JSON refuses what PostgreSQL's would.
  const [version] = await textRows(app, 'SELECT VERSION()')
  const isPoisoned = /MariaDB/.test(version?.[0] ?? '')
  if (isPoisoned) await app.query(`UPDATE \`${EVIL}\` SET j = '{"a":1e200000}' WHERE k <> 'b'`)
  await mylab('database', '--once', '--table', EVIL)
  await mylab('show-errors', '--show-values')
  await mylab('status', '--problems')
  for (const [command, text] of Object.entries(outputs)) {
    assert.doesNotMatch(text, /[^\P{Cc}\n]|\u202e/u, command)
    assert.doesNotMatch(text, /^fine/m, command)
  }
  if (isPoisoned) assert.match(outputs['show-errors --show-values'] ?? '', /e\\u001b\[2J\\nfine: live\\u202e/)
  assert.match(outputs['plan --full'] ?? '', /e\\u001b\[2J\\nfine: live\\u202e/)
})
