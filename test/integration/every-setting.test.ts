import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { copyAll, createInstallation, type Installation, overSides, settle, states } from '../support/installation.js'
import { sourceSettings, targetSettings, type Setting } from '../support/settings.js'
import { connect } from '../support/connect.js'
import { sortedRows } from '../support/content.js'

/** Every type, and what a setting might read or print otherwise. Written in hex, and changed without a literal that one could. */
const SCHEMA = `
  SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', foreign_key_checks = 1;
  CREATE TABLE every_type (id INT PRIMARY KEY, i BIGINT, d DECIMAL(12,4), f FLOAT, g DOUBLE, b BIT(10), t VARCHAR(60), l TEXT, c CHAR(8), v VARBINARY(40), bl BLOB,
    e ENUM('a','b,c','NULL'), s SET('x','y','NULL','a b'), j JSON, da DATE, dt DATETIME(6), ts TIMESTAMP(3) NULL, ti TIME(2), y YEAR, fi BINARY(4)) ENGINE=InnoDB;
  INSERT INTO every_type VALUES
    (1, -9223372036854775807, -12345678.0001, 0.1, 1e300, b'1000000001', X'5C6E225C2227', X'5C5C090A0D5C2E', 'ab', X'00FF5C27', X'5C783030', 'b,c', 'x,NULL', '{"a": [null, 1.50, "\\\\\\\\"]}', '0000-00-00', '0000-00-00 00:00:00', '2024-03-31 01:30:00.125', '-838:59:59', 1901, X'61'),
    (2, 0, 0.5, -0.0, -0.0, 0, X'4E554C4C', '', '', '', '', 'NULL', 'NULL', '[]', '2024-02-29', '2024-10-27 02:30:00.000001', '2024-10-27 00:30:00', '00:00:00.01', 2155, X'00'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 4, 4, 3.4028e38, 5e-324, 1, X'F09F9880C3A9', X'2020', 'x ', X'20', X'0A', 'a', '', '"x"', '0001-01-01', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', '12:00', 2000, X'FFFFFFFF'),
    (5, 5, 5, 5, 5, 5, X'5B6E756C6C5D', X'7B4E554C4C7D', 'c', X'7B', X'5C', 'b,c', 'x,y,NULL,a b', 'null', '1999-12-31', '1000-01-01 00:00:00', '2038-01-19 03:14:07', '838:59:59', 1970, X'');
  CREATE TABLE texts (k VARCHAR(40) CHARACTER SET latin1 PRIMARY KEY, n INT) ENGINE=InnoDB;
  INSERT INTO texts VALUES (X'5C', 1), (X'27', 2), (X'E9', 3), (X'612062', 4), (X'4E554C4C', 5);
  CREATE TABLE mixed (a DECIMAL(8,3), b ENUM('x','y'), c DATETIME, n INT, PRIMARY KEY (a, b, c)) ENGINE=InnoDB;
  INSERT INTO mixed VALUES (-1.5, 'y', '2024-01-01 00:00:00', 1), (2, 'x', '0000-00-00 00:00:00', 2), (3.125, 'x', '2024-03-31 02:30:00', 3);
  CREATE TABLE stamps (k TIMESTAMP(3) NOT NULL DEFAULT '2024-01-01 00:00:00', v BINARY(3), n INT, PRIMARY KEY (k, v)) ENGINE=InnoDB;
  INSERT INTO stamps VALUES ('2024-10-27 00:30:00.5', X'610000', 1), ('2024-10-27 01:30:00.5', X'000000', 2);
  CREATE TABLE floats (k DOUBLE PRIMARY KEY, s SET('p','q'), ch CHAR(5) NOT NULL, n INT, UNIQUE (ch)) ENGINE=InnoDB;
  INSERT INTO floats VALUES (0.1, 'p', 'a', 1), (1e20, 'p,q', 'b', 2), (-2.5e-10, '', 'c', 3);
  CREATE TABLE keyless (n INT, t TEXT, dt DATETIME) ENGINE=InnoDB; INSERT INTO keyless VALUES (1, X'5C4E', '0000-00-00 00:00:00'), (1, NULL, NULL), (2, X'0A', '2024-01-01');
  CREATE TABLE parent (id INT PRIMARY KEY, n INT) ENGINE=InnoDB; INSERT INTO parent VALUES (1, 1), (2, 2), (3, 3);
  CREATE TABLE child (id INT PRIMARY KEY, p INT, n INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB; INSERT INTO child VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3);
  CREATE TABLE long_copied (id INT PRIMARY KEY, t VARCHAR(200), KEY (t)) ENGINE=InnoDB; INSERT INTO long_copied SELECT seq, REPEAT(CHAR(97 + seq % 26), 150) FROM seq_1_to_20000`
