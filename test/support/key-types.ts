/** A type that a key may have, with its limits as SQL literals for a session without strict mode, in UTC-8. */
export interface KeyType {
  readonly name: string
  readonly sql: string
  /** Length of the key's prefix, in characters or bytes, if an index cannot hold a whole value. */
  readonly prefix?: number
  readonly mariadbOnly?: boolean
  /** Another type represents this kind, so this one is paired with a few types only. */
  readonly common?: boolean
  readonly values: readonly string[]
}

const integers: readonly KeyType[] = [
  { name: 'tiny', common: true, sql: 'TINYINT', values: ['-128', '0', '127'] },
  { name: 'tinyu', sql: 'TINYINT UNSIGNED ZEROFILL', values: ['0', '7', '255'] },
  { name: 'small', common: true, sql: 'SMALLINT', values: ['-32768', '-1', '32767'] },
  { name: 'medium', common: true, sql: 'MEDIUMINT UNSIGNED', values: ['0', '16777215'] },
  { name: 'intz', common: true, sql: 'INT(12) UNSIGNED ZEROFILL', values: ['0', '42', '4294967295'] },
  { name: 'int', sql: 'INT', values: ['-2147483648', '0', '2147483647'] },
  { name: 'big', sql: 'BIGINT', values: ['-9223372036854775808', '-9007199254740993', '9223372036854775807'] },
  { name: 'bigu', sql: 'BIGINT UNSIGNED', values: ['0', '9007199254740993', '9223372036854775808', '18446744073709551615'] }, // biome-ignore format: row
]

const DIGITS = '99999999999999999999999999999999999'
const numbers: readonly KeyType[] = [
  { name: 'dec', sql: 'DECIMAL(65, 30)', values: [`-${DIGITS}.999999999999999999999999999999`, '0', '1e-30', `${DIGITS}.999999999999999999999999999999`] }, // biome-ignore format: row
  { name: 'decz', common: true, sql: 'DECIMAL(10, 2) UNSIGNED ZEROFILL', values: ['0', '0.01', '99999999.99'] },
  { name: 'float', sql: 'FLOAT', values: ['-3.4028234e38', '-1.1e-20', '-0e0', '1.4e-45', '0.1', '16777217', '3.402823e38'] }, // biome-ignore format: row
  {
    name: 'double',
    sql: 'DOUBLE',
    values: ['-1.7976931348623157e308', '-1.7976931348623157e307', '-1.2345678901234567e-10', '-0e0', '4.9406564584124654e-324', '2.2250738585072014e-308', '0.1', '9007199254740993', '1.7976931348623157e308'], // biome-ignore format: row
  },
  { name: 'doubles', sql: 'DOUBLE(8, 2)', values: ['-999999.99', '-0.1', '0', '0.07', '1.005', '2.675', '999999.99'] },
  { name: 'doublez', common: true, sql: 'DOUBLE(9, 3) ZEROFILL', values: ['0', '0.001', '1234.5', '999999.999'] },
  { name: 'floats', sql: 'FLOAT(9, 2)', values: ['-1234567.625', '-0.1', '0', '0.07', '1234567.375', '1234567.625', '9999999.99'] }, // biome-ignore format: row
  { name: 'bit1', common: true, sql: 'BIT(1)', values: ["b'0'", "b'1'"] },
  {
    name: 'bit64',
    sql: 'BIT(64)',
    values: ["b'0'", "x'0020000000000001'", "x'8000000000000000'", "x'FFFFFFFFFFFFFFFF'"],
  },
  { name: 'year', sql: 'YEAR', values: ['0', '1901', '2155'] },
]

const dates: readonly KeyType[] = [
  { name: 'date', sql: 'DATE', values: ["'0000-00-00'", "'0001-01-01'", "'2024-02-29'", "'9999-12-31'"] },
  { name: 'dt', sql: 'DATETIME', values: ["'0000-00-00 00:00:00'", "'0001-01-01 00:00:00'", "'9999-12-31 23:59:59'"] },
  { name: 'dt3', common: true, sql: 'DATETIME(3)', values: ["'1000-01-01 00:00:00.001'", "'2024-02-29 12:00:00.500'"] },
  { name: 'dt6', sql: 'DATETIME(6)', values: ["'0000-00-00 00:00:00'", "'2024-02-29 12:00:00'", "'9999-12-31 23:59:59.999999'"] }, // biome-ignore format: row
  { name: 'ts', sql: 'TIMESTAMP', values: ["'0000-00-00 00:00:00'", "'1969-12-31 16:00:01'", "'2024-03-10 02:30:00'", "'2038-01-18 19:14:07'"] }, // biome-ignore format: row
  { name: 'ts6', sql: 'TIMESTAMP(6)', values: ["'0000-00-00 00:00:00'", "'1969-12-31 16:00:01.000001'", "'2038-01-18 19:14:07.999999'"] }, // biome-ignore format: row
  { name: 'time', common: true, sql: 'TIME', values: ["'-838:59:59'", "'00:00:00'", "'838:59:59'"] },
  { name: 'time6', sql: 'TIME(6)', values: ["'-838:59:58.999999'", "'-00:00:00.000001'", "'00:00:00.5'", "'838:59:58.999999'"] }, // biome-ignore format: row
]

