import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { loadModel, setSequences, type TableSequence } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { copyAll, createInstallation, settle } from '../support/installation.js'
import { run } from '../support/cli.js'

const servers = await sharedServers()

const ID = 'INT AUTO_INCREMENT PRIMARY KEY'
const TABLES = `
  CREATE TABLE plain (id ${ID}, v INT) ENGINE=InnoDB; INSERT INTO plain (v) VALUES (1), (2), (3);
  CREATE TABLE Never_Used (Nr ${ID}, v INT) ENGINE=InnoDB;
  CREATE TABLE negative (id ${ID}, v INT) ENGINE=InnoDB; INSERT INTO negative VALUES (-7, 1), (-3, 2);
  CREATE TABLE zero (id ${ID}, v INT) ENGINE=InnoDB; SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; INSERT INTO zero VALUES (0, 1);
  CREATE TABLE emptied (id ${ID}, v INT) ENGINE=InnoDB; INSERT INTO emptied (v) VALUES (1), (2), (3);
  CREATE TABLE deleted (id ${ID}, v INT) ENGINE=InnoDB; INSERT INTO deleted (v) VALUES (1), (2), (3); DELETE FROM deleted;
  CREATE TABLE far (id ${ID}, v INT) ENGINE=InnoDB AUTO_INCREMENT = 1000000; INSERT INTO far VALUES (5, 1);
  CREATE TABLE raised (id ${ID}, v INT) ENGINE=InnoDB; INSERT INTO raised (v) VALUES (1), (2); UPDATE raised SET id = 500 WHERE id = 2;
  CREATE TABLE big (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO big VALUES (9007199254740993, 1);
  CREATE TABLE vast (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO vast VALUES (18446744073709550000, 1);
  CREATE TABLE full (id ${ID}, v INT) ENGINE=InnoDB; INSERT INTO full VALUES (2147483647, 1);
  CREATE TABLE tiny (id TINYINT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO tiny VALUES (126, 1);
  CREATE TABLE grouped (g INT, id INT AUTO_INCREMENT, v INT, PRIMARY KEY (g, id)) ENGINE=MyISAM; INSERT INTO grouped (g, v) VALUES (1, 1), (2, 1), (2, 2);
  CREATE TABLE beside (k VARCHAR(9) PRIMARY KEY, n INT NOT NULL AUTO_INCREMENT, v INT, UNIQUE (n)) ENGINE=InnoDB; INSERT INTO beside (k, v) VALUES ('a', 1), ('b', 2);
  SET auto_increment_increment = 10, auto_increment_offset = 5;
  CREATE TABLE stepped (id ${ID}, v INT) ENGINE=InnoDB; INSERT INTO stepped (v) VALUES (1), (2);
  SET auto_increment_increment = 1, auto_increment_offset = 1;
  CREATE TABLE bare (k INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO bare VALUES (1)`

/** The number that the application's next INSERT gets in the target; null: it gets none. */
const EXPECTED: Readonly<Record<string, string | null>> = {
  plain: '4',
  Never_Used: '1',
  negative: '1',
  zero: '1',
  emptied: '1',
  deleted: '4',
  far: '1000000',
  raised: '501',
  big: '9007199254740994',
  vast: null,
  full: null,
  tiny: '127',
  grouped: '3',
  beside: '3',
}

/** Tables that the user has made. */
const OWN = ['own_a', 'own_b', 'own_serial', 'own_none', 'own_down']
const OWN_SOURCE = OWN.map(
  (table) => `CREATE TABLE ${table} (id ${ID}, v INT) ENGINE=InnoDB; INSERT INTO ${table} VALUES (20, 1)`,
).join(';')
const OWN_TARGET = `
  CREATE SEQUENCE shared MINVALUE 5; CREATE SEQUENCE descending INCREMENT -1;
  CREATE TABLE own_a (id integer PRIMARY KEY DEFAULT nextval('shared'), v integer);
  CREATE TABLE own_b (id integer PRIMARY KEY DEFAULT nextval('shared'), v integer);
  CREATE TABLE own_serial (id serial PRIMARY KEY, v integer);
  CREATE TABLE own_none (id integer PRIMARY KEY, v integer);
  CREATE TABLE own_down (id integer PRIMARY KEY DEFAULT nextval('descending'), v integer)`

