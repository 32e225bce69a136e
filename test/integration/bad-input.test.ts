import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually, freePort, shared, sharedServers } from '@mylab-sync/testkit'
import { Redis } from 'ioredis'
import { ask } from '../support/ask.js'
import { textRows } from '../support/content.js'
import { Cli } from '../support/processes.js'
import { sharedFolder } from '../support/folders.js'

const NAME = 'bad_input'
const LIMITED = { DB_USERNAME: 'limited', DB_PASSWORD: 'x' }
const READER = { PGSQL_USERNAME: 'reading', PGSQL_PASSWORD: 'x' }
const REDIS_PASSWORD = 'kept'
const WAIT_MS = 60_000

const folder = await sharedFolder('bad-input')
const servers = await sharedServers({ services: ['mariadb', 'postgres', 'redis'] })
await servers.createDatabases({ source: NAME, target: NAME })
const app = await shared(servers.sourceAdmin(NAME))
await app.query(`CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO t VALUES (1); CREATE USER limited IDENTIFIED BY 'x';
  GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON ${NAME}.* TO limited`)
const reader = await shared(servers.targetAdmin(NAME))
await reader.query(`CREATE ROLE reading LOGIN PASSWORD 'x'; GRANT ALL ON DATABASE ${NAME} TO reading; GRANT ALL ON SCHEMA public TO reading;
  ALTER ROLE reading SET default_transaction_read_only = on`)
const unlocked = new Redis(servers.redisUrl)
await unlocked.config('SET', 'requirepass', REDIS_PASSWORD).finally(() => unlocked.disconnect())
const REDIS_URL = servers.redisUrl.replace('redis://', `redis://:${REDIS_PASSWORD}@`)
const redis = await shared(new Redis(REDIS_URL), (connection) => connection.disconnect())
const mylab = await shared(
  new Cli({ ...servers.environment({ source: NAME, target: NAME }), REDIS_URL, SYNC_USE_QUEUE: 'false' }),
)

/** All objects on either side and all keys in Redis. */
async function everything(): Promise<unknown[]> {
  const objects = `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname !~ '^(pg_|information_schema)' ORDER BY 1`
  return [
    await textRows(app, 'SHOW FULL TABLES'),
    await textRows(app, 'SHOW TRIGGERS'),
    await textRows(reader, objects),
    (await redis.keys('*')).sort(),
  ]
}

interface Bad {
  readonly lines: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly code: number
  /** The whole of stderr but for `mylab-sync: ` and the last line's end: place, what was found, what is allowed. */
  readonly says: RegExp
}

const WORK = [
  'migrate',
  'initial --create-tables',
  'database',
  'database --daemon',
  'start --no-dashboard',
  'status',
  'setup-triggers',
] as const
const LOGIN_REMEDY =
  '\\n  try: check user and password of the source, and that the account may connect from this host: .*'
const SOURCE_REMEDY =
  '\\n  try: check DB_HOST, DB_PORT, DB_DATABASE, DB_USERNAME and DB_PASSWORD, and that the server runs'
const TARGET_REMEDY =
  '\\n  try: check PGSQL_HOST, PGSQL_PORT, PGSQL_DATABASE, PGSQL_USERNAME and PGSQL_PASSWORD, and that the server runs'
const REDIS_REMEDY = '\\n  try: check REDIS_URL, its password, and that Redis runs'
const QUEUE = ['worker', 'scheduler', 'enqueue drain', 'start --no-dashboard'] as const

const says = (text: string, remedy = ''): RegExp => new RegExp(`^${text}${remedy}$`)
const file = (text: string): string => {
  const path = join(folder, `${text.length}-${text.replaceAll(/\W/g, '')}.yaml`)
  writeFileSync(path, text)
  return path
}

