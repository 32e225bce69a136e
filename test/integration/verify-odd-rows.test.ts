import assert from 'node:assert/strict'
import { test } from 'node:test'
import { repair, verify } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { createInstallation, settle } from '../support/installation.js'
import { reportedKeys } from './verify-scenes.js'

const servers = await sharedServers()

const MANY = Array.from({ length: 200 }, (_, at) => `c${at} INT NULL`).join(', ')
/** Rows whose values have no counterpart in the target, several texts, or none. */
const SCHEMA = `
  SET SESSION sql_mode = '';
  CREATE TABLE zeros (id INT PRIMARY KEY, d DATE NOT NULL, dt DATETIME NOT NULL, ts TIMESTAMP NOT NULL DEFAULT '2020-01-01 00:00:00', dn DATE NULL) ENGINE=InnoDB;
  CREATE TABLE nuls (id INT PRIMARY KEY, t VARCHAR(20) NOT NULL, l LONGTEXT, c CHAR(5)) ENGINE=InnoDB;
  CREATE TABLE nul_keys (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE numbers (id INT PRIMARY KEY, j JSON) ENGINE=InnoDB;
  CREATE TABLE derived (id INT PRIMARY KEY, a INT, b INT AS (a * 2) VIRTUAL, c VARCHAR(20) AS (CONCAT('x', a)) STORED, d DOUBLE AS (a / 3) VIRTUAL) ENGINE=InnoDB;
  CREATE TABLE twins (a INT NULL, f FLOAT, t VARCHAR(20), j JSON, d DATE) ENGINE=InnoDB;
  CREATE TABLE twins_plain (a INT NULL, t VARCHAR(20)) ENGINE=InnoDB;
  CREATE TABLE parted (id INT, r INT, v INT, PRIMARY KEY (id, r)) ENGINE=InnoDB PARTITION BY LIST (r) (PARTITION a VALUES IN (1, 2), PARTITION b VALUES IN (3));
  CREATE TABLE wide (id INT PRIMARY KEY, ${MANY}) ENGINE=InnoDB;
  CREATE TABLE keys_only (a INT, b VARCHAR(9), PRIMARY KEY (a, b)) ENGINE=InnoDB;
  CREATE TABLE vacant (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE longs (id INT PRIMARY KEY, a MEDIUMTEXT, b MEDIUMTEXT, c MEDIUMBLOB, d TEXT, e TEXT) ENGINE=InnoDB;
  CREATE TABLE enums (id INT PRIMARY KEY, e ENUM('a','b') NOT NULL, s SET('x','y') NOT NULL, b BIT(3), y YEAR) ENGINE=InnoDB;
  CREATE TABLE old_texts (id INT PRIMARY KEY, l VARCHAR(20) CHARACTER SET latin1, u VARCHAR(20) CHARACTER SET utf16, s VARCHAR(20) CHARACTER SET sjis) ENGINE=InnoDB;
  CREATE TABLE shapes (id INT PRIMARY KEY, g GEOMETRY, p POINT) ENGINE=InnoDB;
  INSERT INTO zeros VALUES (1, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00'), (2, '2020-02-00', '2020-00-01 00:00:00', '2020-01-01 00:00:00', '2020-02-30'), (3, '2020-01-01', '2020-01-01 01:02:03', '2020-01-01 00:00:00', NULL);
  INSERT INTO nuls VALUES (1, CONCAT('a', CHAR(0), 'b'), CONCAT(CHAR(0), REPEAT('x', 70000)), CHAR(0)), (2, 'ab', '', ''), (3, CHAR(0), NULL, NULL);
  INSERT INTO nul_keys VALUES (CONCAT('a', CHAR(0)), 1), ('a', 2), ('b', 3);
  INSERT INTO numbers VALUES (1, '[1, 1.0, 1.00, 1e2, 1E-2, -0, -0.0, 0.1]'), (2, '100000000000000000000'), (3, '1.7976931348623157e308'), (4, '{"b": 1, "a": {"z": [], "y": {}}, "": 0}'), (5, '"\\\\u0041\\\\n\\\\ud83d\\\\ude00"'), (6, '[0.1, 123456789012345678901234567890.123456789, 5e-324]'), (7, '9007199254740993'), (8, NULL), (9, 'null');
  INSERT INTO derived (id, a) VALUES (1, 1), (2, NULL), (3, -7);
  INSERT INTO twins VALUES (1, 0.1, 'a', '{"n": 1.50}', '0000-00-00'), (1, 0.1, 'a', '{"n": 1.50}', '0000-00-00'), (NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL), (2, -0.0, CONCAT('n', CHAR(0)), 'null', '2020-01-01');
  INSERT INTO twins_plain VALUES (1, 'a'), (1, 'a'), (1, 'A'), (NULL, NULL), (NULL, NULL), (NULL, '');
  INSERT INTO parted VALUES (1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 3, 4);
  INSERT INTO wide (id, c0, c199) VALUES (1, 1, 199), (2, NULL, NULL);
  INSERT INTO keys_only VALUES (1, 'a'), (1, 'b'), (2, '');
  INSERT INTO longs VALUES (1, REPEAT('a', 3000000), REPEAT('b', 3000000), REPEAT('c', 3000000), REPEAT('d', 60000), REPEAT('e', 60000)), (2, '', NULL, '', '', NULL);
  INSERT INTO enums VALUES (1, 'a', 'x,y', b'101', 2020), (2, '', '', NULL, 0);
  INSERT INTO old_texts VALUES (1, _latin1 X'E980', _utf16 X'D83DDE00', _sjis X'835C'), (2, '', '', '');
  INSERT INTO shapes VALUES (1, ST_GeomFromText('LINESTRING(0 0,1 1.5)'), ST_GeomFromText('POINT(1 2)')), (2, NULL, NULL)`

