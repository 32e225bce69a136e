import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { doctor, drain, JobHandlers, loadModel, plan } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import {
  assertEqual,
  copyAll,
  createInstallation,
  drainNow,
  type Installation,
  NEVER_ABORTED,
  problemOf,
  settle,
  states,
} from '../support/installation.js'

const HEALTHY = `
  CREATE TABLE p (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE c (id INT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE lone (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO p VALUES (1, 1), (2, 2); INSERT INTO c VALUES (1, 1), (2, 2); INSERT INTO lone VALUES (1, 1), (2, 2)`
const CHANGES = 'INSERT INTO p VALUES (3, 3); DELETE FROM p WHERE id = 1; UPDATE lone SET v = v + 1'
const HEALTHY_TABLES = ['p', 'c', 'lone']
const LIVE = { c: 'live', lone: 'live', p: 'live' }

const servers = await sharedServers()

const healthy = (name: string): Promise<Installation> => createInstallation(servers, name, { schema: HEALTHY })

async function isMariaDb(installation: Installation): Promise<boolean> {
  return (await installation.source.catalog.read()).vendor === 'mariadb'
}

/** Simulates a disk that loses files: the server notices when it next opens the table. */
async function loseFiles(installation: Installation, database: string, table: string, ends: RegExp): Promise<void> {
  await installation.app.query('FLUSH TABLES')
  const [[row]] = (await installation.app.query('SELECT @@datadir AS datadir')) as unknown as [{ datadir: string }[]]
  const folder = join(row?.datadir ?? '', database)
  const files = (await readdir(folder)).filter((file) => file.startsWith(table) && ends.test(file))
  assert.notEqual(files.length, 0, `${table} has files`)
  for (const file of files) await rm(join(folder, file))
}

interface Bad {
  readonly what: string
  readonly create: string
  readonly spoil?: (installation: Installation, database: string) => Promise<void>
  readonly number: number
}

const BAD: readonly Bad[] = [
  {
    what: 'MERGE of none',
    create: 'CREATE TABLE bad (id INT NOT NULL) ENGINE=MERGE UNION=(nosuch)',
    number: 1168,
  },
  {
    what: 'no tablespace',
    create: 'CREATE TABLE bad (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO bad VALUES (1, 1)',
    spoil: async (at) => void (await at.app.query('ALTER TABLE bad DISCARD TABLESPACE')),
    number: 1814,
  },
  {
    what: 'no data file',
    create: 'CREATE TABLE bad (id INT PRIMARY KEY, v INT) ENGINE=MyISAM; INSERT INTO bad VALUES (1, 1)',
    spoil: (at, database) => loseFiles(at, database, 'bad', /\.MYD$/),
    number: 29,
  },
]

for (const [at, { what, create, spoil, number }] of BAD.entries())
  test(`refused before a first copy with the server's error, others live: ${what}`, async () => {
    const name = `bad_first_${at}`
    await using installation = await healthy(name)
    await installation.app.query(create)
    await spoil?.(installation, name)
    const planned = await plan(installation.context, [])
    assert.deepEqual(planned.tables.map(({ table }) => table).sort(), ['c', 'lone', 'p'])
    assert.match(
      planned.refused.map(({ table, reason }) => `${table} ${reason}`).join(),
      new RegExp(`^bad .*\\(${number}\\)`),
    )
    const { findings } = await doctor(installation.context)
    const [found] = findings.filter(({ code }) => code === 'table-refused')
    assert.match(found?.cause ?? '', new RegExp(`^bad cannot be carried: .*\\(${number}\\)`))
    const report = await copyAll(installation.context)
    assert.deepEqual(
      report.listed.map(({ table }) => table),
      ['bad'],
    )
    assert.deepEqual(await states(installation), { ...LIVE, bad: 'refused' })
    assert.match(
      await problemOf(installation, 'bad'),
      new RegExp(`\\(${number}\\).*; repair or restore it at the source`),
    )
    await installation.app.query(CHANGES)
    await settle(installation)
    await assertEqual(installation, HEALTHY_TABLES)
    await installation.app.query('DROP TABLE IF EXISTS bad; UPDATE lone SET v = v + 1')
    await settle(installation)
    await assertEqual(installation, HEALTHY_TABLES)
  })

