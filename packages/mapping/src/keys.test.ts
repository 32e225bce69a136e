import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SourceColumn, ValueRefused } from '@mylab-sync/core'
import { shownText } from './doubles.js'
import { testColumn, testTable } from './fixtures.js'
import { keyMapping } from './keys.js'
import { type ColumnOption, defaultMappingOptions } from './options.js'
import { mapTables } from './tables.js'

function keyColumn(column: SourceColumn, option?: ColumnOption) {
  const table = testTable('t', [column], { primaryKey: [column.name] })
  const columns = option === undefined ? {} : { t: { [column.name]: option } }
  const mapping = mapTables([table], { ...defaultMappingOptions, columns }).mapped.get('t')
  assert.ok(mapping)
  const [key] = keyMapping(mapping, [column.name.toUpperCase()]).columns
  assert.ok(key)
  return key
}

const PAIRS: readonly (readonly [SourceColumn, token: string, text: string, option?: ColumnOption])[] = [
  [testColumn('c', 'int'), '-5', '-5'],
  [testColumn('c', 'bigint', { unsigned: true }), '18446744073709551615', '18446744073709551615'],
  [testColumn('c', 'bit', { precision: 8 }), '5', '00000101'],
  [testColumn('c', 'bit', { precision: 64 }), '18446744073709551615', '1'.repeat(64)],
  [testColumn('c', 'enum', { members: ['a', 'b'] }), '2', 'b'],
  [testColumn('c', 'set', { members: ['a', 'b c', 'd'] }), '7', '{a,"b c",d}'],
  [testColumn('c', 'set', { members: ['a', 'b'] }), '2', 'b', 'text'],
  [testColumn('c', 'tinyint', { columnType: 'tinyint(1)' }), '1', 'true', 'boolean'],
  [testColumn('c', 'decimal', { precision: 10, scale: 2 }), '-1.50', '-1.50'],
  [testColumn('c', 'float'), '000000A09999B93F', '0.10000000149011612'],
  [testColumn('c', 'double'), 'FFFFFFFFFFFFEFFF', '-1.7976931348623157e+308'],
  [testColumn('c', 'double'), '0100000000000000', '5e-324'],
  [testColumn('c', 'double', { precision: 5, scale: 1 }), '-0.1', '-0.1'],
  [testColumn('c', 'float', { precision: 9, scale: 2, zerofill: true }), '001234.50', '001234.50'],
  [testColumn('c', 'date'), '0000-00-00', '-infinity'],
  [testColumn('c', 'date'), '0001-01-01', '0001-01-01'],
  [testColumn('c', 'date'), '0000-02-03', '0001-02-03 BC'],
  [testColumn('c', 'datetime', { fraction: 2 }), '2020-01-02 03:04:05.50', '2020-01-02 03:04:05.5'],
  [testColumn('c', 'datetime', { fraction: 2 }), '0000-00-00 00:00:00.00', '-infinity'],
  [testColumn('c', 'timestamp', { fraction: 6 }), '2020-01-02 03:04:05.000100', '2020-01-02 03:04:05.0001+00'],
  [testColumn('c', 'timestamp', { fraction: 0 }), '0000-00-00 00:00:00', '1970-01-01 00:00:00+00'],
  [testColumn('c', 'time', { fraction: 3 }), '-838:59:59.000', '-838:59:59'],
  [testColumn('c', 'time', { fraction: 3 }), '-00:00:00.500', '-00:00:00.5'],
  [testColumn('c', 'varchar', { length: 9, charset: 'latin1' }), '80E981', '€é\u0081'],
  [testColumn('c', 'varchar', { length: 9, charset: 'ucs2' }), '00E920AC', 'é€'],
  [testColumn('c', 'varchar', { length: 9, charset: 'sjis' }), '93FA', '日'],
  [testColumn('c', 'varchar', { length: 9 }), 'F09F9880', '😀'],
  [testColumn('c', 'varbinary', { length: 9 }), '00FF', '\\x00ff'],
  [testColumn('c', 'binary', { length: 16 }), 'AB'.repeat(16), 'abababab-abab-abab-abab-abababababab', 'uuid'],
  [testColumn('c', 'inet6'), '::ffff:1.2.3.4', '::ffff:1.2.3.4'],
]

for (const [column, token, text, option] of PAIRS) {
  test(`token ${column.dataType} ${token}`, () => {
    const key = keyColumn(column, option)
    assert.equal(key.toTarget(token), text)
    assert.equal(key.fromTarget(text), token)
  })
}

test('a byte token round-trips', () => {
  for (const charset of ['latin1', 'utf8mb4', 'cp1251', 'koi8r', 'utf16', 'gbk']) {
    const key = keyColumn(testColumn('c', 'varchar', { length: 9, charset }))
    for (let code = 1; code < 128; code += 1) {
      const token = key.fromTarget(`x${String.fromCharCode(code)}`)
      assert.equal(key.toTarget(token), `x${String.fromCharCode(code)}`)
      assert.equal(key.fromTarget(key.toTarget(token)), token)
    }
  }
})

test('a number with shown digits prints as the source prints it', () => {
  const table: readonly (readonly [number, digits: number, string])[] = [
    [0, 2, '0.00'],
    [-0, 2, '0.00'],
    [-0.001, 2, '0.00'],
    [-0.09999999999999998, 1, '-0.1'],
    [1234567.625, 2, '1234567.62'],
    [1234567.375, 2, '1234567.38'],
    [-1234567.625, 2, '-1234567.62'],
    [2.5, 0, '2'],
    [5e-324, 3, '0.000'],
    [1e22, 1, '10000000000000000000000.0'],
    [0.1, 20, '0.10000000000000000555'],
  ]
  for (const [value, digits, text] of table) assert.equal(shownText(value, digits), text)
})

test('keys that cannot be told apart are refused', () => {
  assert.throws(() => keyColumn(testColumn('c', 'enum', { members: ['a', ''] })).toTarget('0'), ValueRefused)
  assert.equal(keyColumn(testColumn('c', 'enum', { members: ['a'] })).toTarget('0'), '')
  assert.throws(() => keyColumn(testColumn('c', 'varchar', { length: 9 })).toTarget('00'), ValueRefused)
  const swe7 = testTable('t', [testColumn('c', 'varchar', { length: 9, charset: 'swe7' })], { primaryKey: ['c'] })
  assert.equal(mapTables([swe7], defaultMappingOptions).refused[0]?.column, 'c')
})

test('key layout depends on column order, sort order on both servers agreeing', () => {
  const table = testTable('t', [testColumn('a'), testColumn('b', 'varchar', { length: 5 })], { primaryKey: ['a'] })
  const mapping = mapTables([table], defaultMappingOptions).mapped.get('t')
  assert.ok(mapping)
  assert.equal(mapping.key?.sameOrder, true)
  assert.equal(keyMapping(mapping, ['a', 'b']).sameOrder, false)
  assert.notEqual(keyMapping(mapping, ['a', 'b']).layout, keyMapping(mapping, ['b', 'a']).layout)
})
