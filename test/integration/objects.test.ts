import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { plan, status } from '@mylab-sync/engine'
import { ServerSet } from '@mylab-sync/testkit'
import { copyAll, type Installation, installation } from '../support/installation.js'

let servers: ServerSet
before(async () => {
  servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
})
after(() => servers.close())

async function withSchema(name: string, schema: string, use: (at: Installation) => Promise<void>): Promise<void> {
  const at = await installation(servers, name)
  try {
    // MySQL makes no foreign key to a part of a key since 8.4, unless it is told to.
    await at.app.query('SET SESSION restrict_fk_on_non_standard_key = OFF').catch(() => {})
    await at.app.query(schema)
    await use(at)
  } finally {
    await at.close()
  }
}

test('every AUTO_INCREMENT counts on in the target, also where PostgreSQL has no identity of its type', async () => {
  const schema = `CREATE TABLE big (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB;
    CREATE TABLE small (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB;
    CREATE TABLE taken (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT, KEY id_seq (v)) ENGINE=InnoDB;
    INSERT INTO big VALUES (18000000000000000000, 1); INSERT INTO small VALUES (7, 1); INSERT INTO taken VALUES (7, 1)`
  await withSchema('o_counters', schema, async (at) => {
    await at.reader.query('CREATE TABLE big_id_seq (x int)')
    const { tables } = await plan(at.context, [])
    assert.deepEqual(
      tables.map(({ table, notCarried, columns }) => [table, notCarried, columns[0]?.default?.replace(/_[0-9a-f]{8}'/, "_...'")]),
      [
        ['big', [], "nextval('big_id_seq')"],
        ['small', [], undefined],
        ['taken', [], "nextval('taken_id_seq_...')"],
      ],
    ) // biome-ignore format: rows
    await copyAll(at.context)
    for (const table of ['big', 'small', 'taken']) {
      await at.reader.query(`INSERT INTO ${table} (v) VALUES (2)`)
      assert.deepEqual(await at.rows(`SELECT id::text FROM ${table} WHERE v = 2`), [['1']], table)
    }
    // The sequence goes with its column.
    assert.deepEqual(await at.rows("SELECT pg_get_serial_sequence('big', 'id') IS NOT NULL"), [['t']])
  })
})

test('a foreign key to a part of a key or to a plain index is not carried, which is no problem', async () => {
  const schema = `CREATE TABLE p (a INT, b INT, c INT, u VARCHAR(20), PRIMARY KEY (a, b), KEY by_c (c), UNIQUE KEY by_u (u(3)), KEY whole_u (u)) ENGINE=InnoDB;
    CREATE TABLE c (id INT PRIMARY KEY, a INT, c INT, u VARCHAR(20), b INT,
      CONSTRAINT part FOREIGN KEY (a) REFERENCES p (a), CONSTRAINT plain FOREIGN KEY (c) REFERENCES p (c) ON DELETE CASCADE,
      CONSTRAINT prefix FOREIGN KEY (u) REFERENCES p (u), CONSTRAINT carried FOREIGN KEY (a, b) REFERENCES p (a, b)) ENGINE=InnoDB;
    INSERT INTO p VALUES (1, 1, 1, 'x'), (1, 2, 2, 'y'); INSERT INTO c VALUES (1, 1, 1, 'x', 1), (2, 1, 2, 'y', 2)`
  await withSchema('o_references', schema, async (at) => {
    const planned = (await plan(at.context, [])).tables.find(({ table }) => table === 'c')?.foreignKeys ?? []
    assert.deepEqual(
      planned.filter(({ notCarried }) => notCarried === null).map(({ name }) => name),
      ['carried'],
    )
    assert.match(
      planned.find(({ name }) => name === 'plain')?.notCarried ?? '',
      /references a UNIQUE of exactly these columns/,
    )
    const report = await copyAll(at.context)
    assert.deepEqual([report.constraints, report.listed], [[], []])
    assert.deepEqual((await status(at.context)).problems, [])
    assert.deepEqual(await at.rows("SELECT conname FROM pg_constraint WHERE contype = 'f'"), [['carried']])
  })
})
