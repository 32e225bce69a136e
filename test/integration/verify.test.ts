import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advanceWalks, loadModel, repair, TableWalk, verify, type VerifyReport, verifySince } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { createInstallation, settle } from '../support/installation.js'

const SCHEMA = `
  CREATE TABLE patients (id INT PRIMARY KEY, name VARCHAR(40), born DATETIME(6), weight DECIMAL(6,2), ratio DOUBLE, photo BLOB,
    facts JSON, blood ENUM('a','b'), marks SET('x','y'), bits BIT(5)) ENGINE=InnoDB;
  CREATE TABLE labels (code VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE levels (f FLOAT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE bare (a INT, b VARCHAR(9)) ENGINE=InnoDB;
  INSERT INTO patients SELECT seq, CONCAT('name ', seq), '2020-01-02 03:04:05.123456', seq / 7, seq / 3, UNHEX(SHA2(seq, 256)), JSON_OBJECT('n', seq, 'deep', JSON_ARRAY(1, 1.50)), 'a', 'x,y', b'10101'
    FROM (WITH RECURSIVE s AS (SELECT 1 AS seq UNION ALL SELECT seq + 1 FROM s WHERE seq < 400) SELECT seq FROM s) n;
  INSERT INTO labels VALUES ('Alpha', 1), ('beta', 2), ('gamma ', 3);
  INSERT INTO levels VALUES (0.1, 1), (3.4e30, 2), (-2.5, 3);
  INSERT INTO bare VALUES (1, 'x'), (1, 'x'), (2, NULL)`

/** Each corrupts the target's row of one key. */
const SPOILT: readonly (readonly [
  statement: string,
  table: string,
  key: string,
  kind: string,
  columns: readonly string[],
])[] = [
  ["UPDATE patients SET name = name || ' ' WHERE id = 1", 'patients', '1', 'different', ['name']],
  ['UPDATE patients SET name = NULL WHERE id = 2', 'patients', '2', 'different', ['name']],
  ['UPDATE patients SET name = upper(name) WHERE id = 3', 'patients', '3', 'different', ['name']],
  ["UPDATE patients SET born = born + interval '1 microsecond' WHERE id = 4", 'patients', '4', 'different', ['born']],
  ['UPDATE patients SET weight = weight + 0.01 WHERE id = 5', 'patients', '5', 'different', ['weight']],
  ['UPDATE patients SET ratio = ratio + 1e-12 WHERE id = 6', 'patients', '6', 'different', ['ratio']],
  [
    'UPDATE patients SET photo = set_byte(photo, 3, get_byte(photo, 3) # 1) WHERE id = 7',
    'patients',
    '7',
    'different',
    ['photo'],
  ],
  [
    `UPDATE patients SET facts = replace(facts::text, '1.5', '1.50000001')::jsonb WHERE id = 8`,
    'patients',
    '8',
    'different',
    ['facts'],
  ],
  ['DELETE FROM patients WHERE id = 9', 'patients', '9', 'missing', []],
  ['UPDATE patients SET id = 90009 WHERE id = 10', 'patients', '10', 'missing', []],
  ["UPDATE labels SET code = 'ALPHA' WHERE code = 'Alpha'", 'labels', 'Alpha', 'missing', []],
  ['UPDATE levels SET v = 9 WHERE v = 3', 'levels', '-2.5', 'different', ['v']],
]

const servers = await sharedServers()
const sequence = (rows: number): string =>
  `SELECT a.n * 1000 + b.n AS seq FROM (WITH RECURSIVE s AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 999) SELECT n FROM s) b, (WITH RECURSIVE s AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 99) SELECT n FROM s) a WHERE a.n * 1000 + b.n < ${rows}`
const hex = (text: string): string => Buffer.from(text).toString('hex').toUpperCase()

function keysOf(report: VerifyReport): string[] {
  return report.tables
    .flatMap(({ table, keys }) =>
      keys.map(({ key, kind, columns }) => `${table} ${key.join()} ${kind} ${columns.join()}`),
    )
    .sort()
}

test('verification names each spoilt row by key, kind and columns', async () => {
  await using installation = await createInstallation(servers, 'verified', { schema: SCHEMA, copied: true })
  const whole = await verify(installation.context, { tables: [] })
  assert.deepEqual(keysOf(whole), [])
  assert.equal(whole.equal, true)
  assert.deepEqual(
    whole.tables.map(({ table, rows }) => `${table} ${rows}`),
    ['bare 3', 'labels 3', 'levels 3', 'patients 400'],
  )
  for (const [statement] of SPOILT) await installation.reader.query(statement)
  await installation.reader.query("INSERT INTO bare VALUES (7, 'z'); DELETE FROM bare WHERE a = 2")
  const untouched = await installation.rows('SELECT id, xmin FROM patients WHERE id BETWEEN 100 AND 400 ORDER BY id')
  const report = await verify(installation.context, { tables: [] })
  assert.equal(report.equal, false)
  const expected = [
    ...SPOILT.map(([, table, key, kind, columns]) => `${table} ${key} ${kind} ${columns.join()}`),
    'labels ALPHA surplus ',
    'patients 90009 surplus ',
  ]
  assert.deepEqual(keysOf(report), expected.sort())
  const bare = report.tables.find(({ table }) => table === 'bare')
  assert.deepEqual([bare?.missing, bare?.surplus], [1, 1])
  const { left } = await repair(installation.context, { tables: [] })
  assert.deepEqual(keysOf(left), [])
  assert.equal(left.equal, true)
  assert.deepEqual(
    await installation.rows('SELECT id, xmin FROM patients WHERE id BETWEEN 100 AND 400 ORDER BY id'),
    untouched,
  )
  assert.equal((await verify(installation.context, { tables: [] })).equal, true)
})

