import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retryFailed, status } from '@mylab-sync/engine'
import { random, type Random, sharedServers } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import { copyAll, createInstallation, type Installation, settle } from '../support/installation.js'

const SEED = Number(process.env['POISON_SEED'] ?? Math.floor(Math.random() * 1_000_000))
/** JSON that the source accepts and PostgreSQL's numeric cannot hold. */
const POISON = '{"a":1e200000}'
const ROWS = 400
const POISONED = 100
const ROUNDS = 12
const STATEMENTS = 60

/** Parents by key and by another unique column, children, and holders of UNIQUE values; each row may have poison in `j`. */
const TABLES = ['p', 'c', 'u'] as const
const SCHEMA = `
  CREATE TABLE p (id INT PRIMARY KEY, code INT NOT NULL UNIQUE, v INT, j JSON) ENGINE=InnoDB;
  CREATE TABLE c (id INT PRIMARY KEY, pid INT, code INT, j JSON, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE, FOREIGN KEY (code) REFERENCES p (code) ON DELETE SET NULL ON UPDATE CASCADE) ENGINE=InnoDB;
  CREATE TABLE u (id INT PRIMARY KEY, a INT UNIQUE, b INT, j JSON, UNIQUE KEY (b)) ENGINE=InnoDB;
  INSERT INTO p SELECT seq, seq + 10000, 0, '{}' FROM seq_1_to_${ROWS};
  INSERT INTO c SELECT seq, seq, seq + 10000, '{}' FROM seq_1_to_${ROWS};
  INSERT INTO u SELECT seq, seq, seq, '{}' FROM seq_1_to_${ROWS}`

const servers = await sharedServers()

function statement(r: Random): string {
  const id = r.int(1, ROWS)
  const other = r.int(1, ROWS)
  return r.pick([
    `UPDATE p SET v = v + 1 WHERE id = ${id}`,
    `UPDATE IGNORE p SET code = ${r.int(10001, 10000 + 2 * ROWS)} WHERE id = ${id}`,
    `UPDATE IGNORE p SET id = ${r.int(1, 2 * ROWS)} WHERE id = ${id}`,
    `DELETE FROM p WHERE id = ${id}`,
    `INSERT IGNORE INTO p VALUES (${id}, ${r.int(10001, 10000 + 2 * ROWS)}, 0, '{}')`,
    `UPDATE IGNORE c SET pid = ${other} WHERE id = ${id}`,
    `INSERT IGNORE INTO c VALUES (${id}, ${other}, NULL, '{}')`,
    `UPDATE u SET a = NULL WHERE id = ${id}`,
    `UPDATE IGNORE u SET a = ${other}, b = ${id + ROWS} WHERE id = ${id}`,
    `REPLACE INTO u VALUES (${id}, ${other}, ${id}, '{}')`,
  ])
}

const poison = (table: string, id: number): string => `UPDATE ${table} SET j = '${POISON}' WHERE id = ${id}`

/** Asserts that rows not quarantined are equal on both sides; the target holds nothing else but stale images. */
async function assertHealthy(installation: Installation, when: string): Promise<number> {
  let quarantined = 0
  for (const table of TABLES) {
    const query = `SELECT * FROM ${table} ORDER BY id`
    const parked = `SELECT row_key FROM mylab_sync.sync_parked WHERE table_name = '${table}' AND reason = 'quarantined'`
    const bad = new Set((await installation.rows(parked)).map(([key]) => key))
    quarantined += bad.size
    const healthy = (rows: (string | null)[][]): (string | null)[][] => rows.filter(([id]) => !bad.has(id ?? null))
    assert.deepEqual(
      healthy(await installation.rows(query)),
      healthy(await textRows(installation.app, query)),
      `${when}: ${table}`,
    )
    const held = (await textRows(installation.app, `SELECT id FROM ${table} WHERE j = '${POISON}'`)).map(([id]) => id)
    assert.deepEqual([...bad].sort(compare), held.sort(compare), `${when}: quarantined of ${table}`)
  }
  return quarantined
}

const compare = (a: string | null | undefined, b: string | null | undefined): number => Number(a) - Number(b)

test('hundreds of poison rows, in copy and live, block only themselves until repaired', async (t) => {
  t.diagnostic(`seed ${SEED}`)
  const r = random(SEED)
  await using installation = await createInstallation(servers, 'poison', { batchRows: 90, schema: SCHEMA })
  for (const table of TABLES)
    for (let n = 0; n < POISONED / 2; n++) await installation.app.query(poison(table, r.int(1, ROWS)))
  await copyAll(installation.context)
  await assertHealthy(installation, 'after the copy')
  let most = 0
  for (let round = 1; round <= ROUNDS; round++) {
    for (let n = 0; n < POISONED / ROUNDS; n++) await installation.app.query(poison(r.pick(TABLES), r.int(1, ROWS)))
    for (let n = 0; n < STATEMENTS; n++) await installation.app.query(statement(r))
    await settle(installation)
    most = Math.max(most, await assertHealthy(installation, `round ${round}`))
  }
  assert.ok(most > POISONED, `${most} rows were quarantined at once`)
  for (const table of TABLES) await installation.app.query(`UPDATE ${table} SET j = '{}' WHERE j = '${POISON}'`)
  await settle(installation)
  const { left } = await retryFailed(installation.context, [])
  assert.equal(left, 0)
  assert.equal(await assertHealthy(installation, 'repaired'), 0)
  await settle(installation)
  assert.deepEqual((await status(installation.context)).problems, [])
  assert.deepEqual(await textRows(installation.app, 'SELECT COUNT(*) FROM sync_audit_log WHERE synced = 0'), [['0']])
})
