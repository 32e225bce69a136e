/** One change of a live table. `T` and `U` are placeholders for its own table names. */
export interface DefinitionChange {
  readonly title: string
  /** Creates the tables and rows before the change; by default the base table. */
  readonly schema: string
  /** Each ALTER is tried with every algorithm that the server accepts for it. */
  readonly statements: readonly string[]
}

const BASE = `CREATE TABLE T (id INT NOT NULL PRIMARY KEY, c INT DEFAULT 7, a INT DEFAULT 8, b VARCHAR(20), d DOUBLE, e ENUM('x','y'), dt DATETIME(3), n INT NOT NULL DEFAULT 3, KEY ix (b), KEY iy (a)) ENGINE=InnoDB;
  INSERT INTO T (id, c, a, b, d, e, dt) VALUES (1, 10, 20, 'b', 1.25678, 'x', '2020-01-01 10:00:00.600'), (2, 11, 21, 'B', 2.5, 'y', NULL), (3, 12, 22, NULL, NULL, NULL, '2021-05-05 23:59:59.999')`
const PLAIN = `CREATE TABLE T (id INT NOT NULL PRIMARY KEY, c INT DEFAULT 7, a INT DEFAULT 7) ENGINE=InnoDB; INSERT INTO T VALUES (1, 10, 20), (2, 11, 21), (3, 12, 22)`
const VIRTUAL = `CREATE TABLE T (id INT NOT NULL PRIMARY KEY, a INT DEFAULT 7, b VARCHAR(20) COLLATE utf8mb4_general_ci, v INT AS (a + 1) VIRTUAL, w INT AS (b = 'X') VIRTUAL, s INT AS (a * 2) STORED) ENGINE=InnoDB;
  INSERT INTO T (id, a, b) VALUES (1, 10, 'x'), (2, 20, 'X'), (3, NULL, NULL)`
const COMPOSITE = `CREATE TABLE T (k INT, l INT, c INT, PRIMARY KEY (k, l)) ENGINE=InnoDB; INSERT INTO T VALUES (1, 2, 3), (2, 1, 4), (3, 3, 5)`
const keyed = (type: string, ...values: readonly string[]): string =>
  `CREATE TABLE T (k ${type} NOT NULL PRIMARY KEY, c INT) ENGINE=InnoDB; ${values.map((value, at) => `INSERT INTO T VALUES (${value}, ${at})`).join('; ')}`
const PARTITIONED = `CREATE TABLE T (id INT NOT NULL PRIMARY KEY, c INT DEFAULT 7, a INT) ENGINE=InnoDB PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE);
  INSERT INTO T VALUES (1, 1, 1), (12, 2, 2), (25, 3, 3); CREATE TABLE U (id INT NOT NULL PRIMARY KEY, c INT DEFAULT 7, a INT) ENGINE=InnoDB; INSERT INTO U VALUES (3, 33, 33), (4, 44, 44)`
const HASHED = `CREATE TABLE T (id INT NOT NULL PRIMARY KEY, c INT) ENGINE=InnoDB PARTITION BY HASH (id) PARTITIONS 3; INSERT INTO T VALUES (1, 1), (2, 2), (3, 3)`
const MYISAM = `CREATE TABLE T (id INT NOT NULL PRIMARY KEY, c INT DEFAULT 7, a INT) ENGINE=MyISAM; INSERT INTO T VALUES (1, 1, 10), (2, 2, 20);
  CREATE TABLE U (id INT NOT NULL PRIMARY KEY, c INT DEFAULT 7, a INT) ENGINE=MyISAM; INSERT INTO U VALUES (1, 5, 50), (2, 6, 60)`
const KEYLESS = `CREATE TABLE T (c INT DEFAULT 7, a INT DEFAULT 7) ENGINE=InnoDB; INSERT INTO T VALUES (1, 10), (1, 10), (2, 20)`
const TWO = `CREATE TABLE T (id INT NOT NULL PRIMARY KEY, c INT) ENGINE=InnoDB; INSERT INTO T VALUES (1, 1), (2, 2);
  CREATE TABLE U (id INT NOT NULL PRIMARY KEY, c INT) ENGINE=InnoDB; INSERT INTO U VALUES (1, 3), (4, 4)`