const NAME = 'counted'
const installation = await createInstallation(servers, NAME, { schema: `${TABLES}; ${OWN_SOURCE}` })
after(() => installation[Symbol.asyncDispose]())
const { app, reader, context } = installation

async function setAll({ dryRun } = { dryRun: false }): Promise<ReadonlyMap<string, TableSequence>> {
  const report = await setSequences(context, await loadModel(context), { tables: [], dryRun })
  assert.deepEqual(report.withoutCounter, ['bare'])
  return new Map(report.tables.map((each) => [each.table, each]))
}

before(async () => {
  await app.query('INSERT INTO own_a VALUES (300, 1)')
  await reader.query(OWN_TARGET)
  await copyAll(context)
  await app.query('TRUNCATE emptied')
  await settle(installation)
  await settle(installation)
})

test('sequences says what --set would do, does it, and reports what gets no key', async () => {
  const looked = await run(servers, NAME, ['sequences', '--table', 'plain', '--table', 'bare'])
  assert.equal(looked.code, 0, looked.stderr)
  assert.match(
    looked.stdout,
    /^1 of 1 sequence not at the counter of the source: mylab-sync sequences --set\.\nwithout AUTO_INCREMENT: bare\n/,
  )
  const set = await run(servers, NAME, ['sequences', '--set', '--json', '--table', 'plain', '--table', 'full'])
  assert.equal(set.code, 5, set.stderr)
  const { tables, ...rest } = JSON.parse(set.stdout) as { tables: Record<string, unknown>[] }
  assert.deepEqual(rest, { version: 1, set: true, complete: false, withoutCounter: [] })
  const plain = { table: 'plain', column: 'id', sequence: 'public.plain_id_seq', before: '1', next: '4' }
  assert.deepEqual(
    tables.find(({ table }) => table === 'plain'),
    { ...plain, problem: null, remedy: null },
  )
})

test('keys that the target gives after sequences --set collide with none of the source', async () => {
  const planned = await setAll({ dryRun: true })
  assert.deepEqual(await setAll({ dryRun: true }), planned)
  const set = await setAll()
  for (const [table, next] of Object.entries(EXPECTED)) {
    const { column = '' } = set.get(table) ?? {}
    const more = { beside: ['k, ', "'new', "], grouped: ['g, ', '2, '] }[table] ?? ['', '']
    const insert = `INSERT INTO "${table}" (${more[0]}v) VALUES (${more[1]}9) RETURNING "${column}"`
    if (next === null) {
      assert.match(set.get(table)?.problem ?? '', /higher than its sequence can give/)
      await assert.rejects(installation.rows(insert), /nextval: reached maximum value/)
    } else assert.deepEqual(await installation.rows(insert), [[next]], table)
  }
  // MariaDB's counter is at the next number already, MySQL's at the next of the steps.
  assert.ok(Number(set.get('stepped')?.next) > 15)
  // What the target has given meanwhile is not given again.
  assert.equal((await setAll()).get('plain')?.next, '5')
})

test("sequences of the user's own tables are set too; shared ones are never set back", async () => {
  const set = await setAll()
  assert.deepEqual(
    ['own_a', 'own_b', 'own_serial'].map((table) => set.get(table)?.next),
    ['301', '301', '21'],
  )
  for (const table of ['own_none', 'own_down']) {
    const { problem, remedy } = set.get(table) ?? {}
    assert.match(problem ?? '', /no ascending sequence/)
    await reader.query(remedy ?? '')
  }
  const again = await setAll()
  for (const table of OWN) {
    assert.equal(again.get(table)?.problem, null, table)
    await reader.query(`INSERT INTO ${table} (v) VALUES (9)`)
  }
})
