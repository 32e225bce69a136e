import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { type CliInstallation, createCliInstallation } from '../support/cli-installation.js'

const WAIT_MS = 60_000

const servers = await sharedServers()

/** Also counts work of rolled-back transactions: sequences are never rolled back. */
const COUNTING = `CREATE SEQUENCE counted; CREATE SEQUENCE first_ms; CREATE SEQUENCE last_ms;
  CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$ DECLARE ms bigint := extract(epoch FROM clock_timestamp()) * 1000;
  BEGIN
    IF nextval('counted') = 1 THEN PERFORM setval('first_ms', ms); END IF;
    PERFORM setval('last_ms', ms);
    IF TG_ARGV[0] = 'fail' THEN RAISE EXCEPTION 'no'; END IF;
    RETURN NULL;
  END $$`

/** The same in a CHECK, which cannot change rows as a trigger might. Distinguishes statements by their time. */
const COUNTING_STATEMENTS = `CREATE SEQUENCE seen;
  CREATE FUNCTION statement_of_row() RETURNS boolean LANGUAGE plpgsql SET search_path = public AS $$ DECLARE us bigint := extract(epoch FROM statement_timestamp()) * 1000000;
  BEGIN
    IF us <> (SELECT last_value FROM seen) THEN PERFORM setval('seen', us); PERFORM nextval('counted'); END IF;
    RETURN true;
  END $$`

async function counted(reader: CliInstallation['reader']): Promise<{ n: number; ms: number }> {
  const { rows } = await reader.query<{ n: number; ms: number }>(
    'SELECT c.last_value::int AS n, (l.last_value - f.last_value)::int AS ms FROM counted c, first_ms f, last_ms l',
  )
  return rows[0] ?? { n: 0, ms: 0 }
}

/** A live table with a change that no drain can apply; failed drains are counted. */
async function failDrains({ app, reader, mylab }: CliInstallation): Promise<void> {
  await app.query('CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB')
  assert.equal((await mylab.run(['initial', '--create-tables'])).code, 0)
  await reader.query(`${COUNTING}; CREATE TRIGGER count_it BEFORE INSERT OR UPDATE ON mylab_sync.sync_drain
    FOR EACH STATEMENT EXECUTE FUNCTION count_it('fail')`)
  await app.query('INSERT INTO t VALUES (1)')
}

test('SYNC_BATCH_SIZE is the number of rows per statement of a refused chunk', async () => {
  const statements: number[] = []
  for (const size of [1, 50]) {
    await using installation = await createCliInstallation(servers, `settings_batch_${size}`)
    const { app, reader, mylab } = installation
    await app.query(`CREATE TABLE t (id INT PRIMARY KEY, j JSON) ENGINE=InnoDB; INSERT INTO t SELECT seq, '{}' FROM seq_1_to_100;
      UPDATE t SET j = '{"a":1e200000}' WHERE id = 70`)
    await reader.query(`${COUNTING}; ${COUNTING_STATEMENTS};
      CREATE TABLE t (id integer PRIMARY KEY, j jsonb, CHECK (statement_of_row()))`)
    const copied = await mylab.run(['initial'], { SYNC_BATCH_SIZE: String(size) })
    assert.match(copied.out, /^t: 99\/100 live\n/, copied.err)
    statements.push((await counted(reader)).n)
  }
  const [single = 0, many = 0] = statements
  assert.ok(single > 90 && many < 40, `${statements.join(' and ')} statements`)
})

test("SYNC_RETRY_MAX_ATTEMPTS and SYNC_RETRY_DELAY set a pass's attempts and pauses", async () => {
  await using installation = await createCliInstallation(servers, 'settings_retry')
  await failDrains(installation)
  const { reader, mylab } = installation
  const failed = await mylab.run(['database'], { SYNC_RETRY_MAX_ATTEMPTS: '4', SYNC_RETRY_DELAY: '200' })
  assert.equal(failed.code, 1)
  assert.match(failed.err, /^mylab-sync: target: SQLSTATE P0001/)
  const { n, ms } = await counted(reader)
  assert.equal(n, 4)
  // 200, 400 and 800 ms, each shortened by up to a half, so that processes which failed together do not retry together.
  assert.ok(ms >= 700, `${ms} ms`)
})