test('a walk that is stored and taken up again after each moment finds the same', async () => {
  await using installation = await createInstallation(servers, 'verified_resumed', { schema: SCHEMA, copied: true })
  await installation.reader.query(
    "UPDATE labels SET code = 'ALPHA' WHERE code = 'Alpha'; DELETE FROM labels WHERE code = 'beta'",
  )
  let model = await loadModel(installation.context)
  let stored = JSON.stringify(new TableWalk('labels').state)
  let moments = 0
  for (let isDone = false; !isDone; moments++) {
    const walk = new TableWalk(JSON.parse(stored))
    const advance = await advanceWalks(installation.context, model, [walk], { ms: () => 0 })
    model = advance.model
    isDone = walk.isDone
    stored = JSON.stringify(walk.state)
  }
  const { rows, findings, moments: taken } = new TableWalk(JSON.parse(stored)).state
  assert.deepEqual([rows, findings.counts], [3, { missing: 2, surplus: 1, different: 0 }])
  assert.deepEqual(findings.differences.map(({ key, kind }) => `${kind} ${key}`).sort(), [
    `missing ${hex('Alpha')}`,
    `missing ${hex('beta')}`,
    `surplus ${hex('ALPHA')}`,
  ])
  assert.ok(moments > 1, 'a moment that may take no time takes one step')
  assert.equal(taken, moments)
})

test('a sample, what drains carried since a time, and both values are shown on request', async () => {
  await using installation = await createInstallation(servers, 'verified_part', {
    schema: `CREATE TABLE rows_of (id INT PRIMARY KEY, v VARCHAR(9)) ENGINE=InnoDB; CREATE TABLE words (k VARCHAR(20) PRIMARY KEY, v INT) ENGINE=InnoDB; CREATE TABLE bare (a INT) ENGINE=InnoDB;
      INSERT INTO rows_of SELECT seq, 'v' FROM (${sequence(12_000)}) n; INSERT INTO words SELECT CONCAT('k', seq), 1 FROM (${sequence(300)}) n; INSERT INTO bare VALUES (1)`,
    copied: true,
  })
  const { context, app, reader } = installation
  const began = new Date().toISOString()
  await app.query("UPDATE rows_of SET v = 'w' WHERE id IN (1, 2); UPDATE bare SET a = 2")
  await settle(installation)
  await reader.query("UPDATE rows_of SET v = 'wrong' WHERE id IN (2, 3)")
  const late = await verifySince(context, { tables: [], since: began, values: true })
  assert.deepEqual(keysOf(late), ['rows_of 2 different v'])
  assert.deepEqual(
    late.tables.map(({ table, rows }) => `${table} ${rows}`),
    ['bare 1', 'rows_of 2', 'words 0'],
  )
  assert.deepEqual(
    late.tables.flatMap(({ keys }) => keys.map(({ values }) => values)),
    [[{ column: 'v', source: 'w', target: 'wrong' }]],
  )
  assert.deepEqual(late.since, { asked: began, from: began })
  await reader.query("UPDATE rows_of SET v = 'wrong'")
  const sampled = await verify(context, { tables: [], sample: 0.2 })
  const { rows = 0, different } = sampled.tables.find(({ table }) => table === 'rows_of') ?? {}
  assert.ok(rows >= 1_000 && rows <= 6_000, `${rows} of 12,000 rows`)
  assert.equal(different, rows)
  assert.equal(sampled.tables.find(({ table }) => table === 'words')?.equal, true)
  const shares: number[] = []
  await verify(context, { tables: [], onProgress: ({ done }) => shares.push(done) })
  assert.equal(shares.at(-1), 1)
  assert.equal((await repair(context, { tables: [] })).left.equal, true, 'more rows than one round takes')
})

test('rows that change while they are verified are never reported', async () => {
  await using installation = await createInstallation(servers, 'verified_live', { schema: SCHEMA, copied: true })
  const writers = await servers.sourceAdmin('verified_live')
  let isOver = false
  try {
    const write = async (): Promise<void> => {
      for (let n = 0; !isOver; n++) {
        const id = 1 + ((n * 37) % 400)
        await writers.query(
          `UPDATE patients SET weight = weight + 0.5 WHERE id = ${id}; DELETE FROM patients WHERE id = ${1 + ((n * 11) % 400)};
           INSERT IGNORE INTO patients (id, name) VALUES (${1 + ((n * 11) % 400)}, 'again'); UPDATE bare SET b = '${n % 9}' WHERE a = 1 LIMIT 1;
           UPDATE labels SET code = IF(code = 'BETA', 'beta', 'BETA') WHERE code = 'beta'`,
        )
      }
    }
    const writing = write()
    for (let pass = 0; pass < 15; pass++) {
      const report = await verify(installation.context, { tables: ['patients', 'labels', 'levels'] })
      assert.deepEqual(keysOf(report), [], `pass ${pass}`)
    }
    isOver = true
    await writing
    await settle(installation)
    assert.equal((await verify(installation.context, { tables: [] })).equal, true)
  } finally {
    isOver = true
    await writers.end()
  }
})
