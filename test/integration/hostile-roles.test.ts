import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { migrate } from '@mylab-sync/engine'
import { sharedServers, type TargetConnection } from '@mylab-sync/testkit'
import { connect } from '../support/connect.js'
import { assertEqual, copyAll, createInstallation, overSides, settle, states } from '../support/installation.js'

const servers = await sharedServers()

/** Another role of the database, which may create objects in `public`. */
async function planterIn(database: string, more = ''): Promise<TargetConnection> {
  const admin = await servers.targetAdmin(database)
  const user = `planter_${database}`
  await admin.query(
    `CREATE ROLE ${user} LOGIN PASSWORD 'x'; GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC; ${more.replaceAll('PLANTER', user)}`,
  )
  await admin.end()
  const { host, port } = servers.target
  const planter = new pg.Client({ host, port, user, password: 'x', database })
  await planter.connect()
  return Object.assign(planter, { [Symbol.asyncDispose]: () => planter.end() })
}

test("another role's table in the place of a copy gets no row and runs no trigger", async () => {
  await using installation = await createInstallation(servers, 'put_there')
  await using planter = await planterIn('put_there')
  await installation.app.query(`CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1);
      CREATE TABLE taken (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO taken VALUES (1, 1);
      CREATE TABLE counted (id INT PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE typed (id INT PRIMARY KEY) ENGINE=InnoDB`)
  await planter.query(`CREATE TABLE public.taken (id integer PRIMARY KEY, v integer); GRANT ALL ON public.taken TO PUBLIC;
      CREATE SEQUENCE public.counted; CREATE TYPE public.typed AS (id integer)`)
  const { listed } = await copyAll(installation.context)
  const problems = Object.fromEntries(listed.map(({ table, problem }) => [table, problem]))
  assert.match(
    problems['taken'] ?? '',
    /public\.taken belongs to planter_put_there, who could run anything with the rights of this account and read its rows; ALTER TABLE public\.taken OWNER TO CURRENT_USER; then /,
  )
  assert.match(
    problems['counted'] ?? '',
    /it is a sequence; ALTER SEQUENCE "public"\."counted" RENAME TO "counted_old"/,
  )
  assert.match(problems['typed'] ?? '', /it is a type; ALTER TYPE "public"\."typed" RENAME TO "typed_old"/)
  assert.deepEqual((await planter.query('SELECT * FROM public.taken')).rows, [])

  // Had it been filled, this would run with our rights.
  await planter.query(`CREATE TABLE public.seen (who name); GRANT INSERT ON public.seen TO PUBLIC;
      CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (current_user); RETURN NEW; END $$;
      CREATE TRIGGER note BEFORE INSERT OR UPDATE ON public.taken FOR EACH ROW EXECUTE FUNCTION public.note()`)
  await installation.app.query('INSERT INTO a VALUES (2, 2); UPDATE taken SET v = 2')
  await settle(installation)
  await copyAll(installation.context, ['taken'])
  await settle(installation)
  await assertEqual(installation, ['a'])
  for (const table of ['taken', 'seen'])
    assert.deepEqual((await planter.query(`SELECT * FROM public.${table}`)).rows, [])
  await planter.query('DROP TRIGGER note ON public.taken')

  const admin = await servers.targetAdmin('put_there')
  await admin.query(`ALTER TABLE public.taken OWNER TO ${servers.product.target.user}`)
  await admin.end()
  await copyAll(installation.context, ['taken'])
  await settle(installation)
  await assertEqual(installation, ['a', 'taken'])
})

test('a schema that another role owns is refused for the state, despite all grants', async () => {
  await using installation = await createInstallation(servers, 'put_schema')
  await using planter = await planterIn('put_schema', 'GRANT CREATE ON DATABASE put_schema TO PLANTER')
  await planter.query('CREATE SCHEMA mylab_sync; GRANT ALL ON SCHEMA mylab_sync TO PUBLIC')
  await assert.rejects(
    migrate(installation.context),
    /^SyncError: target: schema mylab_sync is used by others and cannot hold our state: it belongs to planter_put_schema, who could drop it$/,
  )
  assert.deepEqual(
    await installation.rows("SELECT relname FROM pg_class WHERE relnamespace = 'mylab_sync'::regnamespace"),
    [],
  )
  await planter.query('DROP SCHEMA mylab_sync')
  await migrate(installation.context)
})

