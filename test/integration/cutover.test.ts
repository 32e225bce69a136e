import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { abortCutover, cutOver, drainAll, listObstacles, pauseTables, status, verify } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import type { CallName, Point } from '../support/intercept.js'
import { createInstallation, drainNow, type Installation, settle } from '../support/installation.js'

const SCHEMA = `
  CREATE TABLE patients (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, email VARCHAR(60) COLLATE utf8mb4_general_ci NOT NULL UNIQUE, name VARCHAR(40) NOT NULL,
    changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP) ENGINE=InnoDB;
  CREATE TABLE visits (id INT AUTO_INCREMENT PRIMARY KEY, patient_id INT UNSIGNED NOT NULL, CONSTRAINT visit_of FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE notes (id INT AUTO_INCREMENT PRIMARY KEY, visit_id INT NULL, body TEXT, CONSTRAINT note_of FOREIGN KEY (visit_id) REFERENCES visits (id)) ENGINE=InnoDB;
  CREATE TABLE bare (a INT, b VARCHAR(9)) ENGINE=InnoDB;
  INSERT INTO patients (email, name) VALUES ('a@x', 'a'), ('b@x', 'b'), ('c@x', 'c');
  INSERT INTO visits (patient_id) VALUES (1), (1), (2), (3); INSERT INTO notes (visit_id, body) VALUES (3, 'n'), (NULL, 'm');
  INSERT INTO bare VALUES (1, 'x'), (1, 'x')`

const servers = await sharedServers()
const CONSTRAINTS =
  "SELECT conname, condeferrable, convalidated, confdeltype FROM pg_constraint WHERE contype IN ('f', 'u') AND connamespace = 'public'::regnamespace ORDER BY 1"
const REQUEST = { setReadOnly: true, withActions: true, waitMs: 5_000 }

test('after a cutover the application works on PostgreSQL, and an abort follows again', async () => {
  await using installation = await createInstallation(servers, 'cutover', { schema: SCHEMA, copied: true })
  const { context, app, reader } = installation
  assert.deepEqual(
    (await listObstacles(context)).filter(({ severity }) => severity === 'blocks'),
    [],
  )
  const report = await cutOver(context, REQUEST)
  assert.equal(report.done, true)
  await assert.rejects(app.query("UPDATE patients SET name = 'z' WHERE id = 1"), /read-only since its cutover/)
  assert.match((await status(context)).sentence, /^The application was cut over to PostgreSQL/)
  await assert.rejects(drainAll(context, new AbortController().signal), { code: 'cut-over' })
  assert.equal((await cutOver(context, REQUEST)).done, true)
  await reader.query("INSERT INTO patients (email, name) VALUES ('d@x', 'd')")
  await assert.rejects(reader.query("INSERT INTO patients (email, name) VALUES ('d@x', 'd')"), { code: '23505' })
  await reader.query(
    "INSERT INTO patients (email, name) VALUES ('d@x', 'e') ON CONFLICT (email) DO UPDATE SET name = excluded.name",
  )
  await reader.query('DELETE FROM patients WHERE id = 1')
  assert.deepEqual(await installation.rows('SELECT id FROM visits ORDER BY id'), [['3'], ['4']])
  await assert.rejects(reader.query('BEGIN; INSERT INTO notes (visit_id) VALUES (99); SELECT 1'), { code: '23503' })
  await reader.query('ROLLBACK')
  const refused = await abortCutover(context, { discardWrites: false })
  assert.deepEqual(refused.kind === 'refused' && refused.findings.map(({ table }) => table), ['patients', 'visits'])
  assert.match((await status(context)).sentence, /^The application was cut over/)
  const aborted = await abortCutover(context, { discardWrites: true })
  assert.equal(aborted.kind, 'taken-back')
  await followsAgain(installation)
})

/** Writes of the source arrive, cascades included, with the constraints that drains need. */
async function followsAgain(installation: Installation): Promise<void> {
  const { context, app } = installation
  await app.query("UPDATE patients SET name = 'z' WHERE id = 2; DELETE FROM patients WHERE id = 3")
  // Values that swap need a UNIQUE that waits.
  await app.query(
    `BEGIN; SET @one = (SELECT email FROM patients WHERE id = 1), @two = (SELECT email FROM patients WHERE id = 2);
     UPDATE patients SET email = 'between' WHERE id = 1; UPDATE patients SET email = @one WHERE id = 2; UPDATE patients SET email = @two WHERE id = 1; COMMIT`,
  )
  await settle(installation)
  assert.equal((await verify(context, { tables: [] })).equal, true)
  const constraints = await installation.rows(CONSTRAINTS)
  assert.deepEqual(constraints, [
    ['note_of', 't', 't', 'a'],
    ['patients_email', 't', 't', ' '],
    ['visit_of', 't', 't', 'a'],
  ])
  assert.deepEqual((await status(context)).problems, [])
}

