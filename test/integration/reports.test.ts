import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Producer } from '@mylab-sync/queue'
import { sharedServers } from '@mylab-sync/testkit'
import { Redis } from 'ioredis'
import { type CliInstallation, createCliInstallation } from '../support/cli-installation.js'
import type { Finished } from '../support/processes.js'

const servers = await sharedServers({ services: ['mariadb', 'postgres', 'redis'] })

const PREFIX = '{reports}'
const WITHOUT_EXCLUDED = { SYNC_TABLES_EXCLUDE: 'excluded_*' }

/** Runs a command with the queues of a Redis. */
function queued({ mylab }: CliInstallation, redisUrl: string, ...args: string[]): Promise<Finished> {
  return mylab.run(args, { REDIS_URL: redisUrl, SYNC_QUEUE_PREFIX: PREFIX, SYNC_USE_QUEUE: 'true' })
}

/** `stay` is refused, since what acts on its parent is excluded; the key of `named` may hold what PostgreSQL cannot. */
const SCHEMA = `
  CREATE TABLE room (id INT PRIMARY KEY, beds INT) ENGINE=InnoDB; INSERT INTO room VALUES (1, 1), (2, 4);
  CREATE TABLE named (name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY) ENGINE=InnoDB; INSERT INTO named VALUES ('a'), (CONCAT('b', CHAR(0)));
  CREATE TABLE excluded_bed (id INT PRIMARY KEY, room INT, CONSTRAINT in_room FOREIGN KEY (room) REFERENCES room (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE stay (id INT PRIMARY KEY, bed INT, CONSTRAINT in_bed FOREIGN KEY (bed) REFERENCES excluded_bed (id) ON DELETE CASCADE) ENGINE=InnoDB;
  INSERT INTO stay VALUES (1, NULL)`

test('verify-counts lists omitted tables, which are not equal, and quarantined rows', async () => {
  await using installation = await createCliInstallation(servers, 'reports_counts', {
    schema: SCHEMA,
    env: WITHOUT_EXCLUDED,
  })
  const { app, run } = installation
  assert.equal((await run('initial', '--create-tables')).code, 5)
  const refused = await run('verify-counts')
  assert.equal(refused.code, 5)
  assert.match(
    refused.out,
    /^Both sides hold the same number of rows in the 2 tables that were counted, but for 1 quarantined row \(1 of named\): mylab-sync show-errors; 1 selected table with rows is not counted\.\nnot counted: stay: it is refused: /,
  )
  await app.query(
    'CREATE TABLE fresh (id INT PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE fresh_empty (id INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO fresh VALUES (1)',
  )
  await run('pause', '--table', 'room')
  const { code, out } = await run('verify-counts', '--json')
  assert.equal(code, 5)
  const report = JSON.parse(out)
  assert.deepEqual(
    report.notCounted.map((t: { table: string; state: string; rows: boolean }) => [t.table, t.state, t.rows]),
    [
      ['fresh', 'discovered', true],
      ['fresh_empty', 'discovered', false],
      ['room', 'paused', true],
      ['stay', 'refused', true],
    ],
  )
  assert.deepEqual(report.tables, [
    { table: 'named', source: 2, target: 1, equal: true, quarantined: 1, withoutTriggers: false },
  ])
  assert.equal(report.equal, false)
  await run('resume')
  await app.query('DELETE FROM fresh; DELETE FROM stay')
  const empty = await run('verify-counts')
  assert.equal(empty.code, 0, empty.out)
  assert.match(
    empty.out,
    /^Both sides .* in the 2 tables that were counted, but for 1 quarantined row .*show-errors\.\n/,
  )
  assert.match(
    empty.out,
    /\nnot counted: fresh_empty: it is not carried yet; mylab-sync initial --create-tables \(it is empty\)\n/,
  )
})

test('the summary counts tables waiting for you, and quarantined rows beside equality', async () => {
  await using installation = await createCliInstallation(servers, 'reports_sentence', {
    schema: SCHEMA,
    env: WITHOUT_EXCLUDED,
  })
  const { app, reader, run } = installation
  await run('initial', '--create-tables')
  const first = await run('status')
  assert.match(
    first.out,
    /^2 of 3 tables equal the source as of \S+ but for 1 quarantined row: mylab-sync show-errors; contents not verified yet; 1 is refused: mylab-sync status --problems\.\n/,
  )
  await reader.query('CREATE VIEW on_room AS SELECT beds + 1 AS next FROM room')
  await app.query('ALTER TABLE room MODIFY beds BIGINT')
  await run('database', '--once')
  const { out } = await run('status')
  assert.match(
    out,
    /^1 of 3 tables equals the source .*; 1 waits for you, 1 is refused: mylab-sync status --problems\.\n/,
  )
  const problems = await run('status', '--problems')
  assert.equal(problems.code, 5)
  assert.match(problems.out, /^problem: room: waits for: DROP VIEW public\.on_room /m)
  assert.match(problems.out, /^problem: named: 1 row is quarantined; mylab-sync show-errors --table named$/m)
})

