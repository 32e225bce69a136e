import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listErrors } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { createInstallation, drainNow, type Installation, settle, states } from '../support/installation.js'

const servers = await sharedServers()

const refusals = async ({ context }: Installation): Promise<(readonly [string, string])[]> =>
  (await listErrors(context, { tables: [], limit: 10, history: false })).map(
    ({ table, code }) => [table, code] as const,
  )

test('a number with shown digits is a key by what is shown, whatever is stored', async () => {
  const schema = `CREATE TABLE d (k DOUBLE(10, 2) PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO d VALUES (-0.01, 1), (1.005, 2), (99999999.99, 3), (0.07, 4);
    CREATE TABLE f (k FLOAT(9, 2) PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO f VALUES (-0.01, 1), (1.1, 2), (1234567.625, 3);
    CREATE TABLE a (k DOUBLE, v INT, PRIMARY KEY (k, v)) ENGINE=InnoDB; INSERT INTO a VALUES (-0.1, 1), (0.123, 2), (1.239, 3); ALTER TABLE a MODIFY k DOUBLE(8, 2)`
  await using installation = await createInstallation(servers, 'k_scale', { schema, copied: true })
  assert.deepEqual(await installation.rows('SELECT k FROM d ORDER BY v'), [['-0.01'], ['1'], ['99999999.99'], ['0.07']])
  assert.deepEqual(await installation.rows('SELECT k FROM f ORDER BY v'), [['-0.01'], ['1.1'], ['1.2345676e+06']])
  assert.deepEqual(await installation.rows('SELECT k FROM a ORDER BY v'), [['-0.1'], ['0.12'], ['1.24']])
  await installation.app.query(
    'UPDATE d SET k = k + 1 WHERE v = 1; DELETE FROM d WHERE v > 1; UPDATE f SET v = v + 10; DELETE FROM f WHERE v > 11; UPDATE a SET v = 10 * v; DELETE FROM a WHERE v = 20',
  )
  await drainNow(installation)
  assert.deepEqual(await installation.rows('SELECT k, v FROM d'), [['0.99', '1']])
  assert.deepEqual(await installation.rows('SELECT k, v FROM f'), [['-0.01', '11']])
  assert.deepEqual(await installation.rows('SELECT k, v FROM a ORDER BY v'), [['-0.1', '10'], ['1.24', '30']]) // biome-ignore format: rows
  assert.deepEqual(await refusals(installation), [])
})

test('two rows whose keys are one in the target break their table and no other', async () => {
  const schema =
    'CREATE TABLE a (k DOUBLE PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a VALUES (1, 1), (0.123, 2); CREATE TABLE b (id INT PRIMARY KEY) ENGINE=InnoDB'
  await using installation = await createInstallation(servers, 'k_twins', { schema, copied: true })
  await installation.app.query('INSERT INTO a VALUES (0.1234, 3); INSERT INTO b VALUES (1)')
  await installation.app.query('ALTER TABLE a MODIFY k DOUBLE(8, 2)')
  await settle(installation)
  await installation.app.query('INSERT INTO b VALUES (2)')
  await settle(installation)
  assert.deepEqual(await states(installation), { a: 'broken', b: 'live' })
  assert.deepEqual(await installation.rows('SELECT id FROM b ORDER BY id'), [['1'], ['2']])
})

test('FLOAT and DOUBLE keys are found at any value, and older logged ones are reread', async () => {
  const schema =
    'CREATE TABLE x (k DOUBLE PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO x VALUES (-1.7976931348623157e307, 1), (1.7976931348623157e308, 2), (4.9406564584124654e-324, 3)'
  await using installation = await createInstallation(servers, 'k_double', { schema, copied: true })
  await installation.app.query('UPDATE x SET v = v + 10; INSERT INTO x VALUES (-1.7976931348623157e308, 4)')
  await drainNow(installation)
  const all = [['-1.7976931348623157e+308', '4'], ['-1.7976931348623158e+307', '11'], ['5e-324', '13'], ['1.7976931348623157e+308', '12']] // biome-ignore format: rows
  assert.deepEqual(await installation.rows('SELECT k, v FROM x ORDER BY k'), all)
  await installation.app.query(
    "INSERT INTO sync_audit_log (table_name, operation, row_key, flags) VALUES ('x', 'UPDATE', '0.5', 7)",
  )
  await drainNow(installation)
  assert.deepEqual(await states(installation), { x: 'suspect' })
  await settle(installation)
  assert.deepEqual(await states(installation), { x: 'live' })
  assert.deepEqual(await installation.rows('SELECT k, v FROM x ORDER BY k'), all)
})

test('a zero date in a key and an acting foreign key is -infinity, not the first day', async () => {
  const schema = `SET sql_mode = ''; CREATE TABLE p (d DATE, n INT, PRIMARY KEY (d, n)) ENGINE=InnoDB; INSERT INTO p VALUES ('0000-00-00', 1), ('0001-01-01', 1);
    CREATE TABLE c (id INT PRIMARY KEY, d DATE, n INT, FOREIGN KEY (d, n) REFERENCES p (d, n) ON UPDATE CASCADE ON DELETE CASCADE) ENGINE=InnoDB; INSERT INTO c VALUES (1, '0000-00-00', 1), (2, '0001-01-01', 1), (3, NULL, 1);
    CREATE TABLE t (t TIMESTAMP DEFAULT '0000-00-00 00:00:00' PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO t VALUES ('0000-00-00 00:00:00', 1)`
  await using installation = await createInstallation(servers, 'k_zero', { schema, copied: true })
  assert.deepEqual(await installation.rows('SELECT d, n FROM p ORDER BY d'), [['-infinity', '1'], ['0001-01-01', '1']]) // biome-ignore format: rows
  assert.deepEqual(await installation.rows('SELECT id, d FROM c ORDER BY id'), [['1', '-infinity'], ['2', '0001-01-01'], ['3', null]]) // biome-ignore format: rows
  assert.deepEqual(await installation.rows("SELECT t = '1970-01-01 00:00:00+00' FROM t"), [['t']])
  await installation.app.query(
    "UPDATE p SET n = 2 WHERE d = '0000-00-00'; DELETE FROM p WHERE d = '0001-01-01'; UPDATE t SET v = 2",
  )
  await drainNow(installation)
  assert.deepEqual(await installation.rows('SELECT d, n FROM p'), [['-infinity', '2']])
  assert.deepEqual(await installation.rows('SELECT id, d, n FROM c ORDER BY id'), [['1', '-infinity', '2'], ['3', null, '1']]) // biome-ignore format: rows
  assert.deepEqual(await installation.rows('SELECT v FROM t'), [['2']])
  assert.deepEqual(await refusals(installation), [])
})