for (const [at, { what, create, spoil, number }] of BAD.filter(({ spoil }) => spoil !== undefined).entries())
  test(`alone harmed while live, with the server's error, until repaired: ${what}`, async () => {
    const name = `bad_live_${at}`
    await using installation = await healthy(name)
    await installation.app.query(create)
    await copyAll(installation.context)
    await installation.app.query('UPDATE bad SET v = 2')
    await spoil?.(installation, name)
    await installation.app.query(CHANGES)
    await settle(installation)
    await settle(installation)
    await assertEqual(installation, HEALTHY_TABLES)
    const { bad = '', ...others } = await states(installation)
    assert.deepEqual(others, LIVE)
    assert.ok(['broken', 'refused'].includes(bad), bad)
    assert.match(await problemOf(installation, 'bad'), new RegExp(`\\(${number}\\)`))
    assert.deepEqual(await installation.rows('SELECT id FROM bad'), [['1']])
    await installation.app.query(`DROP TABLE IF EXISTS bad; ${create}`)
    await copyAll(installation.context)
    await assertEqual(installation, [...HEALTHY_TABLES, 'bad'])
  })

test('workers copy and open tables around one that the source cannot read', async () => {
  await using installation = await healthy('bad_workers')
  await installation.app.query(
    'CREATE TABLE bad (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO bad VALUES (1, 1)',
  )
  await copyAll(installation.context)
  await installation.app.query(
    `ALTER TABLE bad DISCARD TABLESPACE; TRUNCATE lone; INSERT INTO lone VALUES (9, 9); ${CHANGES}`,
  )
  const handlers = new JobHandlers(installation.context)
  const copied = ['bad', ...HEALTHY_TABLES]
  for (let round = 0; round < 3; round++) {
    await drainNow(installation)
    await handlers.maintain(NEVER_ABORTED)
    for (const table of copied) await handlers.planTable(table, NEVER_ABORTED)
    for (const table of copied) for (const chunk of [1, 2]) await handlers.copyChunk(table, chunk, NEVER_ABORTED)
    for (const table of copied) await handlers.openComponent(table, NEVER_ABORTED)
  }
  assert.deepEqual(await states(installation), { ...LIVE, bad: 'broken' })
  await assertEqual(installation, HEALTHY_TABLES)
})

test('a key is read without naming its index, which may be hidden or change while live', async () => {
  await using installation = await healthy('bad_hidden')
  const hide = `ALTER INDEX k ${(await isMariaDb(installation)) ? 'IGNORED' : 'INVISIBLE'}`
  const columns = '(a INT NOT NULL, b INT NOT NULL, v INT, UNIQUE KEY z (a), UNIQUE KEY k (b))'
  await installation.app.query(`CREATE TABLE hidden ${columns} ENGINE=InnoDB; ALTER TABLE hidden ${hide};
      CREATE TABLE later ${columns} ENGINE=InnoDB; CREATE TABLE dropped ${columns} ENGINE=InnoDB;
      INSERT INTO hidden VALUES (1, 10, 1), (2, 20, 2); INSERT INTO later SELECT * FROM hidden; INSERT INTO dropped SELECT * FROM hidden`)
  await copyAll(installation.context)
  const tables = ['hidden', 'later', 'dropped']
  await assertEqual(installation, tables)
  // This process's model still contains them.
  const model = await loadModel(installation.context)
  for (const table of tables) await installation.app.query(`UPDATE ${table} SET v = 11 WHERE a = 1`)
  await installation.app.query(`ALTER TABLE later ${hide}; ALTER TABLE dropped DROP INDEX k, ADD UNIQUE KEY l (b)`)
  await drain(installation.context, model)
  for (const table of tables)
    await installation.app.query(`UPDATE ${table} SET v = 12 WHERE a = 2; DELETE FROM ${table} WHERE a = 1`)
  await settle(installation)
  assert.deepEqual(await states(installation), { ...LIVE, dropped: 'live', hidden: 'live', later: 'live' })
  await assertEqual(installation, tables)
})

