import assert from 'node:assert/strict'
import { test } from 'node:test'
import { abortCutover, cutOver, drainAll, listObstacles, status, verify } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { createInstallation, settle } from '../support/installation.js'

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
  await reader.query("INSERT INTO patients (email, name) VALUES ('d@x', 'd')")
  await assert.rejects(reader.query("INSERT INTO patients (email, name) VALUES ('d@x', 'd')"), { code: '23505' })
  await reader.query(
    "INSERT INTO patients (email, name) VALUES ('d@x', 'e') ON CONFLICT (email) DO UPDATE SET name = excluded.name",
  )
  await reader.query('DELETE FROM patients WHERE id = 1')
  assert.deepEqual(await installation.rows('SELECT id FROM visits ORDER BY id'), [['3'], ['4']])
  const refused = await abortCutover(context, { discardWrites: false })
  assert.equal(refused.kind, 'refused')
  const aborted = await abortCutover(context, { discardWrites: true })
  assert.equal(aborted.kind, 'taken-back')
  await app.query("UPDATE patients SET name = 'z' WHERE id = 1")
  await settle(installation)
  assert.equal((await verify(context, { tables: [] })).equal, true)
})