test("SYNC_LOG_LEVEL and SYNC_LOG_FORMAT shape a daemon's log, not its line on stdout", async () => {
  await using installation = await createCliInstallation(servers, 'settings_log')
  await failDrains(installation)
  const { reader, mylab } = installation
  const settings = { SYNC_RETRY_DELAY: '10', SYNC_INTERVAL: '0.2' }
  const json = mylab.start(['database', '--daemon'], settings)
  const pretty = mylab.start(['database', '--daemon'], { ...settings, SYNC_LOG_FORMAT: 'pretty' })
  const silent = mylab.start(['database', '--daemon'], { ...settings, SYNC_LOG_LEVEL: 'error' })
  await eventually(
    'two of them say why nothing goes on',
    () => json.said.includes('\n') && pretty.said.includes('\n'),
    WAIT_MS,
  )
  const { time, ...line } = JSON.parse(json.said.split('\n')[0] ?? '') as Record<string, string>
  assert.match(time ?? '', /^\d{4}-/)
  assert.deepEqual(Object.keys(line), ['level', 'code', 'msg'])
  assert.match(pretty.said, /^\[\d\d:\d\d:\d\d\] warn: will be tried again: target: SQLSTATE P0001/)
  await reader.query('DROP TRIGGER count_it ON mylab_sync.sync_drain')
  const daemons = [json, pretty, silent]
  await eventually('one of them drains', () => daemons.some(({ printed }) => printed.includes('\n')), WAIT_MS)
  // before the mark of the first is in, another one may do the same work again
  assert.match(
    daemons.map(({ printed }) => printed).join(''),
    /^(\[\d\d:\d\d:\d\d\] Iteration: 1 \| Processed: 1 \| Success: 1 \| Failed: 0 \| Pending: 0 \| Time: [\d.]+ms\n)+$/,
  )
  for (const daemon of daemons) daemon.signal('SIGTERM')
  for (const daemon of daemons) assert.equal((await daemon.finished(WAIT_MS)).code, 143)
  assert.equal(silent.said, '')
})

test("SYNC_INSTANCE adds a second installation, and neither takes the other's changes", async () => {
  await using installation = await createCliInstallation(servers, 'settings_instance')
  const { app, reader, mylab } = installation
  await app.query(
    'CREATE TABLE a (id INT PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE b (id INT PRIMARY KEY) ENGINE=InnoDB',
  )
  const first = { SYNC_TABLES_INCLUDE: 'a' }
  const second = { SYNC_TABLES_INCLUDE: 'b', SYNC_INSTANCE: 'second' }
  for (const installation of [first, second])
    assert.equal((await mylab.run(['initial', '--create-tables'], installation)).code, 0)
  await app.query('INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)')
  for (const installation of [first, second])
    assert.match((await mylab.run(['database'], installation)).out, / Processed: 1 \| Success: 1 /)
  const { rows } = await reader.query('SELECT (SELECT count(*) FROM a)::int AS a, (SELECT count(*) FROM b)::int AS b')
  assert.deepEqual(rows, [{ a: 1, b: 1 }])
  await servers.grantDrop('settings_instance')
  assert.equal((await mylab.run(['uninstall', '--yes'], first)).code, 0)
  await app.query('INSERT INTO b VALUES (2)')
  assert.match((await mylab.run(['verify-counts'], second)).out, /\nb +2 +2\n$/)
  const planned = JSON.parse((await mylab.run(['plan', '--json'])).out) as {
    tables: { table: string }[]
    olderPackage: string[]
  }
  assert.deepEqual([planned.tables.map(({ table }) => table), planned.olderPackage], [['a', 'b'], []])
})