const BAD: Readonly<Record<string, () => Bad>> = {
  'a wrong password of the source': () => ({
    lines: WORK,
    env: { DB_PASSWORD: 'wrong' },
    code: 4,
    says: says(
      'source: connecting to bad_input at 127.0.0.1:\\d+ as sync_\\w+: ER_ACCESS_DENIED_ERROR \\(1045\\): Access denied for user .sync_\\w+.@\\S+ \\(using password: YES\\)',
      LOGIN_REMEDY,
    ),
  }),
  'a wrong password of the target': () => ({
    lines: WORK,
    env: { PGSQL_PASSWORD: 'wrong' },
    code: 4,
    says: says(
      'target bad_input at 127.0.0.1:\\d+ as sync_\\w+: cannot connect \\(wrong user or password, 28P01\\): password authentication failed for user "sync_\\w+"',
      TARGET_REMEDY,
    ),
  }),
  'a wrong password of Redis': () => ({
    lines: QUEUE,
    env: { REDIS_URL: servers.redisUrl.replace('redis://', 'redis://:wrong@'), SYNC_USE_QUEUE: 'true' },
    code: 4,
    says: says(
      'Redis at 127.0.0.1:\\d+ refuses this user and password \\(WRONGPASS\\)',
      '\\n  try: set REDIS_PASSWORD, or user and password in REDIS_URL',
    ),
  }),
  'no password of Redis': () => ({
    lines: QUEUE,
    env: { REDIS_URL: servers.redisUrl, SYNC_USE_QUEUE: 'true' },
    code: 4,
    says: says(
      'Redis at 127.0.0.1:\\d+ asks for a password \\(NOAUTH\\)',
      '\\n  try: set REDIS_PASSWORD, or user and password in REDIS_URL',
    ),
  }),
  'Redis is down': () => ({
    lines: QUEUE,
    env: { REDIS_URL: 'redis://127.0.0.1:1', SYNC_USE_QUEUE: 'true' },
    code: 4,
    says: says('no connection to Redis at 127.0.0.1:1 \\(ECONNREFUSED\\)', REDIS_REMEDY),
  }),
  'no such database at the source': () => ({
    lines: WORK,
    env: { DB_DATABASE: 'nowhere' },
    code: 4,
    says: says(
      'source: connecting to nowhere at 127.0.0.1:\\d+ as sync_\\w+: ER_DBACCESS_DENIED_ERROR \\(1044\\): Access denied for user \\S+ to database .nowhere.',
      '\\n  try: grant the account the rights that docs/operations.md names on this database, or set another one in DB_DATABASE; servers also report this for a database that does not exist',
    ),
  }),
  'no such database in the target': () => ({
    lines: WORK,
    env: { PGSQL_DATABASE: 'nowhere' },
    code: 4,
    says: says(
      'target nowhere at 127.0.0.1:\\d+ as sync_\\w+: cannot connect \\(no such database, 3D000\\): database "nowhere" does not exist',
      TARGET_REMEDY,
    ),
  }),
  'a server that is down': () => ({
    lines: ['migrate', 'status'],
    env: { DB_PORT: '1' },
    code: 4,
    says: says('source: connecting to bad_input at 127.0.0.1:1 as sync_\\w+: ECONNREFUSED', SOURCE_REMEDY),
  }),
  'a read-only target': () => ({
    lines: ['migrate', 'initial --create-tables'],
    env: READER,
    code: 1,
    says: says(
      'target: a right is missing or the database is read-only \\(25006\\)',
      '\\n  try: mylab-sync doctor names each missing right and its GRANT',
    ),
  }),
  'a source user without TRIGGER': () => ({
    lines: ['initial --create-tables'],
    env: LIMITED,
    code: 1,
    says: says(
      "source: 'limited'@'%' lacks TRIGGER on database bad_input; nothing was created",
      '\\n  try: GRANT TRIGGER .*',
    ),
  }),
  'an unknown key': () => ({
    lines: [`migrate --config ${file('source: { prot: 1 }\nstuff: 1')}`],
    code: 3,
    says: /^\/\S+\.yaml: source: found prot, expected url, host, .*\n\/\S+\.yaml: \(top\): found stuff, expected source, .*$/,
  }),
  'a config value of the wrong type': () => ({
    lines: [`migrate --config ${file('performance: { useQueue: 7 }')}`],
    code: 3,
    says: says('/\\S+\\.yaml: performance.useQueue: found 7, expected a boolean'),
  }),
  'a variable of the wrong type': () => ({
    lines: ['migrate', 'database --daemon', 'dashboard'],
    env: { DB_PORT: 'abc' },
    code: 3,
    says: says('environment: DB_PORT: not a port, expected 1 to 65535'),
  }),
  'an invalid Redis address': () => ({
    lines: ['status', 'dashboard'],
    env: { REDIS_URL: 'cache:6379' },
    code: 3,
    says: says(
      'environment: REDIS_URL: not a URL that begins with redis:// or rediss:// or redis\\+unix:// or redis\\+socket:// or unix://',
    ),
  }),
}

