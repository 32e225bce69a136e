import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { createCliInstallation } from '../support/cli-installation.js'
import { CLI, cli, ROOT } from '../support/run.js'

const WAIT_MS = 60_000
const SCHEMA = `
  CREATE TABLE patients (id INT PRIMARY KEY, name VARCHAR(40)) ENGINE=InnoDB;
  CREATE TABLE patient_notes (id INT PRIMARY KEY, note VARCHAR(40)) ENGINE=InnoDB;
  CREATE TABLE visits (id INT PRIMARY KEY, j JSON) ENGINE=InnoDB;
  INSERT INTO patients VALUES (1, 'a'); INSERT INTO patient_notes VALUES (1, 'n'), (2, 'n'); INSERT INTO visits VALUES (1, '{}')`

const servers = await sharedServers()

const names = async (): Promise<string[]> =>
  [...(await cli(['--help'])).out.matchAll(/^ {2}mylab-sync (\S+)/gm)].map(([, name = '']) => name)

test('a meaningless command line ends with 2 and one line, and does nothing', async () => {
  await using installation = await createCliInstallation(servers, 'usage_typo', { schema: SCHEMA })
  const { app, run } = installation
  const wrong: readonly (readonly [string, RegExp])[] = [
    [
      'migrate --sorce',
      /^mylab-sync: migrate: no option --sorce; did you mean --source\?\n {2}try: mylab-sync migrate --help\n$/,
    ],
    ['migrat', /^mylab-sync: no command migrat; did you mean migrate\?\n {2}try: mylab-sync migrate --help\n$/],
    ['sync:migrat', /did you mean migrate\?/],
    ['migrate now', /^mylab-sync: migrate: unexpected argument now\n/],
    ['migrate --source=maybe', /^mylab-sync: migrate: --source: found maybe, expected no value\n/],
    ['initial --create-tables --batch many', /^mylab-sync: initial: --batch: not a number\n/],
    ['initial --create-tables --batch 0', /--batch: found 0, expected a whole number above 0\n/],
    ['initial --create-tables --table', /^mylab-sync: initial: --table: expected a value\n/],
    ['cleanup --days 1 --days 2', /^mylab-sync: cleanup: --days: given twice, expected once\n/],
    ['database --daemon --once', /^mylab-sync: database: --daemon and --once: found both, expected one of them\n/],
    ['enqueue everything', /^mylab-sync: enqueue: what: found everything, expected copy, drain/],
    ['initial --create-tables --table patient', /--table: no table of the source database matches patient\n/],
    ['setup-triggers --table pat?', /no table of the source database matches pat\?\n/],
  ]
  for (const [line, message] of wrong) {
    const { code, out, err } = await run(...line.split(' '))
    assert.deepEqual([code, out], [2, ''], `${line}: ${err}`)
    assert.match(err, message, line)
    assert.ok(err.split('\n').length <= 3, err)
  }
  const [tables] = await app.query('SHOW TABLES')
  assert.equal((tables as unknown[]).length, 3)
})

test('without arguments commands are listed, and each has help with an example', async () => {
  const bare = await cli([])
  assert.deepEqual([bare.code, bare.out], [2, ''])
  const known = await names()
  assert.ok(known.length > 20)
  for (const name of known) {
    assert.match(bare.err, new RegExp(`^ {2}${name} `, 'm'))
    const help = await cli([name, '--help'])
    assert.equal(help.code, 0, name)
    assert.match(help.out, new RegExp(`^mylab-sync ${name}[^]*Examples:\n {2}mylab-sync ${name}`), name)
  }
  const [old, now] = await Promise.all([cli(['sync:initial', '--help']), cli(['initial', '--help'])])
  assert.equal(old.out, now.out)
})

