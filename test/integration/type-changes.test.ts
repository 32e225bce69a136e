import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import {
  assertEqual,
  copyAll,
  createInstallation,
  drainNow,
  type Installation,
  settle,
  states,
} from '../support/installation.js'

/** Types with values, some of which are at a limit, and a DEFAULT. */
const TYPES: readonly (readonly [type: string, values: readonly string[], fallback?: string])[] = [
  ['TINYINT', ['-128', '127', '7'], '7'],
  ['TINYINT(1)', ['0', '1', '1'], '1'],
  ['SMALLINT UNSIGNED', ['65535', '0', '7'], '7'],
  ['MEDIUMINT', ['-8388608', '8388607', '7'], '7'],
  ['INT', ['-2147483648', '2147483647', '7'], '7'],
  ['INT UNSIGNED ZEROFILL', ['4294967295', '0', '7'], '7'],
  ['BIGINT', ['-9223372036854775808', '9223372036854775807', '7'], '7'],
  ['BIGINT UNSIGNED', ['18000000000000000000', '0', '7'], '7'],
  ['DECIMAL(10,2)', ['12345678.91', '-0.01', '7.50'], '7.50'],
  ['DECIMAL(30,10)', ['12345678901234567890.0123456789', '0', '7'], '7'],
  ['FLOAT', ['1e30', '-0.1', '7'], '7'],
  ['DOUBLE', ['1e300', '0.1', '7'], '7.5'],
  ['BIT(8)', ["b'11111111'", "b'00000111'", "b'0'"], "b'101'"],
  ['YEAR', ['2024', '1901', '2155'], '2024'],
  ['DATE', ["'2024-02-29'", "'1000-01-01'", "'9999-12-31'"], "'2024-02-29'"],
  ['DATETIME', ["'2024-02-29 12:00:01'", "'1000-01-01'", "'9999-12-31 23:59:59'"], 'CURRENT_TIMESTAMP'],
  ['DATETIME(6)', ["'2024-02-29 12:00:00.500001'", "'1000-01-01'", "'2024-02-29 23:59:59.999999'"]],
  ['TIMESTAMP', ["'2024-02-29 12:00:01'", "'1970-01-02 00:00:00'", "'2037-01-01'"], "'2024-02-29 12:00:01'"],
  ['TIMESTAMP(3)', ["'2024-02-29 12:00:00.501'", "'1970-01-02 00:00:00'", "'2037-01-01'"]],
  ['TIME', ["'12:00:01'", "'-838:59:59'", "'838:59:59'"], "'12:00:00'"],
  ['TIME(3)', ["'12:00:00.501'", "'-800:59:59.999'", "'00:00:00'"]],
  ['CHAR(5)', ["'7'", "'grün'", "''"], "'abc'"],
  ['VARCHAR(20)', ["'7'", "'2024-02-29'", "'a text of letters'"], "'in'"],
  ['VARCHAR(60) CHARACTER SET latin1', ["'7'", "'grün und mehr als zwanzig Zeichen'", "'12:00:00'"], "'in'"],
  ['VARCHAR(60)', ["'7'", "'😀 und mehr als zwanzig Zeichen'", "''"], "'in'"],
  ['TEXT', ["'7'", `'{"a": 1}'`, "'no number at all'"]],
  ['LONGTEXT', ["'7'", "'[1]'", "''"]],
  ['BINARY(4)', ["'7'", "'abcd'", "x'00ff'"]],
  ['VARBINARY(20)', ["'7'", "x'ff00'", "''"]],
  ['BLOB', ["'7'", "x'fffe'", "'2024-02-29'"]],
  ["ENUM('a', 'b', '7')", ["'a'", "'b'", "'7'"], "'b'"],
  ["ENUM('b', 'a')", ["'a'", "'b'", "'a'"], "'a'"],
  ["SET('a', 'b')", ["'a'", "'a,b'", "''"], "'a'"],
  ['JSON', [`'{"a": 1}'`, "'[]'", "'7'"]],
]
const MARIADB: typeof TYPES = [
  [
    'UUID',
    [
      "'00112233-4455-6677-8899-aabbccddeeff'",
      "'ffffffff-4455-6677-8899-aabbccddeeff'",
      "'00000000-4455-6677-8899-aabbccddeeff'",
    ],
  ],
  ['INET6', ["'::1'", "'::ffff:10.0.0.1'", "'fe80::7'"]],
]

