import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DigestScope, RowDigest, TableMapping } from '@mylab-sync/core'
import { loadModel } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { createInstallation, type Installation } from '../support/installation.js'

const servers = await sharedServers()

/** Column type -> values, as SQL. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  'TINYINT NULL': ['0', '1', '-1', '127', 'NULL'],
  'TINYINT(1) NULL': ['0', '1', '2', 'NULL'],
  'INT(5) UNSIGNED ZEROFILL NULL': ['0', '7', '4294967295', 'NULL'],
  'BIGINT NULL': ['0', '9223372036854775807', '-9223372036854775808', 'NULL'],
  'BIGINT UNSIGNED NULL': ['0', '18446744073709551615', '9223372036854775808', 'NULL'],
  'DECIMAL(30,10) NULL': ['0', '-0.0000000001', '12345678901234567890.0123456789', '1.5', '1.50', 'NULL'],
  'DECIMAL(6,2) ZEROFILL NULL': ['0', '1.5', '9999.99', 'NULL'],
  'FLOAT NULL': ['0', '0.1', '3.4e38', '1.17e-38', '-2.5', '16777217', 'NULL'],
  'DOUBLE NULL': [
    '0',
    "'-0'",
    '0.1',
    '0.30000000000000004',
    '1.7e308',
    '5e-324',
    '-1.2345678901234567e-100',
    '-1.2345678901234567e-10',
    '1e15',
    '1e16',
    'NULL',
  ],
  'FLOAT(7,2) NULL': ['0', '0.1', '12345.67', 'NULL'],
  'BIT(1) NULL': ["b'0'", "b'1'", 'NULL'],
  'BIT(64) NULL': ['0', '1', '18446744073709551615', 'NULL'],
  'YEAR NULL': ['2020', '1901', '0', 'NULL'],
  'DATE NULL': ["'2020-02-29'", "'9999-12-31'", "'0099-01-01'", "'0000-00-00'", 'NULL'],
  'DATETIME NULL': ["'2020-01-01 00:00:00'", "'2020-01-01 00:00:01'", "'0000-00-00 00:00:00'", 'NULL'],
  'DATETIME(6) NULL': [
    "'2020-01-01 00:00:00'",
    "'2020-01-01 10:20:30.100000'",
    "'2020-01-01 10:20:30.000001'",
    "'2020-01-01 10:20:30.123456'",
    'NULL',
  ],
  'TIMESTAMP(3) NULL': [
    "'2020-01-01 00:00:00'",
    "'2020-03-29 01:30:00.120'",
    "'2037-01-01 00:00:00.001'",
    "'0000-00-00 00:00:00'",
    'NULL',
  ],
  'TIME NULL': ["'00:00:00'", "'-00:00:01'", "'838:59:59'", "'-838:59:59'", "'24:00:00'", 'NULL'],
  'TIME(6) NULL': ["'00:00:00.100000'", "'10:00:00'", "'-10:00:00.000001'", 'NULL'],
  'CHAR(6) NULL': ["''", "'a'", "'A'", "'a  '", "' a'", 'NULL'],
  'VARCHAR(40) NULL': ["''", "'a'", "'A'", "'a '", "'é'", "'e'", "'a|1:b'", "'0:'", "'NULL'", "'😀'", "'E'", 'NULL'],
  'VARCHAR(40) CHARACTER SET latin1 NULL': ["''", "'é'", "'€'", "'a '", 'NULL'],
  'VARCHAR(300) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NULL': ["''", "'é'", "'x '", 'NULL'],
  'LONGTEXT NULL': ["''", "'a'", "'A'", "REPEAT('é', 70000)", 'NULL'],
  'VARBINARY(9) NULL': ["''", "'a'", "X'00'", "X'0000'", "X'E9'", 'NULL'],
  'BINARY(4) NULL': ["''", "'a'", "X'01020304'", 'NULL'],
  'LONGBLOB NULL': ["''", "X'00FF'", "REPEAT('x', 70000)", 'NULL'],
  "ENUM('a','b','') NULL": ["'a'", "'b'", "''", '0', 'NULL'],
  "ENUM('x','y') NULL": ["'x'", "'y'", '0', 'NULL'],
  "SET('a','b','c') NULL": ["''", "'a'", "'a,b'", "'a,b,c'", 'NULL'],
  "SET('a b','{') NULL": ["''", "'a b'", "'{'", 'NULL'],
  'JSON NULL': [`'{"b": 1.5, "a": [1, 2]}'`, `'{"b": 1.50, "a": [1,2]}'`, "'[]'", "'null'", '\'"\\\\u00e9"\'', 'NULL'],
  'POINT NULL': ["ST_GeomFromText('POINT(1 2)')", 'NULL'],
}
const TYPES = Object.keys(VALUES)
/** Values that have another text on either side, and are compared by value: as type and value. */
const UNLIKE = new Set([
  // NULL stands for it only where that is configured.
  "ENUM('a','b','') NULL 0",
  "ENUM('x','y') NULL 0",
])
const UNDIGESTED = ['FLOAT(7,2) NULL', "SET('a b','{') NULL", 'POINT NULL']
const ROWS = Math.max(...Object.values(VALUES).map((values) => values.length))