for (const [name, bad] of Object.entries(BAD))
  test(`reported in one line, nothing changed: ${name}`, async () => {
    const { lines, env = {}, code, says } = bad()
    const before = await everything()
    for (const line of lines) {
      const outcome = await mylab.run(line.split(' '), env)
      assert.equal(outcome.code, code, `${line}: ${outcome.err}`)
      assert.match(outcome.err.replaceAll('mylab-sync: ', '').trimEnd(), says, line)
    }
    assert.deepEqual(await everything(), before)
  })

test('the dashboard refuses strangers and other sites on each route, changing nothing', async () => {
  const port = await freePort()
  const settings = { SYNC_USE_QUEUE: 'true', SYNC_DASHBOARD_PASSWORD: 'pw', SYNC_DASHBOARD_PORT: String(port) }
  for (const line of ['migrate', 'initial --create-tables --detach', 'enqueue drain'])
    assert.equal((await mylab.run(line.split(' '), settings)).code, 0, line)
  mylab.start(['dashboard'], settings)
  const at = `http://127.0.0.1:${port}`
  await eventually(
    'it answers',
    () =>
      ask(`${at}/readyz`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    WAIT_MS,
  )
  const known = { authorization: `Basic ${Buffer.from('admin:pw').toString('base64')}` }
  const session = JSON.parse((await ask(`${at}/api/session`, { headers: known })).body) as {
    token: string
    actions: string[]
  }
  const token = { 'x-mylab-token': session.token }
  const own = '/ /assets/main.js /api/status /api/session /metrics /nothing /api/nothing /queues /queues/api/queues'
  const board = ['drain/1', 'drain/1/retry', 'drain/pause', 'pause', 'drain/obliterate', 'drain/add']
  const paths = [
    ...own.split(' '),
    ...session.actions.map((action) => `/api/tables/t/${action}`),
    ...board.map((path) => `/queues/api/queues/${path}`),
  ]
  const before = await everything()
  for (const [number, path] of paths.entries())
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      // wrong passwords slow down an address of its own a path
      const localAddress = `127.0.1.${number + 1}`
      const status = async (headers: Record<string, string>): Promise<number> =>
        (await ask(at + path, { method, headers, localAddress })).status
      const what = `${method} ${path}`
      assert.equal(await status(token), 401, what)
      assert.equal(await status({ ...token, authorization: 'Basic YWRtaW46cHg=' }), 401, what)
      assert.equal(await status({ ...token, ...known, origin: 'https://evil.example' }), 403, what)
      assert.equal(await status({ ...token, ...known, 'sec-fetch-site': 'cross-site' }), 403, what)
    }
  for (const path of paths.filter((path) => path.startsWith('/queues/')))
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      assert.equal((await ask(at + path, { method, headers: { ...token, ...known } })).status, 405, `${method} ${path}`)
  assert.deepEqual(await everything(), before)
})