test('status --problems lists what definitions leave behind, but not as a problem', async () => {
  const schema = `CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, twice INT AS (id * 2) VIRTUAL,
      changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, FULLTEXT words (name)) ENGINE=InnoDB;
    CREATE TABLE child (id INT PRIMARY KEY, parent INT, CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE) ENGINE=InnoDB;
    CREATE TABLE parts (id INT PRIMARY KEY) ENGINE=InnoDB PARTITION BY HASH (id) PARTITIONS 2; CREATE VIEW seen AS SELECT id FROM parent`
  await using installation = await createCliInstallation(servers, 'reports_left', { schema, env: WITHOUT_EXCLUDED })
  const { run } = installation
  const copied = await run('initial', '--create-tables')
  assert.equal(copied.code, 0, copied.out)
  const { code, out } = await run('status', '--problems')
  assert.equal(code, 0, out)
  for (const line of [
    'child: ON DELETE CASCADE of FOREIGN KEY of_parent',
    'parent: expression of VIRTUAL column twice',
    'parent: utf8mb4_general_ci of column name',
    'parent: ON UPDATE of column changed',
    'parent: FULLTEXT INDEX words',
    'parts: PARTITIONS',
  ])
    assert.ok(out.includes(`\n    ${line}\n`), out)
  assert.match(out, /\n {2}1 view: of the application; they stay in the source\n/)
  assert.doesNotMatch(out, /problem:/)
  const json = JSON.parse((await run('status', '--problems', '--json', '--table', 'parts')).out)
  assert.deepEqual(
    json.notCarried.tables.map((left: { table: string; kind: string }) => [left.table, left.kind]),
    [['parts', 'partitions']],
  )
})

test('status and doctor name a held-back queue and the command that really frees it', async () => {
  await using installation = await createCliInstallation(servers, 'reports_held', {
    schema: 'CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB',
    env: WITHOUT_EXCLUDED,
  })
  const { run } = installation
  await run('migrate')
  const { redisUrl } = servers
  const producer = await Producer.open({ redisUrl, prefix: PREFIX })
  try {
    await producer.queues.find(({ name }) => name === 'drain')?.pause()
    const held = 'queue drain is paused: mylab-sync resume --queues drain'
    assert.ok((await queued(installation, redisUrl, 'status', '--problems')).out.includes(`problem: ${held}\n`))
    assert.match(
      (await queued(installation, redisUrl, 'doctor')).out,
      /queue drain is paused\n {4}remedy: mylab-sync resume --queues drain\n/,
    )
    const resumed = await queued(installation, redisUrl, 'resume', '--queues', 'drain')
    assert.deepEqual([resumed.code, resumed.out, resumed.err], [0, 'queue drain: resumed\n', ''])
    assert.deepEqual((await producer.health()).held, [])
  } finally {
    await producer.close()
  }
})

test('no driver output reaches the terminal when Redis refuses, only a line of ours', async () => {
  await using installation = await createCliInstallation(servers, 'reports_quiet', {
    schema: 'CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB',
    env: WITHOUT_EXCLUDED,
  })
  const { run } = installation
  await run('migrate')
  const client = new Redis(servers.redisUrl)
  try {
    // without INFO, for which its driver warns on the console
    await client.acl('SETUSER', 'blind', 'reset', 'on', '>pw', '~*', '+@all', '-info')
    const url = new URL(servers.redisUrl)
    Object.assign(url, { username: 'blind', password: 'pw' })
    const { out, err } = await queued(installation, url.href, 'status')
    assert.equal(err, '')
    assert.match(
      out,
      /Nothing is drained: Redis at \S+ denies this user a command or a key of the queues \(NOPERM\): the ACL SETUSER line/,
    )
  } finally {
    await client.acl('DELUSER', 'blind')
    client.disconnect()
  }
})