test('a reader that closes the pipe early causes no error', async () => {
  await using installation = await createCliInstallation(servers, 'usage_pipe', { schema: SCHEMA, copied: true })
  const { env, mylab } = installation
  const piped = spawn('sh', ['-c', `"${process.execPath}" "${CLI}" plan --sql; echo "code $?" >&2`], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let err = ''
  piped.stderr.on('data', (data: Buffer) => (err += data.toString()))
  piped.stdout.destroy()
  await once(piped, 'close')
  assert.equal(err, 'code 0\n')
  const watching = mylab.start(['status', '--watch'])
  watching.stopReading()
  assert.equal((await watching.finished(WAIT_MS)).code, 0)
})

test('commands say what is not set up, before migrate and after uninstall', async () => {
  await using installation = await createCliInstallation(servers, 'usage_bare', { schema: SCHEMA })
  const { run } = installation
  const asked = ['status', 'verify-counts', 'show-errors', 'database', 'pause', 'retry-failed', 'cleanup'] as const
  for (const command of asked) {
    const { code, err } = await run(command)
    assert.deepEqual([code, err], [1, 'mylab-sync: the source is not set up\n  try: mylab-sync migrate\n'], command)
  }
  await run('migrate')
  assert.match(
    (await run('status')).out,
    /^No table is live; 3 are not carried yet: mylab-sync initial --create-tables\.\n/,
  )
  await servers.grantDrop('usage_bare')
  assert.equal((await run('uninstall', '--yes')).code, 0)
  assert.match((await run('status')).err, /is not set up/)
})

test('tables are named by wildcards, and a pattern without a match is reported', async () => {
  await using installation = await createCliInstallation(servers, 'usage_tables', { schema: SCHEMA, copied: true })
  const { run } = installation
  const status = JSON.parse((await run('status', '--json', '--table', 'patient*')).out) as {
    tables: { table: string }[]
  }
  assert.deepEqual(status.tables.map(({ table }) => table).sort(), ['patient_notes', 'patients'])
  assert.match((await run('verify-counts', '--table', 'visit?')).out, /\nvisits +1 +1\n$/)
  assert.match(
    (await run('database', '--once', '--table', 'visits')).out,
    /Pending: 0 .*\ntable .*\nvisits +live +0 +0\n$/,
  )
  for (const command of ['status', 'verify-counts', 'show-errors', 'database', 'pause', 'resync', 'retry-failed']) {
    const { code, out, err } = await run(command, '--table', 'visits', '--table', 'visist')
    assert.deepEqual([code, out], [2, ''], command)
    assert.match(err, /^mylab-sync: --table: no table of this installation matches visist\n {2}try: mylab-sync status/)
  }
})

test('the first sentence names the next command, and writes one in the singular', async () => {
  await using installation = await createCliInstallation(servers, 'usage_sentence', { schema: SCHEMA, copied: true })
  const { app, run } = installation
  assert.match((await run('status')).out, /^3 of 3 tables equal the source as of \S+, contents not verified yet\.\n/)
  await app.query("INSERT INTO patients VALUES (2, 'b')")
  assert.match((await run('database', '--check-pending')).out, /^1 change pending, 0 rows quarantined, the oldest/)
  await run('pause', '--table', 'patients')
  assert.match((await run('status')).out, /; 1 is paused: mylab-sync resume; 1 change waits\.\n/)
  await run('pause')
  assert.match((await run('status')).out, /^No table is live; 3 are paused: mylab-sync resume;/)
  await run('resume')
  assert.match((await run('status')).out, /^3 of 3 tables equal/)
  assert.match((await run('cleanup', '--days', '1', '--dry-run')).out, /^0 entries older than 1 day would be removed/)
})

test('status --watch prints one JSON line after another, and a signal ends it cleanly', async () => {
  await using installation = await createCliInstallation(servers, 'usage_watch', { schema: SCHEMA, copied: true })
  const { app, mylab } = installation
  const watching = mylab.start(['status', '--watch', '--json'])
  await eventually('a first line', () => watching.printed.includes('\n'), WAIT_MS)
  await app.query("INSERT INTO patients VALUES (2, 'b')")
  await eventually('a later line knows of it', () => watching.printed.includes('"pending":1'), WAIT_MS)
  watching.signal('SIGINT')
  const { code, out, err } = await watching.finished(WAIT_MS)
  assert.deepEqual([code, err], [130, ''])
  for (const line of out.trimEnd().split('\n')) assert.equal((JSON.parse(line) as { version: number }).version, 1)
})

test('values of quarantined rows are shown on request only', async () => {
  await using installation = await createCliInstallation(servers, 'usage_values', { schema: SCHEMA, copied: true })
  const { app, run } = installation
  await app.query(`UPDATE visits SET j = '{"secret":1e200000}' WHERE id = 1`)
  await run('database')
  const plain = await run('show-errors')
  assert.match(plain.out, /\nvisits +1 +UPDATE +1 +22003 /)
  assert.doesNotMatch(plain.out, /secret/)
  assert.match(
    (await run('show-errors', '--show-values')).out,
    /\nvisits 1\n {2}id: 1\n {2}j: \{\\"secret\\":1e200000\}\n$/,
  )
  const { errors } = JSON.parse((await run('show-errors', '--show-values', '--json')).out) as {
    errors: { values: Record<string, string> }[]
  }
  assert.deepEqual(Object.keys(errors[0]?.values ?? {}), ['id', 'j'])
})

test('uninstall checks rights on both sides first, and reports leftovers if it fails', async () => {
  await using installation = await createCliInstallation(servers, 'usage_rights', { schema: SCHEMA, copied: true })
  const { app, mylab } = installation
  const triggers = async (): Promise<number> => ((await app.query('SHOW TRIGGERS'))[0] as unknown[]).length
  await app.query(`CREATE USER limited@'%' IDENTIFIED BY 'x';
    GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, TRIGGER ON usage_rights.* TO limited@'%'`)
  const limited = { DB_USERNAME: 'limited', DB_PASSWORD: 'x' }
  const refused = await mylab.run(['uninstall', '--yes'], limited)
  assert.equal(refused.code, 1)
  assert.match(
    refused.err,
    /^mylab-sync: source: 'limited'@'%' lacks DROP on sync_audit_log, sync_instance, sync_instance_mark; nothing was removed\n {2}try: GRANT DROP ON `usage_rights`.`sync_\w+` TO 'limited'@'%';/,
  )
  assert.equal(await triggers(), 11)

  await using reader = await servers.targetAdmin('usage_rights')
  await reader.query("CREATE ROLE limited LOGIN PASSWORD 'x'")
  const role = { PGSQL_USERNAME: 'limited', PGSQL_PASSWORD: 'x' }
  await servers.grantDrop('usage_rights')
  const owner = await mylab.run(['uninstall', '--yes'], role)
  assert.equal(owner.code, 1)
  assert.match(
    owner.err,
    /^mylab-sync: target: table mylab_sync.sync_\w+ belongs to \S+; nothing was removed\n {2}try: mylab-sync uninstall as \S+ /,
  )
  assert.equal(await triggers(), 11)

  // an obstacle that no check of rights reveals
  await app.query(`CREATE TABLE child (owner VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
      FOREIGN KEY (owner) REFERENCES sync_instance (owner)) ENGINE=InnoDB`)
  const stopped = await mylab.run(['uninstall', '--yes'])
  assert.equal(stopped.code, 1)
  assert.match(
    stopped.err,
    /stopped halfway.*\n-- source\nDROP TABLE IF EXISTS `sync_instance`;\nDROP TABLE IF EXISTS `sync_instance_mark`;\n-- target\nDROP TABLE .*\nDROP SCHEMA .*\nmylab-sync: source: /,
  )
  await app.query('DROP TABLE child')
  assert.equal((await mylab.run(['uninstall', '--yes'])).code, 0)
})
