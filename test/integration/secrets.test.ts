import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually, freePort, ServerSet } from '@mylab-sync/testkit'
import { Redis } from 'ioredis'
import { textRows } from '../support/content.js'
import { ask } from '../support/ask.js'
import { allOfRedis, Evidence, watchCommandLines } from '../support/evidence.js'
import { Cli, type CliProcess } from '../support/processes.js'

const NAME = 'secrets'
const ACCOUNT = 'marked'
const WAIT_MS = 60_000
/** With characters that an address must quote; the search is for the first part of each. */
const SOURCE_PASSWORD = "SourcePw7f3a'@#/"
const TARGET_PASSWORD = "TargetPw8b2c'&:"
const REDIS_PASSWORD = 'RedisPw9d4e+?/'
const BOARD_PASSWORD = 'BoardPw6a1f ü'
const WRONG_PASSWORD = 'WrongPw5e0d'
const VALUE = 'RowValue4c7b'
const KEY = 'KeyValue3d8e'
const BASIC = Buffer.from(`admin:${BOARD_PASSWORD}`).toString('base64')
const AUTHORIZED = { authorization: `Basic ${BASIC}` }
const MARKS = {
  secrets: ['SourcePw7f3a', 'TargetPw8b2c', 'RedisPw9d4e', 'BoardPw6a1f', WRONG_PASSWORD, VALUE, BASIC],
  keys: [KEY],
}
const SCHEMA = `
  CREATE TABLE patients (code VARCHAR(40) PRIMARY KEY, nik VARCHAR(40), name VARCHAR(60), j JSON) ENGINE=InnoDB;
  CREATE TABLE visits (id INT PRIMARY KEY, patient VARCHAR(40), note VARCHAR(60), FOREIGN KEY (patient) REFERENCES patients (code)) ENGINE=InnoDB;
  CREATE TABLE log_line (line VARCHAR(60)) ENGINE=InnoDB;
  INSERT INTO patients SELECT CONCAT('${KEY}-', seq), seq, CONCAT('${VALUE}-', seq), JSON_OBJECT('v', '${VALUE}') FROM seq_1_to_200;
  UPDATE patients SET j = '{"${VALUE}":1e200000}' WHERE nik IN ('5', '6');
  UPDATE patients SET name = CONCAT('${VALUE}', CHAR(0)) WHERE nik = '9';
  INSERT INTO visits SELECT seq, CONCAT('${KEY}-', seq), '${VALUE}' FROM seq_1_to_200;
  SET FOREIGN_KEY_CHECKS = 0; INSERT INTO visits VALUES (900, '${KEY}-nobody', '${VALUE}'); SET FOREIGN_KEY_CHECKS = 1;
  INSERT INTO log_line VALUES ('${VALUE}')`

type Admin = Awaited<ReturnType<ServerSet['sourceAdmin']>>
type Reader = Awaited<ReturnType<ServerSet['targetAdmin']>>