/** Each finding of what the target lacks, with what its statement does. */
const SUSPECTS = `
  CREATE TABLE articles (id INT AUTO_INCREMENT PRIMARY KEY, title VARCHAR(80) COLLATE utf8mb4_general_ci, stock INT UNSIGNED NOT NULL DEFAULT 0, double_stock INT AS (stock * 2) STORED,
    changed TIMESTAMP(3) NULL ON UPDATE CURRENT_TIMESTAMP(3), code INT DEFAULT (FLOOR(RAND() * 10)), CHECK (LENGTH(title) < 70), FULLTEXT KEY words (title)) ENGINE=InnoDB;
  CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, article INT, CONSTRAINT of_article FOREIGN KEY (article) REFERENCES articles (id) ON DELETE SET NULL ON UPDATE CASCADE) ENGINE=InnoDB;
  CREATE TABLE halted (id INT PRIMARY KEY) ENGINE=InnoDB;
  CREATE TABLE dirty (id INT PRIMARY KEY, d DATE NULL, t TEXT) ENGINE=InnoDB;
  CREATE VIEW stocked AS SELECT id FROM articles WHERE stock > 0;
  CREATE PROCEDURE restock() UPDATE articles SET stock = 1;
  CREATE TRIGGER orders_bi BEFORE INSERT ON orders FOR EACH ROW SET NEW.article = NEW.article;
  INSERT INTO articles (title, stock) VALUES ('one', 1); INSERT INTO orders (article) VALUES (1);
  INSERT INTO dirty VALUES (1, NULL, CONVERT(UNHEX('C3A9') USING utf8mb4))`
const LACKS = ['case-insensitive-text', 'foreign-key-action', 'fulltext-index', 'on-update', 'unsigned']

test('a dry run lists what blocks and what is lost, each with what cures it', async () => {
  await using installation = await createInstallation(servers, 'cutover_dry', { schema: SUSPECTS, copied: true })
  const { context, app, reader } = installation
  await pauseTables(context, ['halted'])
  await app.query('SET foreign_key_checks = 0; INSERT INTO orders (article) VALUES (77)')
  await settle(installation)
  const findings = await listObstacles(context)
  const found = findings.map(({ code, severity, table }) => `${severity} ${code} ${table ?? ''}`)
  const expected = [
    'blocks table-paused halted',
    'blocks constraint-not-held orders',
    ...LACKS.filter((kind) => kind !== 'foreign-key-action').map((kind) => `note ${kind} articles`),
    'note generated-expression articles',
    'note check articles',
    'note default articles',
    'note foreign-key-action orders',
    'note trigger orders',
    'note view ',
  ]
  assert.deepEqual(
    expected.filter((each) => !found.includes(each)),
    [],
    found.join('\n'),
  )
  const [paused, orphans] = ['table-paused', 'constraint-not-held'].map((code) =>
    findings.find((each) => each.code === code),
  )
  assert.deepEqual(paused?.sql, ['mylab-sync resume --table halted'])
  assert.deepEqual(await installation.rows(orphans?.sql[0] ?? ''), [['2', '77']])
  for (const { code, sql } of findings.filter(({ code: each }) => LACKS.includes(each)))
    if (code !== 'foreign-key-action') for (const statement of sql) await reader.query(statement)
  await reader.query('UPDATE articles SET stock = 3')
  assert.deepEqual(
    await installation.rows("SELECT changed > now() - interval '1 minute' FROM articles WHERE title = 'ONE'"),
    [['t']],
  )
  const refused = await cutOver(context, REQUEST)
  assert.equal(refused.done, false)
  assert.ok(refused.findings.length >= 2 && refused.findings.every(({ severity }) => severity === 'blocks'))
  await app.query('INSERT INTO halted VALUES (1)')
})

test('while the source is written nothing is cut over, and afterwards it is', async () => {
  await using installation = await createInstallation(servers, 'cutover_live', { schema: SCHEMA, copied: true })
  const { context, app } = installation
  let isOver = false
  const write = async (): Promise<void> => {
    for (let n = 0; !isOver; n++)
      await app.query(`UPDATE patients SET name = 'n${n}' WHERE id = ${1 + (n % 3)}; SELECT SLEEP(0.02)`)
  }
  const writing = write()
  try {
    const refused = await cutOver(context, { ...REQUEST, setReadOnly: false, waitMs: 0 })
    assert.deepEqual(
      refused.findings.map(({ code }) => code),
      ['source-written'],
    )
  } finally {
    isOver = true
    await writing
  }
  const other = await servers.sourceAdmin('cutover_live')
  try {
    // A write that is not committed is one, too.
    await other.query("BEGIN; UPDATE patients SET name = 'open' WHERE id = 1")
    assert.equal((await cutOver(context, { ...REQUEST, setReadOnly: false, waitMs: 0 })).done, false)
    await other.query('COMMIT')
  } finally {
    await other.end()
  }
  const report = await cutOver(context, { ...REQUEST, setReadOnly: false, waitMs: 10_000 })
  assert.equal(report.done, true)
  assert.deepEqual(await installation.rows('SELECT name FROM patients WHERE id = 1'), [['open']])
  await app.query("UPDATE patients SET name = 'late' WHERE id = 2")
  const { problems } = await status(context)
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['source-written-after-cutover'],
  )
})