const FAMILY = `CREATE TABLE U (id INT NOT NULL PRIMARY KEY, c INT, UNIQUE KEY uc (c)) ENGINE=InnoDB; INSERT INTO U VALUES (1, 1), (2, 2);
  CREATE TABLE T (id INT NOT NULL PRIMARY KEY, u INT, c INT, CONSTRAINT T_fk FOREIGN KEY (u) REFERENCES U (id) ON DELETE CASCADE) ENGINE=InnoDB; INSERT INTO T VALUES (1, 1, 1), (2, 2, 2)`
const UNIQUE = `CREATE TABLE T (id INT NOT NULL PRIMARY KEY, c INT NOT NULL, a INT NOT NULL, UNIQUE KEY uc (c), UNIQUE KEY ua (a)) ENGINE=InnoDB; INSERT INTO T VALUES (1, 1, 10), (2, 2, 20)`

const change = (schema: string, ...statements: readonly string[]): DefinitionChange => ({
  title: statements.join('; '),
  schema,
  statements,
})

/** Every clause of ALTER TABLE in both manuals, and every other statement that changes a table without firing a trigger. */
export const DEFINITION_CHANGES: readonly DefinitionChange[] = [
  // columns that replace another one
  change(PLAIN, 'ALTER TABLE T DROP COLUMN c, ADD COLUMN c INT DEFAULT 7 AFTER id'),
  change(PLAIN, 'ALTER TABLE T DROP COLUMN c, ADD COLUMN c INT DEFAULT 9 AFTER id'),
  change(PLAIN, 'ALTER TABLE T DROP COLUMN c', 'ALTER TABLE T ADD COLUMN c INT DEFAULT 7 AFTER id'),
  change(PLAIN, 'ALTER TABLE T DROP COLUMN a', 'ALTER TABLE T ADD COLUMN a INT DEFAULT 7'),
  change(PLAIN, 'ALTER TABLE T CHANGE a c INT DEFAULT 7, CHANGE c a INT DEFAULT 7'),
  change(PLAIN, 'ALTER TABLE T CHANGE a c INT DEFAULT 7 AFTER id, CHANGE c a INT DEFAULT 7 AFTER c'),
  change(PLAIN, 'ALTER TABLE T RENAME COLUMN a TO c, RENAME COLUMN c TO a'),
  change(PLAIN, 'ALTER TABLE T DROP a, CHANGE c a INT DEFAULT 7, ADD c INT DEFAULT 7 AFTER id'),
  change(PLAIN, 'ALTER TABLE T DROP a, CHANGE c a INT DEFAULT 7', 'ALTER TABLE T ADD c INT DEFAULT 7 AFTER id'),
  change(PLAIN, 'ALTER TABLE T ADD x INT DEFAULT 1', 'ALTER TABLE T DROP x', 'ALTER TABLE T ADD x INT DEFAULT 2'),
  change(PLAIN, 'ALTER TABLE T ADD x INT DEFAULT 1, ADD y INT DEFAULT 2', 'ALTER TABLE T CHANGE x y INT DEFAULT 1, CHANGE y x INT DEFAULT 2'),
  change(PLAIN, 'ALTER TABLE T RENAME COLUMN a TO z'),
  change(PLAIN, 'ALTER TABLE T CHANGE a A INT DEFAULT 7'),
  change(PLAIN, 'ALTER TABLE T CHANGE id nr INT NOT NULL'),
  change(PLAIN, 'ALTER TABLE T MODIFY a INT DEFAULT 7 FIRST'),
  change(PLAIN, 'ALTER TABLE T MODIFY a INT DEFAULT 7 AFTER id'),
  change(COMPOSITE, 'ALTER TABLE T CHANGE k l INT, CHANGE l k INT'),
  change(COMPOSITE, 'ALTER TABLE T RENAME COLUMN k TO l, RENAME COLUMN l TO k'),
  change(COMPOSITE, 'ALTER TABLE T RENAME COLUMN k TO c, RENAME COLUMN c TO k'),
  change(COMPOSITE, 'ALTER TABLE T DROP PRIMARY KEY, ADD PRIMARY KEY (l, k)'),
  change(COMPOSITE, 'ALTER TABLE T DROP PRIMARY KEY, ADD PRIMARY KEY (k)'),
  change(COMPOSITE, 'ALTER TABLE T DROP PRIMARY KEY'),
  change(COMPOSITE, 'ALTER TABLE T DROP PRIMARY KEY, ADD UNIQUE KEY (k, l), MODIFY k INT NOT NULL, MODIFY l INT NOT NULL'),
  change(COMPOSITE, 'ALTER TABLE T ADD COLUMN i INT NOT NULL AUTO_INCREMENT UNIQUE'),
  change(KEYLESS, 'ALTER TABLE T DROP COLUMN c, ADD COLUMN c INT DEFAULT 7 FIRST'),
  change(KEYLESS, 'ALTER TABLE T CHANGE a c INT DEFAULT 7, CHANGE c a INT DEFAULT 7'),
  change(KEYLESS, 'ALTER TABLE T ADD COLUMN i INT NOT NULL AUTO_INCREMENT PRIMARY KEY'),
  change(KEYLESS, 'ALTER TABLE T ADD COLUMN x INT DEFAULT 4'),
  // independent columns
  change(BASE, 'ALTER TABLE T ADD COLUMN x INT'),
  change(BASE, 'ALTER TABLE T ADD COLUMN x INT NOT NULL DEFAULT 5 FIRST'),
  change(BASE, "ALTER TABLE T ADD COLUMN (x VARCHAR(9) DEFAULT 'q', y DATETIME DEFAULT '2020-02-02 00:00:00')"),
  change(BASE, 'ALTER TABLE T ADD COLUMN x TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP'),
  change(BASE, 'ALTER TABLE T DROP COLUMN a'),
  change(BASE, 'ALTER TABLE T DROP COLUMN n'),
  change(BASE, 'ALTER TABLE T ALTER c SET DEFAULT 70'),
  change(BASE, 'ALTER TABLE T ALTER c DROP DEFAULT'),
  change(BASE, 'ALTER TABLE T MODIFY c INT NOT NULL DEFAULT 7'),
  change(BASE, 'ALTER TABLE T MODIFY n INT NULL'),
  change(BASE, "ALTER TABLE T MODIFY c INT DEFAULT 7 COMMENT 'x'"),
  change(BASE, 'ALTER TABLE T MODIFY c BIGINT'),
  change(BASE, 'ALTER TABLE T MODIFY c BIGINT UNSIGNED'),
  change(BASE, 'ALTER TABLE T MODIFY c SMALLINT'),
  change(BASE, 'ALTER TABLE T MODIFY c VARCHAR(10)'),
  change(BASE, 'ALTER TABLE T MODIFY c DECIMAL(10,2)'),
  change(BASE, 'ALTER TABLE T MODIFY c DOUBLE'),
  change(BASE, 'ALTER TABLE T MODIFY c INT ZEROFILL'),
  change(BASE, 'ALTER TABLE T MODIFY d DOUBLE(8,2)'),
  change(BASE, 'ALTER TABLE T MODIFY d FLOAT'),
  change(BASE, 'ALTER TABLE T MODIFY d DECIMAL(10,1)'),
  change(BASE, 'ALTER TABLE T MODIFY b VARCHAR(60)'),
  change(BASE, 'ALTER TABLE T MODIFY b VARCHAR(300)'),
  change(BASE, 'ALTER TABLE T MODIFY b VARCHAR(1)'),
  change(BASE, 'ALTER TABLE T MODIFY b TEXT, DROP INDEX ix'),
  change(BASE, 'ALTER TABLE T MODIFY b CHAR(20)'),
  change(BASE, 'ALTER TABLE T MODIFY b VARCHAR(20) COLLATE utf8mb4_bin'),
  change(BASE, 'ALTER TABLE T MODIFY b VARCHAR(20) CHARACTER SET latin1'),
  change(BASE, 'ALTER TABLE T MODIFY b VARBINARY(20)'),
  change(BASE, "ALTER TABLE T MODIFY e ENUM('x','y','z')"),
  change(BASE, "ALTER TABLE T MODIFY e ENUM('y','x')"),
  change(BASE, "ALTER TABLE T MODIFY e ENUM('a','x','y')"),
  change(BASE, "ALTER TABLE T MODIFY e SET('x','y')"),
  change(BASE, 'ALTER TABLE T MODIFY e VARCHAR(5)'),
  change(BASE, 'ALTER TABLE T MODIFY e INT'),
  change(BASE, 'ALTER TABLE T MODIFY dt DATETIME'),
  change(BASE, 'ALTER TABLE T MODIFY dt DATETIME(6)'),
  change(BASE, 'ALTER TABLE T MODIFY dt DATE'),
  change(BASE, 'ALTER TABLE T MODIFY dt VARCHAR(40)'),
  change(BASE, 'ALTER TABLE T CONVERT TO CHARACTER SET latin1'),
  change(BASE, 'ALTER TABLE T CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'),
  change(BASE, 'ALTER TABLE T DEFAULT CHARACTER SET latin1'),
  change(BASE, 'ALTER TABLE T MODIFY b VARCHAR(20) INVISIBLE'),
  change(BASE, 'ALTER TABLE T ALTER COLUMN b SET INVISIBLE'),
  change(BASE, 'ALTER TABLE T MODIFY b VARCHAR(20) COMPRESSED, DROP INDEX ix'),
  // generated columns
  change(VIRTUAL, 'ALTER TABLE T MODIFY v INT AS (a + 2) VIRTUAL'),
  change(VIRTUAL, 'ALTER TABLE T DROP v, ADD v INT AS (a + 3) VIRTUAL'),
  change(VIRTUAL, 'ALTER TABLE T MODIFY b VARCHAR(20) COLLATE utf8mb4_bin'),
  change(VIRTUAL, 'ALTER TABLE T ALTER a SET DEFAULT 70'),
  change(VIRTUAL, 'ALTER TABLE T MODIFY s INT AS (a * 3) STORED'),
  change(VIRTUAL, 'ALTER TABLE T DROP s, ADD s INT AS (a * 4) STORED'),
  change(VIRTUAL, 'ALTER TABLE T MODIFY s INT'),
  change(VIRTUAL, 'ALTER TABLE T DROP v'),
  change(VIRTUAL, 'ALTER TABLE T ADD z INT AS (a - 1) VIRTUAL'),
  change(VIRTUAL, 'ALTER TABLE T ADD z INT AS (a - 1) STORED'),
  change(VIRTUAL, 'ALTER TABLE T MODIFY v BIGINT AS (a + 1) VIRTUAL'),
  change(`CREATE TABLE T (id INT NOT NULL PRIMARY KEY, a INT DEFAULT 7, z INT AS (DEFAULT(a) + id) VIRTUAL) ENGINE=InnoDB; INSERT INTO T (id) VALUES (1), (2)`, 'ALTER TABLE T ALTER a SET DEFAULT 70'),
  change(`CREATE TABLE T (id INT NOT NULL PRIMARY KEY, b VARCHAR(9) CHARACTER SET latin1, z INT AS (LENGTH(b)) VIRTUAL) ENGINE=InnoDB; INSERT INTO T (id, b) VALUES (1, 'ä'), (2, 'a')`, 'ALTER TABLE T MODIFY b VARCHAR(9) CHARACTER SET utf8mb4'),
  // keys whose values change with their type
  change(keyed('DATETIME(3)', "'2020-01-01 10:00:00.600'", "'2020-01-01 11:00:00.200'"), 'ALTER TABLE T MODIFY k DATETIME NOT NULL'),
  change(keyed('DATETIME', "'2020-01-01 10:00:00'"), 'ALTER TABLE T MODIFY k DATETIME(3) NOT NULL'),
  change(keyed('DOUBLE', '0.1', '2.5'), 'ALTER TABLE T MODIFY k FLOAT NOT NULL'),
  change(keyed('FLOAT', '0.1', '2.5'), 'ALTER TABLE T MODIFY k DOUBLE NOT NULL'),
  change(keyed('DECIMAL(10,3)', '1.555', '2.111'), 'ALTER TABLE T MODIFY k DECIMAL(10,1) NOT NULL'),
  change(keyed('VARCHAR(20)', "'ü'", "'a'"), 'ALTER TABLE T MODIFY k VARCHAR(20) CHARACTER SET latin1 NOT NULL'),
  change(keyed('VARCHAR(20) CHARACTER SET utf8mb4', "'€'", "'a'"), 'ALTER TABLE T MODIFY k VARCHAR(20) CHARACTER SET ascii NOT NULL'),
  change(keyed('VARCHAR(20)', "'12'", "'7'"), 'ALTER TABLE T MODIFY k INT NOT NULL'),
  change(keyed('INT', '12', '7'), 'ALTER TABLE T MODIFY k VARCHAR(20) NOT NULL'),
  change(keyed('INT', '12', '7'), 'ALTER TABLE T MODIFY k BIGINT UNSIGNED NOT NULL'),
  change(keyed('INT', '12', '7'), 'ALTER TABLE T MODIFY k TINYINT NOT NULL'),
  change(keyed('CHAR(4)', "'a'", "'b'"), 'ALTER TABLE T MODIFY k VARBINARY(4) NOT NULL'),
  change(keyed('BINARY(4)', "'a'", "'b'"), 'ALTER TABLE T MODIFY k BINARY(6) NOT NULL'),
  change(keyed("ENUM('x','y')", "'x'", "'y'"), "ALTER TABLE T MODIFY k ENUM('y','x') NOT NULL"),
  change(keyed("ENUM('x','y')", "'x'", "'y'"), "ALTER TABLE T MODIFY k ENUM('x','z','y') NOT NULL"),
  change(keyed('TIME(3)', "'10:00:00.600'", "'11:00:00'"), 'ALTER TABLE T MODIFY k TIME NOT NULL'),
  change(keyed('TIMESTAMP(3)', "'2020-01-01 10:00:00.600'"), 'ALTER TABLE T MODIFY k TIMESTAMP(0) NOT NULL'),
  change(keyed('DATETIME', "'2020-01-01 10:00:00'", "'2020-01-02 10:00:00'"), 'ALTER TABLE T MODIFY k DATE NOT NULL'),
  change(keyed('BIT(4)', "b'1010'"), 'ALTER TABLE T MODIFY k BIT(8) NOT NULL'),
  change(keyed('YEAR', '2020', '2021'), 'ALTER TABLE T MODIFY k INT NOT NULL'),
  // indexes and constraints
  change(BASE, 'ALTER TABLE T ADD INDEX q (c)'),
  change(BASE, 'ALTER TABLE T ADD UNIQUE KEY q (c)'),
  change(BASE, 'ALTER TABLE T ADD FULLTEXT KEY q (b)'),
  change(BASE, 'ALTER TABLE T DROP INDEX ix'),
  change(BASE, 'ALTER TABLE T RENAME INDEX ix TO iz'),
  change(BASE, 'ALTER TABLE T ALTER INDEX ix INVISIBLE'),
  change(BASE, 'ALTER TABLE T ALTER INDEX ix IGNORED'),
  change(BASE, 'ALTER TABLE T DISABLE KEYS'),
  change(UNIQUE, 'ALTER TABLE T DROP PRIMARY KEY'),
  change(UNIQUE, 'ALTER TABLE T DROP PRIMARY KEY, ADD PRIMARY KEY (c)'),
  change(UNIQUE, 'ALTER TABLE T DROP INDEX uc'),
  change(UNIQUE, 'ALTER TABLE T RENAME INDEX uc TO uz'),
  change(UNIQUE, 'ALTER TABLE T CHANGE c a INT NOT NULL, CHANGE a c INT NOT NULL'),
  change(BASE, 'ALTER TABLE T ADD CONSTRAINT q CHECK (c > 0)'),
  change(BASE, 'ALTER TABLE T ADD CONSTRAINT q CHECK (c > 0)', 'ALTER TABLE T DROP CONSTRAINT q'),
  change(FAMILY, 'ALTER TABLE T DROP FOREIGN KEY T_fk'),
  change(FAMILY, 'ALTER TABLE T DROP FOREIGN KEY T_fk', 'ALTER TABLE T ADD CONSTRAINT T_fk FOREIGN KEY (u) REFERENCES U (id) ON DELETE SET NULL'),
  change(FAMILY, 'ALTER TABLE T ADD CONSTRAINT T_f2 FOREIGN KEY (c) REFERENCES U (c) ON UPDATE CASCADE', 'UPDATE U SET c = 5 WHERE id = 1'),
  change(FAMILY, 'ALTER TABLE U ADD x INT DEFAULT 3', 'DELETE FROM U WHERE id = 2'),
  change(FAMILY, 'ALTER TABLE T ADD x INT DEFAULT 3', 'DELETE FROM U WHERE id = 2'),
  // storage
  change(BASE, 'ALTER TABLE T FORCE'),
  change(BASE, 'ALTER TABLE T ENGINE = InnoDB'),
  change(BASE, 'ALTER TABLE T ENGINE = MyISAM'),
  change(BASE, 'ALTER TABLE T ROW_FORMAT = COMPRESSED'),
  change(BASE, 'ALTER TABLE T ROW_FORMAT = DYNAMIC'),
  change(BASE, "ALTER TABLE T COMMENT = 'x'"),
  change(BASE, 'ALTER TABLE T AUTO_INCREMENT = 1000'),
  change(BASE, 'ALTER TABLE T STATS_PERSISTENT = 1'),
  change(BASE, 'ALTER TABLE T MAX_ROWS = 1000'),
  change(BASE, 'ALTER TABLE T ORDER BY c'),
  change(BASE, 'ALTER TABLE T TABLESPACE = innodb_system'),
  change(BASE, 'ALTER TABLE T MODIFY id INT NOT NULL AUTO_INCREMENT'),
  change(BASE, 'OPTIMIZE TABLE T'),
  change(BASE, 'ANALYZE TABLE T'),
  change(BASE, 'REPAIR TABLE T'),
  change(BASE, 'TRUNCATE TABLE T'),
  change(BASE, 'TRUNCATE TABLE T', "INSERT INTO T (id, c) VALUES (2, 99)"),
  change(BASE, 'ALTER TABLE T ADD SYSTEM VERSIONING'),
  change(BASE, 'ALTER TABLE T ADD SYSTEM VERSIONING', 'DELETE FROM T WHERE id = 1', 'ALTER TABLE T DROP SYSTEM VERSIONING'),
  // another table under the same name
  change(TWO, 'DROP TABLE T', 'CREATE TABLE T (id INT NOT NULL PRIMARY KEY, c INT) ENGINE=InnoDB', 'INSERT INTO T VALUES (7, 7)'),
  change(TWO, 'CREATE OR REPLACE TABLE T (id INT NOT NULL PRIMARY KEY, c INT) ENGINE=InnoDB', 'INSERT INTO T VALUES (8, 8)'),
  change(TWO, 'CREATE OR REPLACE TABLE T (id INT NOT NULL PRIMARY KEY, c VARCHAR(5)) ENGINE=InnoDB AS SELECT 5 id, 5 c'),
  change(TWO, 'RENAME TABLE T TO T_x, U TO T, T_x TO U'),
  change(TWO, 'RENAME TABLE T TO T_x', 'RENAME TABLE T_x TO T'),
  change(TWO, 'ALTER TABLE T RENAME TO T_y'),
  change(TWO, 'DROP TABLE T'),
  change(TWO, 'DROP TABLE T', 'CREATE VIEW T AS SELECT * FROM U'),
  change(TWO, 'CREATE TABLE T_new LIKE T', 'INSERT INTO T_new SELECT id, c + 1 FROM T', 'RENAME TABLE T TO T_old, T_new TO T'),
  // engines without transactions
  change(MYISAM, 'ALTER TABLE T ADD COLUMN x INT DEFAULT 3'),
  change(MYISAM, 'ALTER TABLE T DROP COLUMN c, ADD COLUMN c INT DEFAULT 7 AFTER id'),
  change(MYISAM, 'ALTER TABLE T CHANGE a c INT, CHANGE c a INT DEFAULT 7'),
  change(MYISAM, 'RENAME TABLE T TO T_x, U TO T, T_x TO U'),
  change(MYISAM, 'TRUNCATE TABLE T'),
  change(MYISAM, 'ALTER TABLE T ENGINE = InnoDB'),
  // partitions
  change(PARTITIONED, 'ALTER TABLE T TRUNCATE PARTITION p0'),
  change(PARTITIONED, 'ALTER TABLE T DROP PARTITION p1'),
  change(PARTITIONED, 'ALTER TABLE T EXCHANGE PARTITION p0 WITH TABLE U'),
  change(PARTITIONED, 'ALTER TABLE T DROP COLUMN c, ADD COLUMN c INT DEFAULT 7 AFTER id'),
  change(PARTITIONED, 'ALTER TABLE T REORGANIZE PARTITION p0 INTO (PARTITION p00 VALUES LESS THAN (5), PARTITION p01 VALUES LESS THAN (10))'),
  change(PARTITIONED, 'ALTER TABLE T REBUILD PARTITION p0'),
  change(PARTITIONED, 'ALTER TABLE T OPTIMIZE PARTITION p0'),
  change(PARTITIONED, 'ALTER TABLE T REMOVE PARTITIONING'),
  change(PARTITIONED, 'ALTER TABLE T DISCARD PARTITION p0 TABLESPACE'),
  change(HASHED, 'ALTER TABLE T ADD PARTITION PARTITIONS 2'),
  change(HASHED, 'ALTER TABLE T COALESCE PARTITION 1'),
  change(HASHED, 'ALTER TABLE T TRUNCATE PARTITION ALL'),
  change(HASHED, 'ALTER TABLE T PARTITION BY KEY (id) PARTITIONS 2'),
  change(PLAIN, 'ALTER TABLE T PARTITION BY HASH (id) PARTITIONS 2'),
] // biome-ignore format: one change a line