let servers: ServerSet
let app: Admin
let reader: Reader
let redis: Redis
let monitor: Redis
let endWatch = (): number => 0
let mylab: Cli
let redisUrl: string
let folder: string
let port: number
const evidence = new Evidence()
const commands: string[] = []

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mylab-sync-secrets-'))
  servers = await ServerSet.start({ services: ['mariadb', 'postgres', 'redis'] })
  await servers.createDatabases({ source: NAME, target: NAME })
  app = await servers.sourceAdmin(NAME)
  await app.query(`CREATE USER ${ACCOUNT} IDENTIFIED BY ${app.escape(SOURCE_PASSWORD)}; GRANT ALL ON ${NAME}.* TO ${ACCOUNT};
    GRANT PROCESS ON *.* TO ${ACCOUNT}; ${SCHEMA}`)
  reader = await servers.targetAdmin(NAME)
  await reader.query(`CREATE ROLE ${ACCOUNT} LOGIN PASSWORD ${reader.escapeLiteral(TARGET_PASSWORD)};
    GRANT CREATE ON DATABASE ${NAME} TO ${ACCOUNT}; GRANT USAGE, CREATE ON SCHEMA public TO ${ACCOUNT}`)
  const unlocked = new Redis(servers.redisUrl)
  await unlocked.config('SET', 'requirepass', REDIS_PASSWORD).finally(() => unlocked.disconnect())
  redisUrl = servers.redisUrl.replace('redis://', `redis://:${encodeURIComponent(REDIS_PASSWORD)}@`)
  redis = new Redis(redisUrl)
  monitor = await redis.monitor()
  monitor.on('monitor', (_time: string, args: string[]) => evidence.add('MONITOR', args.join(' ')))
  endWatch = watchCommandLines(evidence)
  port = await freePort()
  mylab = new Cli({
    ...servers.environment({ source: NAME, target: NAME }),
    DB_USERNAME: ACCOUNT,
    DB_PASSWORD: SOURCE_PASSWORD,
    PGSQL_USERNAME: ACCOUNT,
    PGSQL_PASSWORD: TARGET_PASSWORD,
    REDIS_URL: redisUrl,
    SYNC_DASHBOARD_PASSWORD: BOARD_PASSWORD,
    SYNC_DASHBOARD_PORT: String(port),
    SYNC_LOG_LEVEL: 'debug',
    SYNC_INTERVAL: '1',
  })
})
after(async () => {
  await mylab.close()
  endWatch()
  monitor.disconnect()
  redis.disconnect()
  await reader.end()
  await app.end()
  await servers.close()
  rmSync(folder, { recursive: true })
})

/** Runs one command to its end and keeps its output as evidence; requested output on stdout may contain keys. */
async function command(line: string, env: Record<string, string> = {}): Promise<{ code: number | null; out: string }> {
  const { code, out, err } = await mylab.run([...line.split(' '), '--verbose'], env)
  const number = commands.push(line)
  evidence.add(`${line}: stdout ${number}`, out, { keys: true })
  evidence.add(`${line}: stderr ${number}`, err)
  return { code, out }
}

/** Requests every page, route and error page, in the databases' current state. */
async function everyPage(when: string): Promise<void> {
  const at = `http://127.0.0.1:${port}`
  const take = async (path: string, options: Parameters<typeof ask>[1] = {}): Promise<string> => {
    const { status, headers, body } = await ask(at + path, { headers: AUTHORIZED, ...options })
    evidence.add(`${when}: ${options.method ?? 'GET'} ${path}: ${status}`, `${JSON.stringify(headers)}\n${body}`)
    return body
  }
  for (const path of [
    '/',
    '/api/status',
    '/metrics',
    '/healthz',
    '/readyz',
    '/nothing',
    '/%ff',
    '/assets/../package.json',
  ])
    await take(path)
  const { token } = JSON.parse(await take('/api/session')) as { token: string }
  for (const options of [
    { method: 'POST' },
    { method: 'POST', headers: { ...AUTHORIZED, 'x-mylab-token': token } },
    {
      method: 'POST',
      headers: { ...AUTHORIZED, 'x-mylab-token': token, 'content-type': 'application/json' },
      body: '{"',
    },
    { headers: { authorization: 'Basic ?' } },
  ]) {
    await take('/api/tables/patients/retry', options)
    await take('/api/tables/%00/retry', options)
  }
  for (const queue of ['copy', 'drain', 'control']) {
    for (const status of ['latest', 'failed', 'completed', 'delayed', 'active']) {
      const path = `/queues/api/queues?activeQueue=${queue}&status=${status}&page=1&jobsPerPage=100`
      const { queues = [] } = JSON.parse(await take(path)) as { queues?: { name: string; jobs: { id: string }[] }[] }
      for (const { id } of queues.find(({ name }) => name === queue)?.jobs ?? [])
        for (const rest of ['', '/logs']) await take(`/queues/api/queues/${queue}/${id}${rest}`)
    }
    await take(`/queues/queue/${queue}`)
    await take(`/queues/api/queues/${queue}/clean/failed`, { method: 'PUT' })
  }
  for (const path of ['/queues/', '/queues/api/redis/stats', '/queues/api/queues/nothing/1']) await take(path)
}

