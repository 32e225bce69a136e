import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { listErrors } from '@mylab-sync/engine'
import { ServerSet } from '@mylab-sync/testkit'
import { drainNow, type Installation, settle, states, withCopied } from '../support/installation.js'

let servers: ServerSet
before(async () => {
  servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
})
after(() => servers.close())

const refusals = async ({ context }: Installation): Promise<(readonly [string, string])[]> =>
  (await listErrors(context, { tables: [], limit: 10, history: false })).map(
    ({ table, code }) => [table, code] as const,
  )

test('a number whose scale rounds what is read is a key by what is stored', async () => {
  const schema = `CREATE TABLE d (k DOUBLE(10, 2) PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO d VALUES (-0.01, 1), (1.005, 2), (99999999.99, 3), (0.07, 4);
    CREATE TABLE f (k FLOAT(9, 2) PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO f VALUES (-0.01, 1), (1.1, 2), (1234567.89, 3)`
  await withCopied(servers, { name: 'k_scale', schema }, async (at) => {
    assert.deepEqual(await at.rows('SELECT v FROM d ORDER BY v'), [['1'], ['2'], ['3'], ['4']])
    await at.app.query(
      'UPDATE d SET k = k + 1 WHERE v = 1; DELETE FROM d WHERE v > 1; UPDATE f SET v = v + 10; DELETE FROM f WHERE v > 11',
    )
    await drainNow(at)
    assert.deepEqual(await at.rows('SELECT k, v FROM d'), [['0.99', '1']])
    assert.deepEqual(await at.rows('SELECT v FROM f'), [['11']])
    assert.deepEqual(await refusals(at), [])
  })
})

test('halves of surrogate pairs are counted in a text, and refuse the row in a key', async (context) => {
  if (servers.isMysql) {
    context.skip('MySQL stores none')
    return
  }
  const schema = `CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(3)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4; INSERT INTO t VALUES (1, X'61EDA08062');
    CREATE TABLE k (k VARCHAR(9) PRIMARY KEY) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin; INSERT INTO k VALUES (X'EDA080'), ('a')`
  await withCopied(servers, { name: 'k_halves', schema }, async (at) => {
    await at.app.query("INSERT INTO t VALUES (2, X'EDB080'); INSERT INTO k VALUES (X'EDB080')")
    await drainNow(at)
    assert.deepEqual(await at.rows('SELECT v FROM t ORDER BY id'), [['a\ufffdb'], ['\ufffd']])
    assert.deepEqual(await at.rows('SELECT k FROM k'), [['a']])
    assert.deepEqual(await at.rows('SELECT table_name, column_name, rule, rows FROM mylab_sync.sync_sanitised'), [['t', 'v', 'invalid-text', '2']]) // biome-ignore format: row
    assert.deepEqual(await refusals(at), [['k', 'refused-value'], ['k', 'refused-value']]) // biome-ignore format: rows
  })
})

test('a member of an ENUM that is longer than an index takes is the trouble of its own row', async () => {
  const schema = `CREATE TABLE e (k ENUM('a', '${'ü'.repeat(255)}', '${'x'.repeat(250)}') PRIMARY KEY, s SET('a', '${'y'.repeat(250)}')) ENGINE=InnoDB;
    CREATE TABLE s (k SET(${Array.from({ length: 14 }, (_, at) => `'${at}${'ü'.repeat(240)}'`).join()}) PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE good (id INT PRIMARY KEY) ENGINE=InnoDB;
    INSERT INTO e VALUES (1, 1), (2, 2), (3, 3); INSERT INTO s VALUES (1), (16383); INSERT INTO good VALUES (1)`
  await withCopied(servers, { name: 'k_long', schema }, async (at) => {
    await settle(at)
    assert.deepEqual(await states(at), { e: 'live', good: 'live', s: 'live' })
    assert.deepEqual(await at.rows('SELECT count(*) FROM e'), [['3']])
    assert.deepEqual(await at.rows('SELECT count(*) FROM s'), [['1']])
    assert.deepEqual(await refusals(at), [['s', 'key-too-long']])
  })
})

test('a row that was refused since another one has its text takes nothing along when it goes', async () => {
  const pairs = { armscii8: ['28', 'A5'], cp932: ['81E0', '8790'], sjis: ['81E0', '8790'], gbk: ['A1A1', 'A3A0'] }
  const schema = Object.entries(pairs).map(
    ([set, [kept, refused]]) =>
      `CREATE TABLE ${set} (k VARCHAR(9) CHARACTER SET ${set} COLLATE ${set}_bin PRIMARY KEY) ENGINE=InnoDB; INSERT INTO ${set} VALUES (X'${kept}'), (X'${refused}')`,
  )
  await withCopied(servers, { name: 'k_pairs', schema: schema.join('; ') }, async (at) => {
    for (const [set, [, refused]] of Object.entries(pairs))
      await at.app.query(`DELETE FROM ${set} WHERE HEX(k) = '${refused}'`)
    await drainNow(at)
    for (const set of Object.keys(pairs)) assert.deepEqual(await at.rows(`SELECT count(*) FROM ${set}`), [['1']], set)
  })
})

test('a parent whose key cannot be carried goes with its children, and stops no drain', async () => {
  const schema = `CREATE TABLE p (k VARCHAR(9) COLLATE utf8mb4_bin PRIMARY KEY) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
    CREATE TABLE c (id INT PRIMARY KEY, k VARCHAR(9) COLLATE utf8mb4_bin, FOREIGN KEY (k) REFERENCES p (k) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
    INSERT INTO p VALUES ('a'), ('b'); INSERT INTO c VALUES (1, 'a'), (2, 'b')`
  await withCopied(servers, { name: 'k_parent', schema }, async (at) => {
    await at.app.query("UPDATE p SET k = 'a\\0' WHERE k = 'a'; INSERT INTO p VALUES ('c')")
    await drainNow(at)
    assert.deepEqual(await at.rows('SELECT k FROM p ORDER BY 1'), [['b'], ['c']])
    await at.app.query("DELETE FROM p WHERE k = 'a\\0'; DELETE FROM p WHERE k = 'c'")
    await drainNow(at)
    assert.deepEqual(await at.rows('SELECT k FROM p ORDER BY 1'), [['b']])
    assert.deepEqual(await at.rows('SELECT id, k FROM c'), [['2', 'b']])
    assert.deepEqual(await refusals(at), [])
  })
})