/** Spoils one row each, of these tables' target. */
const SPOILT: readonly (readonly [statement: string, found: string])[] = [
  ['UPDATE zeros SET d = d + 1 WHERE id = 3', 'zeros 3 different d'],
  ["UPDATE nuls SET t = t || ' ' WHERE id = 2", 'nuls 2 different t'],
  ["UPDATE nuls SET l = l || 'y' WHERE id = 1", 'nuls 1 different l'],
  [`UPDATE numbers SET j = '[1, 1.0, 1.00, 1e2, 1E-2, -0, -0.0, 0.2]' WHERE id = 1`, 'numbers 1 different j'],
  [`UPDATE numbers SET j = '100000000000000000001' WHERE id = 2`, 'numbers 2 different j'],
  [`UPDATE numbers SET j = '9007199254740992' WHERE id = 7`, 'numbers 7 different j'],
  [`UPDATE numbers SET j = NULL WHERE id = 9`, 'numbers 9 different j'],
  ['UPDATE parted SET v = 5 WHERE id = 1 AND r = 3', 'parted 1,3 different v'],
  ['UPDATE wide SET c199 = 0 WHERE id = 2', 'wide 2 different c199'],
  ["DELETE FROM keys_only WHERE b = ''", 'keys_only 2, missing '],
  ['INSERT INTO vacant VALUES (1, 1)', 'vacant 1 surplus '],
  ["UPDATE longs SET b = overlay(b placing 'x' from 2999999) WHERE id = 1", 'longs 1 different b'],
  ["UPDATE old_texts SET u = 'x' WHERE id = 1", 'old_texts 1 different u'],
  ['UPDATE shapes SET p = NULL WHERE id = 1', 'shapes 1 different p'],
]

test('rows that can only be carried altered are equal, and what differs is found', async () => {
  await using installation = await createInstallation(servers, 'verify_odd', { schema: SCHEMA, copied: true })
  const { context, app, reader } = installation
  const fresh = await verify(context, { tables: [] })
  assert.deepEqual(
    fresh.tables.filter(({ equal }) => !equal),
    [],
  )
  await app.query(
    `SET SESSION sql_mode = ''; UPDATE zeros SET dn = '0000-00-00'; UPDATE nuls SET c = CONCAT(CHAR(0), 'z'); UPDATE nul_keys SET v = v + 1; UPDATE numbers SET j = JSON_ARRAY(j, 2.50) WHERE id < 8;
     UPDATE derived SET a = a + 1; UPDATE twins SET f = 0.3 WHERE a = 1 LIMIT 1; UPDATE twins_plain SET t = 'b' WHERE a = 1 LIMIT 1; UPDATE parted SET r = 2 WHERE id = 2; UPDATE enums SET e = 0, s = 0;
     DELETE FROM keys_only WHERE b = 'b'; UPDATE numbers SET j = '[1, 1.0, 1.00, 1e2, 1E-2, -0, -0.0, 0.1]' WHERE id = 1; UPDATE numbers SET j = '100000000000000000000' WHERE id = 2; UPDATE numbers SET j = '9007199254740993' WHERE id = 7`,
  )
  await settle(installation)
  const drained = await verify(context, { tables: [] })
  assert.deepEqual(
    drained.tables.filter(({ equal }) => !equal),
    [],
  )
  for (const [statement] of SPOILT) await reader.query(statement)
  await reader.query(
    'DELETE FROM twins_plain WHERE ctid = (SELECT min(ctid) FROM twins_plain WHERE a IS NULL AND t IS NULL); INSERT INTO twins SELECT * FROM twins WHERE a = 2',
  )
  const spoilt = await verify(context, { tables: [] })
  assert.deepEqual(reportedKeys(spoilt), SPOILT.map(([, found]) => found).sort())
  const whole = spoilt.tables.filter(({ table }) => table.startsWith('twins'))
  assert.deepEqual(
    whole.map(({ missing, surplus }) => [missing, surplus]),
    [
      [0, 1],
      [1, 0],
    ],
  )
  assert.equal((await repair(context, { tables: [] })).left.equal, true)
})