test('halves of surrogate pairs are counted in a text, and refuse the row in a key', async (context) => {
  if (servers.isMysql) {
    context.skip('MySQL stores none')
    return
  }
  const schema = `CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(3)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4; INSERT INTO t VALUES (1, X'61EDA08062');
    CREATE TABLE k (k VARCHAR(9) PRIMARY KEY) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin; INSERT INTO k VALUES (X'EDA080'), ('a')`
  await using installation = await createInstallation(servers, 'k_halves', { schema, copied: true })
  await installation.app.query("INSERT INTO t VALUES (2, X'EDB080'); INSERT INTO k VALUES (X'EDB080')")
  await drainNow(installation)
  assert.deepEqual(await installation.rows('SELECT v FROM t ORDER BY id'), [['a\ufffdb'], ['\ufffd']])
  assert.deepEqual(await installation.rows('SELECT k FROM k'), [['a']])
  assert.deepEqual(await installation.rows('SELECT table_name, column_name, rule, rows FROM mylab_sync.sync_sanitised'), [['t', 'v', 'invalid-text', '2']]) // biome-ignore format: row
  assert.deepEqual(await refusals(installation), [['k', 'refused-value'], ['k', 'refused-value']]) // biome-ignore format: rows
})

test('an ENUM or SET member longer than an index allows harms only its own row', async () => {
  const schema = `CREATE TABLE e (k ENUM('a', '${'ü'.repeat(255)}', '${'x'.repeat(250)}') PRIMARY KEY, s SET('a', '${'y'.repeat(250)}')) ENGINE=InnoDB;
    CREATE TABLE s (k SET(${Array.from({ length: 14 }, (_, at) => `'${at}${'ü'.repeat(240)}'`).join()}) PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE good (id INT PRIMARY KEY) ENGINE=InnoDB;
    INSERT INTO e VALUES (1, 1), (2, 2), (3, 3); INSERT INTO s VALUES (1), (16383); INSERT INTO good VALUES (1)`
  await using installation = await createInstallation(servers, 'k_long', { schema, copied: true })
  await settle(installation)
  assert.deepEqual(await states(installation), { e: 'live', good: 'live', s: 'live' })
  assert.deepEqual(await installation.rows('SELECT count(*) FROM e'), [['3']])
  assert.deepEqual(await installation.rows('SELECT count(*) FROM s'), [['1']])
  assert.deepEqual(await refusals(installation), [['s', 'key-too-long']])
})

test('deleting a row refused because another has its text deletes nothing else', async () => {
  const pairs = { armscii8: ['28', 'A5'], cp932: ['81E0', '8790'], sjis: ['81E0', '8790'], gbk: ['A1A1', 'A3A0'] }
  const schema = Object.entries(pairs).map(
    ([set, [kept, refused]]) =>
      `CREATE TABLE ${set} (k VARCHAR(9) CHARACTER SET ${set} COLLATE ${set}_bin PRIMARY KEY) ENGINE=InnoDB; INSERT INTO ${set} VALUES (X'${kept}'), (X'${refused}')`,
  )
  await using installation = await createInstallation(servers, 'k_pairs', { schema: schema.join('; '), copied: true })
  for (const [set, [, refused]] of Object.entries(pairs))
    await installation.app.query(`DELETE FROM ${set} WHERE HEX(k) = '${refused}'`)
  await drainNow(installation)
  for (const set of Object.keys(pairs))
    assert.deepEqual(await installation.rows(`SELECT count(*) FROM ${set}`), [['1']], set)
})

test('a parent whose key cannot be carried leaves with its children, stopping no drain', async () => {
  const schema = `CREATE TABLE p (k VARCHAR(9) COLLATE utf8mb4_bin PRIMARY KEY) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
    CREATE TABLE c (id INT PRIMARY KEY, k VARCHAR(9) COLLATE utf8mb4_bin, FOREIGN KEY (k) REFERENCES p (k) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
    INSERT INTO p VALUES ('a'), ('b'); INSERT INTO c VALUES (1, 'a'), (2, 'b')`
  await using installation = await createInstallation(servers, 'k_parent', { schema, copied: true })
  await installation.app.query("UPDATE p SET k = 'a\\0' WHERE k = 'a'; INSERT INTO p VALUES ('c')")
  await drainNow(installation)
  assert.deepEqual(await installation.rows('SELECT k FROM p ORDER BY 1'), [['b'], ['c']])
  await installation.app.query("DELETE FROM p WHERE k = 'a\\0'; DELETE FROM p WHERE k = 'c'")
  await drainNow(installation)
  assert.deepEqual(await installation.rows('SELECT k FROM p ORDER BY 1'), [['b']])
  assert.deepEqual(await installation.rows('SELECT id, k FROM c'), [['2', 'b']])
  assert.deepEqual(await refusals(installation), [])
})