const strings: readonly KeyType[] = [
  { name: 'char', sql: 'CHAR(5) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci', values: ["''", "_utf8mb4 X'F09F9880'", "'a,b'", "'''\\\\'"] }, // biome-ignore format: row
  { name: 'latin', sql: 'VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci', values: ["''", "_latin1 X'E9'", "'-1e5'", "'1'"] }, // biome-ignore format: row
  { name: 'bin', common: true, sql: 'VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', values: ["''", "'a'", "'A'", "_utf8mb4 X'C3A9'"] }, // biome-ignore format: row
  { name: 'ucs', sql: 'VARCHAR(20) CHARACTER SET ucs2 COLLATE ucs2_general_ci', values: ["''", "_ucs2 X'0031'", "_ucs2 X'00E9'"] }, // biome-ignore format: row
  {
    name: 'sjis',
    common: true,
    sql: 'VARCHAR(20) CHARACTER SET sjis COLLATE sjis_japanese_ci',
    values: ["''", "_sjis X'835C'", "'x'"],
  },
  { name: 'text', sql: 'TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci', prefix: 20, values: ["''", "'10'", "_utf8mb4 X'E38182'"] }, // biome-ignore format: row
  { name: 'binary', common: true, sql: 'BINARY(8)', values: ["X''", "X'00FF'", "X'FFFFFFFFFFFFFFFF'"] },
  { name: 'varbinary', sql: 'VARBINARY(20)', values: ["X''", "X'00'", "X'0000'", "X'2C27FF'"] },
  { name: 'blob', common: true, sql: 'BLOB', prefix: 20, values: ["X''", "X'30'", "X'FF00FF'"] },
]

const list = (count: number, quote: string): string =>
  Array.from({ length: count }, (_, at) => `'${quote}${at}'`).join(', ')

const members: readonly KeyType[] = [
  { name: 'enum', sql: "ENUM('a', 'b,c', 'd''e', '\u00fc ', '1', '0') CHARACTER SET utf8mb4", values: ['0', '1', '2', '3', '4', '5', '6'] }, // biome-ignore format: row
  { name: 'enum300', common: true, sql: `ENUM(${list(300, 'n')})`, values: ['0', '1', '70', '256', '300'] },
  { name: 'set', sql: "SET('a', 'd''e', '\u00fc', '1') CHARACTER SET utf8mb4", values: ['0', '1', '5', '15'] },
  { name: 'set64', sql: `SET(${list(64, 's')})`, values: ['0', '1', '9007199254740993', '9223372036854775808', '18446744073709551615'] }, // biome-ignore format: row
]

const mariadbs: readonly KeyType[] = [
  { name: 'uuid', sql: 'UUID', values: ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-eeee-4fff-8fff-0123456789ab'"] }, // biome-ignore format: row
  { name: 'inet4', sql: 'INET4', values: ["'0.0.0.0'", "'1.2.3.4'", "'255.255.255.255'"] },
  { name: 'inet6', sql: 'INET6', values: ["'::'", "'::ffff:1.2.3.4'", "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'"] },
].map((type) => ({ ...type, mariadbOnly: true }))

/** Types that are paired with every other type. */
const BESIDE = new Set(['int', 'enum', 'doubles'])

export function keyTypes(vendor: 'mariadb' | 'mysql'): readonly KeyType[] {
  return [...integers, ...numbers, ...dates, ...strings, ...members, ...mariadbs].filter(
    (type) => vendor === 'mariadb' || !type.mariadbOnly,
  )
}

/** All ordered pairs of types that represent a kind; `common` types are paired, both ways, with those in BESIDE only. */
export function pairsOfKeyTypes(vendor: 'mariadb' | 'mysql'): readonly (readonly [KeyType, KeyType])[] {
  const types = keyTypes(vendor)
  const isPaired = (a: KeyType, b: KeyType): boolean =>
    (!a.common || BESIDE.has(b.name)) && (!b.common || BESIDE.has(a.name))
  return types.flatMap((a) => types.filter((b) => isPaired(a, b)).map((b) => [a, b] as const))
}