test('no other role can block a type change by using the row type of its table', async () => {
  const schema = 'CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1)'
  await using installation = await createInstallation(servers, 'row_types', { schema, copied: true })
  await using planter = await planterIn('row_types')
  // as an older version left it
  await installation.rows('GRANT USAGE ON TYPE public.a TO PUBLIC')
  await migrate(installation.context)
  for (const use of [
    'CREATE TEMP TABLE uses (a public.a)',
    'CREATE TABLE public.uses (a public.a[])',
    'CREATE TYPE public.uses AS (a public.a)',
    'CREATE DOMAIN public.uses AS public.a',
  ])
    await assert.rejects(planter.query(use), /permission denied for type a/, use)
  await installation.app.query('ALTER TABLE a MODIFY v BIGINT; INSERT INTO a VALUES (2, 5000000000)')
  await settle(installation)
  assert.deepEqual(await states(installation), { a: 'live' })
  await assertEqual(installation, ['a'])
})

test('doctor names each role that may put triggers on copies', async () => {
  const schema = 'CREATE TABLE a (id INT PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE b (id INT PRIMARY KEY) ENGINE=InnoDB'
  await using installation = await createInstallation(servers, 'trigger_grants', { schema, copied: true })
  await using planter = await planterIn('trigger_grants', 'CREATE ROLE "Reports 1"')
  await using owner = await servers.targetOwner('trigger_grants')
  const found = async (): Promise<[cause: string, remedy: string][]> =>
    (await installation.target.admin.preflight([]))
      .filter(({ code }) => code === 'target-triggers-granted')
      .map(({ cause, remedy }) => [cause, remedy])
  await owner.query('GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC; GRANT REFERENCES ON a TO PUBLIC')
  assert.deepEqual(await found(), [])
  await owner.query('GRANT ALL ON ALL TABLES IN SCHEMA public TO "Reports 1"; GRANT TRIGGER ON b TO PUBLIC')
  // its own tables are no copies
  await planter.query('CREATE TABLE public.own (id int); GRANT ALL ON public.own TO PUBLIC')
  const all = await found()
  assert.deepEqual(
    all.map(([cause]) => cause),
    [
      '"Reports 1" may put triggers on 2 tables of schema public, a the first, which then run with our rights',
      'everyone who can connect may put triggers on 1 table of schema public, b the first, which then run with our rights',
    ],
  )
  for (const [, remedy] of all) await owner.query(remedy)
  assert.deepEqual(await found(), [])
})

test('a transaction a connect-only role leaves open delays only indexes, and is named', {
  timeout: 180_000,
}, async () => {
  const schema = 'CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1)'
  await using installation = await createInstallation(servers, 'left_open', { schema, copied: true })
  await using planter = await planterIn('left_open')
  // an index that timed out is retried after a minute, by another process at once
  await using other = await connect(servers, 'left_open')
  const built = async (): Promise<unknown[]> =>
    installation.rows(`SELECT indexrelid FROM pg_index WHERE NOT indisprimary
      AND indrelid IN ('public.a'::regclass, 'public.b'::regclass)`)
  const told = async (): Promise<(string | null | undefined)[]> =>
    (await installation.rows('SELECT detail FROM mylab_sync.sync_constraint')).map(([detail]) =>
      detail?.replace(/^index \w+ /, ''),
    )
  const [{ pid }] = (await planter.query('SELECT pg_backend_pid() AS pid')).rows as [{ pid: number }]
  // it may not even read the table that it locks
  await planter.query('BEGIN ISOLATION LEVEL REPEATABLE READ; PREPARE nothing AS UPDATE public.a SET v = v; SELECT 1')
  await installation.app.query(`CREATE TABLE b (id INT PRIMARY KEY, v INT, UNIQUE (v)) ENGINE=InnoDB;
    INSERT INTO b VALUES (1, 1); ALTER TABLE a ADD UNIQUE (v); INSERT INTO a VALUES (2, 2)`)
  await copyAll(installation.context)
  await settle(installation)
  assert.deepEqual(await states(installation), { a: 'live', b: 'live' })
  await assertEqual(installation, ['a', 'b'])
  assert.deepEqual(await built(), [])
  const waits = `is not built yet: it waits for a transaction to end: process ${pid} of planter_left_open`
  assert.deepEqual(await told(), [waits, waits])
  await planter.query('ROLLBACK')
  await settle(overSides(installation, other))
  assert.equal((await built()).length, 2)
  assert.deepEqual(await told(), [])
})
