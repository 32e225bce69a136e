import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { run } from '../support/cli.js'
import { textRows } from '../support/content.js'
import { assertEqual, createInstallation, settle } from '../support/installation.js'

const SCHEMA = 'CREATE TABLE p (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO p VALUES (1, 1)'

const servers = await sharedServers()

test('doctor reports copies of our triggers, here or elsewhere; uninstall drops them', async () => {
  const [name, other] = ['writers', 'writers_other']
  await using installation = await createInstallation(servers, name, { schema: SCHEMA, copied: true })
  await using admin = await servers.sourceAdmin()
  try {
    await admin.query(
      `DROP DATABASE IF EXISTS ${other}; CREATE DATABASE ${other}; CREATE TABLE ${other}.q (id INT PRIMARY KEY)`,
    )
    await admin.query(`GRANT TRIGGER ON ${other}.* TO '${servers.product.source.user}'@'%'`)
    await installation.app.query('CREATE TABLE _p_new LIKE p; CREATE TABLE copy LIKE p')
    const bodies = await textRows(
      installation.app,
      "SELECT EVENT_MANIPULATION, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() AND EVENT_OBJECT_TABLE = 'p'",
    )
    for (const [event = '', body] of bodies)
      for (const table of ['_p_new', 'copy', 'p'])
        await installation.app.query(
          `CREATE TRIGGER pt_osc_${table}_${event} AFTER ${event} ON ${table} FOR EACH ROW ${body}`,
        )
    await admin.query(
      `CREATE TRIGGER ${other}.far AFTER INSERT ON ${other}.q FOR EACH ROW INSERT INTO ${name}.sync_audit_log (table_name, operation, row_key, flags) VALUES ('q', 'INSERT', NEW.id, 0)`,
    )
    const doctor = await run(servers, name, ['doctor'])
    assert.match(doctor.stdout, /10 triggers of other origin write to the change log, on [_a-z, ]+, writers_other\.q/)
    const write =
      'INSERT INTO p VALUES (7, 7); DELETE FROM p WHERE id = 1; INSERT INTO copy VALUES (7, 7); UPDATE copy SET v = 1; INSERT INTO _p_new VALUES (7, 7)'
    await installation.app.query(write)
    await settle(installation)
    await assertEqual(installation, ['p'])
    const statements = await run(servers, name, ['uninstall', '--sql'])
    assert.equal(statements.stdout.match(/DROP TRIGGER/g)?.length, 13)
    assert.match(statements.stdout, /DROP TRIGGER IF EXISTS `writers_other`\.`far`;/)
    await servers.grantDrop(name)
    const { code, stderr } = await run(servers, name, ['uninstall', '--yes'])
    assert.equal(code, 0, stderr)
    await installation.app.query(write.replaceAll('7, 7', '8, 8'))
    await admin.query(`INSERT INTO ${other}.q VALUES (1)`)
  } finally {
    await admin.query(`DROP DATABASE IF EXISTS ${other}`)
  }
})

test('uninstall names a trigger that also writes to the log, and removes nothing', async () => {
  await using installation = await createInstallation(servers, 'writers_own', { schema: SCHEMA, copied: true })
  await installation.app.query(
    'CREATE TRIGGER own BEFORE UPDATE ON p FOR EACH ROW SET NEW.v = (SELECT COUNT(*) FROM sync_audit_log)',
  )
  for (const how of ['--sql', '--yes']) {
    const { code, stderr } = await run(servers, 'writers_own', ['uninstall', how])
    assert.equal(code, 1)
    assert.match(
      stderr,
      /1 trigger of another program .*: writers_own\.own on p; nothing was removed\n {2}try: .*DROP TRIGGER IF EXISTS `own`;/,
    )
  }
  await installation.app.query('UPDATE p SET v = 2')
  await installation.app.query('DROP TRIGGER own')
  await servers.grantDrop('writers_own')
  assert.equal((await run(servers, 'writers_own', ['uninstall', '--yes'])).code, 0)
  await installation.app.query('UPDATE p SET v = 3')
})