/** Each by a key or a number, as careful sessions demand; the application's session has every setting that the server gives it. */
const CHANGES = [
  // Cascades are what the application asks for: without them its rows are others.
  'SET SESSION foreign_key_checks = 1',
  'SET SESSION TRANSACTION READ WRITE',
  'UPDATE every_type SET i = 7 WHERE id = 1',
  'UPDATE every_type SET b = NULL, i = NULL WHERE id = 5',
  'DELETE FROM every_type WHERE id = 4',
  'UPDATE every_type SET id = 40 WHERE id = 2',
  'UPDATE texts SET n = n + 10 WHERE n = 1 LIMIT 1',
  'DELETE FROM texts WHERE n = 3 LIMIT 1',
  'UPDATE mixed SET n = 20 WHERE n = 2 LIMIT 1',
  'DELETE FROM mixed WHERE n = 3 LIMIT 1',
  'UPDATE stamps SET n = 10 WHERE n = 1 LIMIT 1',
  'DELETE FROM stamps WHERE n = 2 LIMIT 1',
  'UPDATE floats SET n = 10 WHERE n = 1 LIMIT 1',
  'DELETE FROM floats WHERE n = 2 LIMIT 1',
  'UPDATE floats SET k = 5 WHERE n = 3 LIMIT 1',
  'UPDATE keyless SET n = 3 WHERE n = 2 LIMIT 1',
  'DELETE FROM parent WHERE id = 1',
  'UPDATE parent SET id = 9 WHERE id = 2',
  'COMMIT',
]
const TABLES = ['every_type', 'texts', 'mixed', 'stamps', 'floats', 'keyless', 'parent', 'child']
// Not compared: `long_copied` only takes its time, longer than the timeouts that are set.
const PRINTED =
  "SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 1; SET statement_timeout = 0"

const WHOLE = process.env['SETTINGS'] === 'all'

const servers = await sharedServers()

interface Side {
  /** Gives every later session of the product and the application these settings. */
  apply(installation: Installation, settings: readonly Setting[]): Promise<void>
  restore(settings: readonly Setting[]): Promise<void>
}

/** The contents of a target after a first copy and a drain under these settings. */
async function outcome(side: Side, name: string, settings: readonly Setting[]): Promise<Record<string, unknown>> {
  await using installation = await createInstallation(servers, name, { schema: SCHEMA })
  try {
    await installation.reader.query(PRINTED)
    await side.apply(installation, settings)
    return await played(installation, name)
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) }
  } finally {
    await side.restore(settings)
  }
}

async function played(installation: Installation, name: string): Promise<Record<string, unknown>> {
  await using sides = await connect(servers, name)
  const again = overSides(installation, sides)
  await copyAll(again.context)
  await using app = await servers.sourceAdmin(name)
  for (const change of CHANGES) await app.query(change)
  await settle(again)
  const held = Object.fromEntries(await Promise.all(TABLES.map(async (table) => [table, await sortedRows(installation.reader, `SELECT * FROM "${table}"`)]))) // biome-ignore format: one line
  return { states: await states(again), held }
}

/** Finds the settings to blame for a different outcome, by bisection. */
async function guilty(
  side: Side,
  {
    name,
    settings,
    wanted,
  }: { readonly name: string; readonly settings: readonly Setting[]; readonly wanted: unknown },
): Promise<string[]> {
  const found = await outcome(side, name, settings)
  if (JSON.stringify(found) === JSON.stringify(wanted)) return []
  if (settings.length === 1) {
    const [only] = settings
    return [`${only?.name} = ${only?.value}: ${JSON.stringify(found).slice(0, 300)}`]
  }
  const middle = settings.length >> 1
  const halves: string[] = []
  for (const half of [settings.slice(0, middle), settings.slice(middle)])
    halves.push(...(await guilty(side, { name, settings: half, wanted })))
  if (halves.length > 0) return halves
  return [`${JSON.stringify(found).slice(0, 300)} only together: ${settings.map(({ name: of }) => of).join(', ')}`]
}

/** The first other value of every setting at once, then the second of each that has one, and so on: two of them, or all with SETTINGS=all. */
function rounds(settings: readonly Setting[]): Setting[][] {
  const byName = new Map<string, Setting[]>()
  for (const setting of settings) byName.set(setting.name, [...(byName.get(setting.name) ?? []), setting])
  const most = Math.min(WHOLE ? Infinity : 2, Math.max(...[...byName.values()].map((values) => values.length)))
  return Array.from({ length: most }, (_, at) => [...byName.values()].flatMap((values) => values[at] ?? []))
}

async function tryAll(side: Side, name: string, settings: readonly Setting[]): Promise<string> {
  const wanted = await outcome(side, name, [])
  assert.ok('held' in wanted, JSON.stringify(wanted))
  const wrong: string[] = []
  for (const round of rounds(settings)) wrong.push(...(await guilty(side, { name, settings: round, wanted })))
  assert.deepEqual(wrong, [])
  return `${new Set(settings.map((each) => each.name)).size} settings, ${settings.length} values`
}

test('no role setting in the target changes what is carried', async (t) => {
  await using admin = await servers.targetAdmin('postgres')
  const role = servers.product.target.user
  const side: Side = {
    async apply(at, settings) {
      for (const { name, value } of settings) await at.reader.query(`ALTER ROLE "${role}" SET ${name} = ${value}`)
    },
    restore: async () => {
      await admin.query(`ALTER ROLE "${role}" RESET ALL`)
    },
  }
  t.diagnostic(await tryAll(side, 'every_target', await targetSettings(admin, role)))
})

test('no setting of the source or of the application changes what is carried', async (t) => {
  await using admin = await servers.sourceAdmin()
  const side: Side = {
    async apply(_at, settings) {
      for (const { name, value } of settings) await admin.query(`SET GLOBAL ${name} = ${value}`)
    },
    async restore(settings) {
      for (const { name, restored } of settings) await admin.query(`SET GLOBAL ${name} = ${restored}`)
    },
  }
  t.diagnostic(await tryAll(side, 'every_source', await sourceSettings(admin)))
})