async function digests(
  { source, target }: Installation,
  table: TableMapping,
  ids: readonly string[],
): Promise<{ readonly source: readonly string[]; readonly target: readonly string[] }> {
  await using snapshot = await source.openSnapshot()
  await using reader = await target.beginSnapshot()
  const all = async (digestOf: (scope: DigestScope) => Promise<RowDigest>): Promise<string[]> => {
    const texts: string[] = []
    for (const id of ids) {
      const { rows, sums } = await digestOf({ range: { lower: null, upper: null }, keys: [id] })
      assert.equal(rows, 1)
      texts.push(sums.join())
    }
    return texts
  }
  return {
    source: await all((scope) => snapshot.rows.digest(table, scope)),
    target: await all((scope) => reader.comparison.digest(table, scope)),
  }
}

test('equal digests of both servers are of equal values, for values of every type', async () => {
  const columns = TYPES.map((type, at) => `c${at} ${type}`)
  const rows = Array.from(
    { length: ROWS },
    (_, row) => `(${row}, ${TYPES.map((type) => VALUES[type]?.[row] ?? 'NULL').join(', ')})`,
  )
  await using installation = await createInstallation(servers, 'digests', {
    schema: `SET SESSION sql_mode = ''; CREATE TABLE t (id INT PRIMARY KEY, ${columns.join(', ')}) ENGINE=InnoDB; INSERT INTO t VALUES ${rows.join(', ')}`,
    copied: true,
  })
  const mapping = (await loadModel(installation.context)).mapping('t')
  const expectNone = [...UNDIGESTED, ...(servers.isMysql ? [] : ['JSON NULL'])]
  const none = TYPES.filter((_, at) => mapping.columns[at + 1]?.digest === null)
  assert.deepEqual(none.sort(), expectNone.sort())
  for (const [at, type] of TYPES.entries()) {
    const column = mapping.columns[at + 1]
    if (column === undefined || column.digest === null) continue
    const values = VALUES[type] ?? []
    const ids = values.map((_, id) => String(id))
    const { source, target } = await digests(installation, { ...mapping, columns: [column] }, ids)
    const held = (await installation.rows(`SELECT c${at}::text FROM t WHERE id < ${values.length} ORDER BY id`)).flat()
    for (const [i, value] of values.entries()) {
      const place = `${type} ${value}`
      if (!UNLIKE.has(place)) assert.equal(source[i], target[i], place)
      for (const [j, other] of values.entries())
        if (source[i] === target[j]) assert.equal(held[i], held[j], `${place} and ${other}`)
    }
  }
})

test('a digest tells apart rows whose texts run together', async () => {
  const texts = ["'a|1:b', 'c'", "'a', '1:b|c'", "'', NULL", "NULL, ''", "'1:a', ''", "'', '1:a'", "'a', 'c'"]
  await using installation = await createInstallation(servers, 'digest_rows', {
    schema: `CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b VARCHAR(20)) ENGINE=InnoDB; INSERT INTO t VALUES ${texts.map((text, id) => `(${id}, ${text})`).join(', ')}`,
    copied: true,
  })
  const mapping = (await loadModel(installation.context)).mapping('t')
  const columns = mapping.columns.filter(({ name }) => name !== 'id')
  const ids = texts.map((_, id) => String(id))
  const { source, target } = await digests(installation, { ...mapping, columns }, ids)
  assert.deepEqual(source, target)
  assert.equal(new Set(source).size, texts.length)
})
