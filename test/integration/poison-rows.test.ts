import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drainAll, initial } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { createInstallation } from '../support/installation.js'

const NAME = 'poison'
/** More than a COPY's buffers hold, so that the refusal comes while the source is still read. */
const ROWS = 60_000

const servers = await sharedServers()

test('a first copy quarantines each bad row, suspends a broken CHECK, copies the rest', async () => {
  await using installation = await createInstallation(servers, NAME)
  const { app, reader, context } = installation
  await app.query(`CREATE TABLE a (id INT PRIMARY KEY, j JSON, t VARCHAR(300), n INT, CONSTRAINT pos CHECK (n > 0)) ENGINE=InnoDB;
      INSERT INTO a SELECT seq, '{"a":1}', REPEAT('x', 200), 1 FROM seq_1_to_${ROWS};
      UPDATE a SET j = '{"a":1e200000}' WHERE id IN (5, 50000);
      SET check_constraint_checks = 0; UPDATE a SET n = -1 WHERE id = 77`)
  const request = { tables: [], createTables: true, resume: false, triggers: true, force: false, takeOver: false }
  await initial(context, request, () => {}, new AbortController().signal)
  const { rows } = await reader.query('SELECT count(*)::int AS n, min(n) AS least FROM a')
  assert.deepEqual(rows, [{ n: ROWS - 2, least: -1 }])
  const parked = await reader.query(
    "SELECT row_key, error_code FROM mylab_sync.sync_parked WHERE reason = 'quarantined' ORDER BY 1",
  )
  assert.deepEqual(parked.rows, [
    { row_key: '5', error_code: '22003' },
    { row_key: '50000', error_code: '22003' },
  ])
  const constraints = await reader.query('SELECT name, state FROM mylab_sync.sync_constraint')
  assert.deepEqual(constraints.rows, [{ name: 'a_pos', state: 'suspended' }])

  await app.query(`UPDATE a SET j = '{"a":2}' WHERE id IN (5, 50000)`)
  await drainAll(context, new AbortController().signal)
  const repaired = await reader.query(
    'SELECT count(*)::int AS n, (SELECT count(*)::int FROM mylab_sync.sync_parked) AS parked FROM a',
  )
  assert.deepEqual(repaired.rows, [{ n: ROWS, parked: 0 }])
})