test('a cutover that times out for a lock names its holder and changes nothing', async () => {
  await using read = await createInstallation(servers, 'cutover_read', { schema: SCHEMA, copied: true })
  await using written = await createInstallation(servers, 'cutover_written', { schema: SCHEMA, copied: true })
  const before = await read.rows(CONSTRAINTS)
  await read.reader.query("SET application_name = 'monthly report'")
  await read.reader.query('BEGIN; SELECT count(*) FROM visits')
  await written.app.query("BEGIN; UPDATE patients SET name = 'open' WHERE id = 1")
  const [{ id }] = (await written.app.query('SELECT CONNECTION_ID() AS id'))[0] as unknown as [{ id: number }]
  await Promise.all([
    assert.rejects(cutOver(read.context, REQUEST), {
      code: 'lock-timeout',
      message:
        /tables that the switch changes are in use: process \d+ of \w+ \(monthly report\), whose transaction began \d+ s ago, holds visits/,
    }),
    assert.rejects(cutOver(written.context, REQUEST), {
      code: 'lock-timeout',
      message: new RegExp(`connection ${id} of \\w+@.*, whose transaction began \\d+ s ago`),
    }),
  ])
  await read.reader.query('ROLLBACK')
  await written.app.query('COMMIT')
  assert.deepEqual(await read.rows(CONSTRAINTS), before)
  for (const { context, app } of [read, written]) {
    await app.query("UPDATE patients SET name = 'after' WHERE id = 2")
    assert.deepEqual((await status(context)).problems, [])
    assert.equal((await cutOver(context, REQUEST)).done, true)
  }
})

const CHILD = new URL('../fault/command-child.js', import.meta.url).pathname

async function diesAt(
  name: string,
  what: 'cutover' | 'abort',
  point: Point,
  following: CallName | '' = '',
): Promise<void> {
  const { source, target, product } = servers
  const env = { ...process.env, CRASH_SERVERS: JSON.stringify({ source, target, product }) }
  const child = spawn(process.execPath, [CHILD, name, what, point, following], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  await once(child, 'close')
  assert.equal(child.signalCode, 'SIGKILL', `${point} was reached: ${said}`)
}

test('a cutover and an abort that die at any step are taken up again', async () => {
  const name = 'cutover_killed'
  await using installation = await createInstallation(servers, name, { schema: SCHEMA, copied: true })
  const { context, app } = installation
  await diesAt(name, 'cutover', 'target.cutover.prepare:after')
  await app.query("UPDATE patients SET email = 'a2@x' WHERE id = 1")
  await drainNow(installation)
  await diesAt(name, 'cutover', 'target.cutover.note:after')
  await diesAt(name, 'cutover', 'source.writes.forbid:after')
  await assert.rejects(app.query("UPDATE patients SET name = 'z' WHERE id = 1"), /read-only/)
  assert.deepEqual(
    (await status(context)).problems.map(({ code }) => code),
    ['source-read-only'],
  )
  assert.equal((await abortCutover(context, { discardWrites: false })).kind, 'given-up')
  await app.query("UPDATE patients SET name = 'y' WHERE id = 1")
  await diesAt(name, 'cutover', 'source.log.poll:after', 'target.cutover.begin')
  await drainNow(installation)
  await diesAt(name, 'cutover', 'target.cutover.validate:before')
  await assert.rejects(drainNow(installation), { code: 'cut-over' })
  assert.equal((await cutOver(context, REQUEST)).done, true)
  const validated = await installation.rows("SELECT DISTINCT convalidated FROM pg_constraint WHERE contype = 'f'")
  assert.deepEqual(validated, [['t']])
  await installation.reader.query("UPDATE patients SET name = 'lost' WHERE id = 3")
  await diesAt(name, 'abort', 'source.writes.allow:before')
  await diesAt(name, 'abort', 'target.cutover.forget:before')
  const aborted = await abortCutover(context, { discardWrites: false })
  assert.equal(aborted.kind, 'taken-back')
  await followsAgain(installation)
})