/** All pairs take minutes, so a sixth of them is chosen by the seed, unless all are requested. */
const SEED = Number(process.env['TYPE_PAIRS_SEED'] ?? 0)
const isChosen = (from: number, to: number): boolean =>
  process.env['TYPE_PAIRS'] === 'all' || (from + 2 * to + SEED) % 6 === 0
/** Clauses of one ALTER TABLE, which the source refuses as a whole if it refuses one. */
const COLUMNS_AT_ONCE = 4

const servers = await sharedServers()

/** The result of a first copy of the same definition and rows. */
async function assertAsFresh(installation: Installation, tables: readonly string[]): Promise<void> {
  for (const table of tables)
    await installation.app.query(
      `CREATE TABLE fresh_${table} LIKE ${table}; INSERT INTO fresh_${table} SELECT * FROM ${table}`,
    )
  await copyAll(installation.context)
  const columns = (table: string): Promise<(string | null)[][]> =>
    installation.rows(`SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, replace(pg_get_expr(d.adbin, d.adrelid), 'fresh_', '') FROM pg_attribute a
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = '${table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1`)
  for (const table of tables) {
    assert.deepEqual(await columns(table), await columns(`fresh_${table}`), table)
    assert.deepEqual(
      await installation.rows(`SELECT * FROM ${table} ORDER BY 1`),
      await installation.rows(`SELECT * FROM fresh_${table} ORDER BY 1`),
      table,
    )
  }
}

async function live(installation: Installation): Promise<void> {
  const { tables, problems } = await status(installation.context)
  assert.deepEqual(
    tables
      .filter(({ state, quarantined }) => state !== 'live' || quarantined > 0)
      .map(({ table, state, problem }) => [table, state, problem]),
    [],
  )
  assert.deepEqual(problems, [])
}

interface TableChange {
  readonly table: string
  readonly create: string
  readonly actions: readonly string[]
}

/** A table with a column of every type, and the clauses that turn all of them into type number `to`. */
function makeTable(types: typeof TYPES, { table, to }: { readonly table: string; readonly to: number }): TableChange {
  const chosen = [...types.entries()].filter(([from]) => isChosen(from, to))
  const columns = chosen.map(([from, [type, , fallback]]) =>
    definition(`c${from}`, type, { required: (from + to) % 4 === 1, fallback: from % 2 ? fallback : undefined }),
  )
  const rows = [0, 1, 2].map((row) => `(${[row, ...chosen.map(([, [, values]]) => values[row])].join(', ')})`)
  const [type = '', , fallback] = types[to] ?? []
  return {
    table,
    create: `CREATE TABLE ${table} (${['id INT PRIMARY KEY', ...columns].join(', ')}) ENGINE=InnoDB CHARACTER SET utf8mb4; INSERT INTO ${table} VALUES ${rows.join(', ')}`,
    actions: chosen.map(
      ([from]) =>
        `MODIFY ${definition(`c${from}`, type, { required: from % 3 === 1, fallback: from % 4 < 2 ? fallback : undefined })}`,
    ),
  }
}

function definition(
  name: string,
  type: string,
  { required, fallback }: { readonly required: boolean; readonly fallback: string | undefined },
): string {
  return `${name} ${type} ${required ? 'NOT NULL' : 'NULL'}${fallback === undefined ? '' : ` DEFAULT ${fallback}`}`
}

/** Returns how many the source takes; the others stay as they are. */
async function alter({ app }: Installation, table: string, actions: readonly string[]): Promise<number> {
  const run = (some: readonly string[]): Promise<number> =>
    app.query(`ALTER TABLE ${table} ${some.join(', ')}`).then(
      () => some.length,
      () => 0,
    )
  let taken = 0
  for (let at = 0; at < actions.length; at += COLUMNS_AT_ONCE) {
    const some = actions.slice(at, at + COLUMNS_AT_ONCE)
    const together = await run(some)
    taken += together
    if (together === 0) for (const action of some) taken += await run([action])
  }
  return taken
}