test('columns and tables may be named like the properties of every JavaScript object', async () => {
  await using installation = await healthy('bad_names')
  const names = ['__proto__', '__defineGetter__', '__lookupSetter__', 'constructor', 'toString', 'k', 'v0', 'v1']
  const columns = names.map((name, n) => `\`${name}\` INT DEFAULT ${n}`).join(', ')
  await installation.app.query(`CREATE TABLE \`__proto__\` (${columns}, PRIMARY KEY (v1, \`__proto__\`)) ENGINE=InnoDB;
      CREATE TABLE child (id INT PRIMARY KEY, a INT, b INT, FOREIGN KEY (a, b) REFERENCES \`__proto__\` (v1, \`__proto__\`) ON DELETE CASCADE) ENGINE=InnoDB;
      CREATE TABLE \`constructor\` (\`__proto__\` INT) ENGINE=InnoDB;
      INSERT INTO \`__proto__\` (\`__proto__\`, v1) VALUES (1, 9), (2, 8), (3, 7); INSERT INTO child VALUES (1, 9, 1), (2, 8, 2);
      INSERT INTO \`constructor\` VALUES (1), (1)`)
  await copyAll(installation.context)
  const expect = async (): Promise<void> => {
    assert.deepEqual(await states(installation), {
      ...LIVE,
      ['__proto__']: 'live',
      child: 'live',
      constructor: 'recopied',
    })
    const held: readonly (readonly [string, readonly string[]])[] = [
      ['__proto__', names],
      ['child', ['id', 'a', 'b']],
      ['constructor', ['__proto__']],
    ]
    for (const [table, own] of held) {
      const select = (quote: string): string => {
        const list = own.map((name, n) => `${quote}${name}${quote} AS c${n}`)
        return `SELECT ${list.join(', ')} FROM ${quote}${table}${quote} ORDER BY ${own.map((_, n) => n + 1).join(', ')}`
      }
      assert.deepEqual(await installation.rows(select('"')), await textRows(installation.app, select('`')), table)
    }
  }
  await expect()
  await installation.app.query(`UPDATE \`__proto__\` SET toString = 100 WHERE v1 = 9; UPDATE \`__proto__\` SET \`__proto__\` = 5 WHERE v1 = 7; DELETE FROM \`__proto__\` WHERE v1 = 8;
      DELETE FROM \`constructor\` LIMIT 1`)
  await settle(installation)
  await expect()
})

test('a server that cannot list its routines is still planned, copied and followed', async (t) => {
  await using installation = await healthy('bad_proc')
  if (!(await isMariaDb(installation)))
    return t.skip('MySQL keeps routines in its dictionary, which nobody can damage by SQL')
  // As a server that was upgraded without mariadb-upgrade: 1805.
  await installation.app.query(
    'CREATE TABLE mysql.proc_kept LIKE mysql.proc; ALTER TABLE mysql.proc DROP COLUMN `aggregate`',
  )
  try {
    const { notCarried, notListed } = await plan(installation.context, [])
    assert.equal(notCarried.routines, null)
    assert.deepEqual(notListed, [{ objects: 'routines', reason: 'ER_COL_COUNT_DOESNT_MATCH_CORRUPTED_V2 (1805)' }])
    await copyAll(installation.context)
    await installation.app.query(CHANGES)
    await settle(installation)
    await assertEqual(installation, HEALTHY_TABLES)
  } finally {
    await installation.app.query('DROP TABLE mysql.proc; RENAME TABLE mysql.proc_kept TO mysql.proc')
  }
})