/** DEFINITIONS=all tries every algorithm that a server accepts; otherwise the server chooses one. */
const ALGORITHMS = process.env['DEFINITIONS'] === 'all' ? ['', 'INSTANT', 'NOCOPY', 'INPLACE', 'COPY'] : ['']

/**
 * Pairs each change with each algorithm; a test skips pairs that the server refuses. Takes one change in `share`, starting
 * at `first`: modes with different values of `first` cover all changes together.
 */
export function changesByAlgorithm(share = 1, first = 0): (DefinitionChange & { readonly algorithm: string })[] {
  const isTaken = (_: unknown, at: number): boolean => process.env['DEFINITIONS'] === 'all' || at % share === first
  return DEFINITION_CHANGES.filter(isTaken).flatMap((each) => {
    const isAlter = each.statements.some((statement) =>
      /^ALTER TABLE \w+ (?!RENAME TO|DISCARD|.*PARTITION)/.test(statement),
    )
    return (isAlter ? ALGORITHMS : ['']).map((algorithm) => ({ ...each, algorithm }))
  })
}

/** The statements as they are sent, with the tables' own names. */
export function statementsOf(
  { schema, statements, algorithm }: DefinitionChange & { readonly algorithm: string },
  name: string,
): { readonly schema: string; readonly statements: readonly string[] } {
  const named = (text: string): string => text.replace(/\bT(?=\b|_)/g, name).replace(/\bU\b/g, `${name}_u`)
  const suffix = algorithm === '' ? '' : `, ALGORITHM=${algorithm}`
  return {
    schema: named(schema),
    statements: statements.map(
      (statement) =>
        named(statement) + (statement.startsWith('ALTER TABLE') && !statement.includes('PARTITION') ? suffix : ''),
    ),
  }
}
