import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServerSet } from '@mylab-sync/testkit'
import type { Connection } from 'mysql2/promise'
import { sqlBlocks } from '../support/deployment.js'
import { cli } from '../support/run.js'

const SCHEMA = `
  CREATE TABLE patient (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL, kind ENUM('a', 'b'), notes JSON) ENGINE=InnoDB;
  CREATE TABLE visit (id INT PRIMARY KEY, patient INT, at DATETIME(3), FOREIGN KEY (patient) REFERENCES patient (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE line (t TEXT) ENGINE=InnoDB;
  INSERT INTO patient (name, kind, notes) VALUES ('one', 'a', '{}'), ('two', 'b', NULL);
  INSERT INTO visit VALUES (1, 1, '2024-01-01'); INSERT INTO line VALUES ('x')`

/** Each exits with 0, as nothing is wrong; the last removes everything, once it has the right that it names. */
const WALK = [
  'doctor',
  'plan',
  'plan --sql',
  'migrate',
  'migrate --status',
  'setup-triggers',
  'initial --create-tables',
  'setup-triggers --drop',
  'database --once',
  'database --check-pending',
  'status',
  'status --problems',
  'verify-counts',
  'sequences',
  'sequences --set',
  'show-errors',
  'retry-failed',
  'pause --table visit',
  'resume --table visit',
  'resync --table visit',
  'initial --resume',
  'cleanup --days 0',
  'cutover --dry-run',
  'cutover --set-read-only --actions',
  'cutover --abort',
  'uninstall --sql',
  'uninstall --yes',
]

test("the README's rights suffice for every command, from the first to the last", async () => {
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
  try {
    await servers.createSourceDatabase('clinic')
    await using source = await servers.sourceAdmin('clinic')
    await using target = await servers.targetAdmin()
    await source.query(SCHEMA)
    const blocks = sqlBlocks('README.md', 'Your own databases, in six steps')
    assert.deepEqual(
      blocks.map(({ side }) => side),
      ['source', 'target'],
    )
    for (const { side, text } of blocks)
      for (const statement of text.split(/;\s*/).filter((each) => each !== ''))
        await (side === 'target' ? target.query(statement) : source.query(statement))
    const account = { DB_USERNAME: 'sync', DB_PASSWORD: 'secret', PGSQL_USERNAME: 'sync', PGSQL_PASSWORD: 'secret' }
    const sides = servers.environment({ source: 'clinic', target: 'clinic' })
    const environment = { ...sides, ...account, SYNC_USE_QUEUE: 'false' }
    for (const command of WALK) {
      if (command === 'database --once') await source.query("UPDATE patient SET name = 'changed' WHERE id = 1")
      if (command === 'uninstall --yes') await grantWhatItNames(source, environment)
      const { code, out, err } = await cli(command.split(' '), environment)
      assert.equal(code, 0, `${command}: ${out}${err}`)
      if (command === 'doctor') assert.doesNotMatch(out, /lacks/)
    }
    await source.query("INSERT INTO patient (name) VALUES ('after us')")
  } finally {
    await servers.close()
  }
})

/** Removal needs a right that nothing else needs. */
async function grantWhatItNames(source: Connection, environment: Record<string, string>): Promise<void> {
  const { code, err } = await cli(['uninstall', '--yes'], environment)
  assert.equal(code, 1, err)
  const [, grants = ''] = /try: (GRANT DROP .*;)$/m.exec(err) ?? []
  for (const grant of grants.split(/;\s*/).filter((each) => each !== '')) await source.query(grant)
}