test('columns of any type become columns of any other, as a first copy would fill them', async (t) => {
  await using installation = await createInstallation(servers, 'c_types')
  const [[version = null] = []] = await textRows(installation.app, 'SELECT VERSION()')
  const types = version?.includes('MariaDB') ? [...TYPES, ...MARIADB] : TYPES
  await installation.app.query("SET SESSION sql_mode = ''")
  const tables = types.map((_, to) => `t${to}`)
  const changes = tables.map((table, to) => makeTable(types, { table, to }))
  for (const { create } of changes) await installation.app.query(create)
  await copyAll(installation.context)
  let tried = 0
  for (const { table, actions } of changes) tried += await alter(installation, table, actions)
  await settle(installation)
  t.diagnostic(`${tried} changes of type`)
  await live(installation)
  await assertAsFresh(installation, tables)
  assert.ok(tried > 100, `${tried} changes`)
})

test('keys that do not fit their new type or character set block no other table', async () => {
  await using installation = await createInstallation(servers, 'c_keys', {
    schema: `SET SESSION sql_mode = '';
      CREATE TABLE big (k BIGINT UNSIGNED PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO big VALUES (18000000000000000000, 1), (5, 2), (-1, 3);
      CREATE TABLE smiling (k VARCHAR(20) CHARACTER SET utf8mb4 PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO smiling VALUES ('😀', 1), ('a', 2);
      CREATE TABLE rounded (k DATETIME(3) PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO rounded VALUES ('2024-01-01 00:00:00.4', 1), ('2024-01-01 00:00:02', 2);
      CREATE TABLE counted (k INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO counted VALUES (1, 1), (2, 2);
      CREATE TABLE member (k ENUM('a', 'b') PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO member VALUES ('a', 1), ('b', 2);
      CREATE TABLE other (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO other VALUES (1, 1)`,
    copied: true,
  })
  await installation.app.query(`ALTER TABLE big MODIFY k INT; ALTER TABLE smiling MODIFY k VARCHAR(20) CHARACTER SET utf8mb3; ALTER TABLE rounded MODIFY k DATETIME;
      ALTER TABLE counted MODIFY k BIGINT UNSIGNED AUTO_INCREMENT; ALTER TABLE member MODIFY k INT; TRUNCATE other; INSERT INTO other VALUES (2, 2)`)
  await settle(installation)
  await live(installation)
  const tables = ['big', 'smiling', 'rounded', 'counted', 'member', 'other']
  await assertEqual(installation, tables)
  await installation.app.query(
    tables
      .slice(0, 5)
      .map((table) => `UPDATE ${table} SET v = v + 5`)
      .join('; '),
  )
  await drainNow(installation)
  await assertEqual(installation, tables)
  await assertAsFresh(installation, tables)
})

test('a table that cannot be opened is broken, and those that open with it do open', async () => {
  await using installation = await createInstallation(servers, 'c_broken', {
    schema:
      'CREATE TABLE bad (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; CREATE TABLE good LIKE bad; CREATE TABLE fine LIKE bad',
    copied: true,
  })
  await installation.reader.query(`CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'INSERT' AND NEW.v = 2 THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER no BEFORE INSERT ON bad FOR EACH ROW EXECUTE FUNCTION no()`)
  await installation.app.query(
    'TRUNCATE bad; TRUNCATE good; TRUNCATE fine; INSERT INTO good VALUES (1, 1); INSERT INTO fine VALUES (1, 1)',
  )
  await drainNow(installation)
  await installation.app.query('INSERT INTO bad VALUES (1, 1), (2, 2)')
  await settle(installation)
  const { bad, ...others } = await states(installation)
  assert.deepEqual(others, { fine: 'live', good: 'live' })
  assert.equal(bad, 'broken')
  await assertEqual(installation, ['good', 'fine'])
})