async function everyStateTable(): Promise<void> {
  const names = await textRows(
    reader,
    "SELECT relname FROM pg_class WHERE relnamespace = 'mylab_sync'::regnamespace AND relkind = 'r'",
  )
  assert.ok(names.length > 8)
  for (const [name] of names)
    evidence.add(
      `target: ${name}`,
      JSON.stringify(await textRows(reader, `SELECT t::text FROM mylab_sync.${name} t`)),
      {
        keys: true,
      },
    )
  const ours = await textRows(app, "SHOW TABLES LIKE 'sync\\_%'")
  assert.ok(ours.length > 2)
  for (const [name] of ours)
    evidence.add(`source: ${name}`, JSON.stringify(await textRows(app, `SELECT * FROM ${name}`)), { keys: true })
}

const until = (what: string, is: () => Promise<boolean>): Promise<unknown> => eventually(what, is, WAIT_MS)
const quarantined = async (): Promise<number> =>
  Number((await textRows(reader, "SELECT count(*) FROM mylab_sync.sync_parked WHERE reason = 'quarantined'"))[0]?.[0])

test('no password or row value is in logs, pages, metrics, Redis, argv or state tables', async () => {
  await setUp()
  const processes = ['scheduler', 'worker', 'dashboard'].map((name) => ({
    name,
    process: mylab.start([name, '--verbose']),
  }))
  await until(
    'the dashboard answers',
    // refused until it listens; if it never does, the deadline reports it
    async () => (await ask(`http://127.0.0.1:${port}/readyz`).catch(() => null))?.status === 200,
  )
  await live()
  await failingJobs()
  await everyPage('at work')
  await everyStateTable()
  evidence.add('Redis', await allOfRedis(redis))
  await asked()
  await away(processes.map(({ process }) => process))
  for (const { name, process } of processes) {
    process.signal('SIGTERM')
    const { out, err } = await process.finished(WAIT_MS)
    evidence.add(`${name}: stdout`, out)
    evidence.add(`${name}: stderr`, err)
    assert.ok(name === 'dashboard' || /tried again/.test(err), `${name} had nothing to say: ${err}`)
  }
  evidence.add('Redis at the end', await allOfRedis(redis))
  await wrongPasswords()
  await brokenSettings()
  await command('uninstall --yes')

  assert.ok(endWatch() > 10)
  assert.ok(evidence.size > 200_000, `${evidence.size} bytes looked at`)
  assert.equal(evidence.found(MARKS).join('\n'), '')
})

/** Poison rows, a NUL byte and an orphan are met by the first copy. */
async function setUp(): Promise<void> {
  for (const line of ['doctor', 'plan', 'plan --sql', 'plan --json', 'migrate', 'setup-triggers']) await command(line)
  for (const line of ['initial --create-tables', 'initial --show-progress']) await command(line)
  assert.equal(await quarantined(), 2)
}

