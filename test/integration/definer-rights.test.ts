import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { run } from '../support/cli.js'
import { textRows } from '../support/content.js'
import { assertEqual, copyAll, createInstallation, settle } from '../support/installation.js'

const NAME = 'definers'
const ALL = 'SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, TRIGGER'

const servers = await sharedServers()

test('role-only rights are reported, and refused before a trigger can fail any write', async () => {
  await using installation = await createInstallation(servers, NAME)
  await using admin = await servers.sourceAdmin()
  const account = `'${servers.product.source.user}'@'%'`
  const [version] = await textRows(admin, 'SELECT VERSION()')
  const isMysql = !(version?.[0] ?? '').includes('MariaDB')
  const [before] = await textRows(admin, 'SELECT @@GLOBAL.init_connect')
  try {
    await installation.app.query(
      'CREATE TABLE p (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO p VALUES (1, 1)',
    )
    await admin.query(`CREATE ROLE definers_role; GRANT definers_role TO ${account}`)
    await admin.query("SET GLOBAL init_connect = 'SET ROLE definers_role'")
    for (const [right, where] of [
      ['INSERT', `${NAME}.*`],
      ['SELECT', `${NAME}.*`],
      ['TRIGGER', `${NAME}.*`],
    ] as const) {
      await admin.query(`REVOKE ${right} ON ${NAME}.* FROM ${account}; GRANT ${ALL} ON ${where} TO definers_role`)
      const { stdout } = await run(servers, NAME, ['doctor'])
      assert.match(stdout, new RegExp(`lacks ${right} on database ${NAME} except by a role`))
      const { code, stderr } = await run(servers, NAME, ['initial', '--create-tables'])
      assert.equal(code, 1, stderr)
      assert.match(stderr, new RegExp(`GRANT [A-Z, ]*${right}[A-Z, ]* ON .${NAME}.\\.\\* TO ${account}`))
      assert.deepEqual(
        await textRows(
          installation.app,
          "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_TABLE = 'p'",
        ),
        [],
      )
      await installation.app.query('UPDATE p SET v = v + 1')
      await admin.query(`GRANT ${right} ON ${NAME}.* TO ${account}`)
    }
    if (isMysql) {
      await admin.query(`REVOKE INSERT ON ${NAME}.* FROM ${account}; SET DEFAULT ROLE definers_role TO ${account}`)
    }
    await copyAll(installation.context)
    await installation.app.query('UPDATE p SET v = v + 1')
    await settle(installation)
    await assertEqual(installation, ['p'])
  } finally {
    await admin.query('SET GLOBAL init_connect = ?', [before?.[0] ?? ''])
    await admin.query('DROP ROLE IF EXISTS definers_role')
  }
})