/** Provokes errors whose messages quote the row: a value, a UNIQUE, a CHECK and an exception. */
async function live(): Promise<void> {
  await reader.query(`ALTER TABLE visits ADD CONSTRAINT short CHECK (note <> '${VALUE} long');
    CREATE UNIQUE INDEX one_name ON patients (name)`)
  await app.query(`UPDATE patients SET j = '{"${VALUE}":1e200000}' WHERE nik = '7'; UPDATE patients SET name = '${VALUE}-2' WHERE nik = '3';
    UPDATE visits SET note = '${VALUE} long' WHERE id = 4; INSERT INTO log_line VALUES ('${VALUE} more')`)
  await until('a row more is quarantined', async () => (await quarantined()) > 2)
  await reader.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '% is refused', NEW USING ERRCODE = 'disk_full', DETAIL = '${VALUE}', HINT = '${VALUE}'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON visits FOR EACH ROW EXECUTE FUNCTION refuse()`)
  await app.query(`UPDATE visits SET note = '${VALUE} again' WHERE id < 9`)
}

/** A chunk fails until its job is given up. */
async function failingJobs(): Promise<void> {
  await app.query(
    `CREATE TABLE late (id INT PRIMARY KEY, t VARCHAR(60)) ENGINE=InnoDB; INSERT INTO late VALUES (1, '${VALUE}')`,
  )
  await reader.query(`CREATE TABLE late (id integer PRIMARY KEY, t varchar(60)); ALTER TABLE late OWNER TO ${ACCOUNT};
    CREATE TRIGGER refuse BEFORE INSERT ON late FOR EACH ROW EXECUTE FUNCTION refuse()`)
  await command('initial --detach --table late --take-over')
  await until('a job has failed', async () => (await allOfRedis(redis)).includes('failedReason'))
}

/** Runs every report without values, and one with values, which proves that there is something to find. */
async function asked(): Promise<void> {
  const lines = [
    'status',
    'status --problems',
    'status --json',
    'show-errors',
    'show-errors --all',
    'show-errors --all --json',
  ]
  for (const line of [
    ...lines,
    'verify-counts',
    'database --check-pending',
    'retry-failed',
    'cleanup --days 1',
    'doctor',
    'enqueue drain',
  ])
    await command(line)
  await command('database', { SYNC_USE_QUEUE: 'false', SYNC_RETRY_DELAY: '10' })
  const { out } = await mylab.run(['show-errors', '--show-values'])
  assert.ok(out.includes(VALUE) && out.includes(KEY), out)
}

async function away(processes: readonly CliProcess[]): Promise<void> {
  for (const service of ['postgres', 'mariadb'] as const) {
    const before = processes.map(({ said }) => said.length)
    await servers.stop(service)
    await until('a worker reports it', async () =>
      processes.some(({ said }, at) => said.slice(before[at]).includes('tried again')),
    )
    await everyPage(`without ${service}`)
    for (const line of ['status', 'doctor', 'database --once']) await command(line)
    await servers.start(service)
  }
  app = await servers.sourceAdmin(NAME)
  reader = await servers.targetAdmin(NAME)
}

async function wrongPasswords(): Promise<void> {
  const wrong = [
    { DB_PASSWORD: WRONG_PASSWORD },
    { PGSQL_PASSWORD: WRONG_PASSWORD },
    { REDIS_URL: redisUrl.replace(/:[^:]+@/, `:${WRONG_PASSWORD}@`) },
  ]
  for (const env of wrong) for (const line of ['doctor', 'status', 'worker', 'enqueue drain']) await command(line, env)
}

/** Invalid settings that contain a secret. */
async function brokenSettings(): Promise<void> {
  const urls = [
    { SYNC_SOURCE_URL: `mysql://u:${WRONG_PASSWORD}%@127.0.0.1/x` },
    { SYNC_SOURCE_URL: `mysql://u@127.0.0.1/x?password=${WRONG_PASSWORD}` },
    { SYNC_TARGET_URL: `postgres://u@127.0.0.1/x?password=${WRONG_PASSWORD}` },
    { REDIS_URL: `http://:${WRONG_PASSWORD}@127.0.0.1` },
    { REDIS_URL: `redis://:${WRONG_PASSWORD}%zz@127.0.0.1:1` },
    { DB_PASSWORD_FILE: join(folder, 'none'), DB_PASSWORD: '' },
  ]
  for (const env of urls)
    for (const line of ['status', 'doctor']) assert.equal((await command(line, env)).code, 3, JSON.stringify(env))
  const files = [
    `source: mysql://u:${WRONG_PASSWORD}@127.0.0.1/x`,
    `dashboard: "password:${WRONG_PASSWORD}"`,
    `target: { password: [${WRONG_PASSWORD}], passwd: ${WRONG_PASSWORD} }`,
    `source: { password: "${WRONG_PASSWORD}`,
  ]
  for (const [at, text] of files.entries()) {
    const file = join(folder, `${at}.yaml`)
    writeFileSync(file, text)
    assert.equal((await command(`status --config ${file}`)).code, 3, text)
  }
}
