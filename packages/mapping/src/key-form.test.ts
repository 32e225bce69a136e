import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SourceColumn } from '@mylab-sync/core'
import { testColumn, testTable } from './fixtures.js'
import { isKeyOf } from './key-form.js'
import { keyMapping } from './keys.js'
import { defaultMappingOptions } from './options.js'
import { mapTables } from './tables.js'

const FORMS: readonly (readonly [SourceColumn, good: readonly string[], bad: readonly string[]])[] = [
  [testColumn('c', 'int'), ['0', '-2147483648', '2147483647'], ['2147483648', '01', '-0', '', 'x', '1 OR 1=1', '1,2', '１']],
  [testColumn('c', 'bigint', { unsigned: true }), ['18446744073709551615'], ['18446744073709551616', '-1', '1.0', '1e3']],
  [testColumn('c', 'bit', { precision: 3 }), ['7'], ['8']],
  [testColumn('c', 'year'), ['0', '1901', '2155'], ['1900', '2156']],
  [testColumn('c', 'enum', { members: ['a', 'b'] }), ['0', '2'], ['3', '-1', 'a']],
  [testColumn('c', 'set', { members: ['a', 'b'] }), ['0', '3'], ['4']],
  [testColumn('c', 'decimal', { precision: 5, scale: 2 }), ['-999.99', '0.00', '12'], ['1000.00', '1.234', '.5', '1e2', '--1']],
  [testColumn('c', 'double'), ['FFFFFFFFFFFFEFFF', '0000000000000000'], ['0000000000000080', '000000000000F07F', '0.5', 'ffffffffffffefff']],
  [testColumn('c', 'float'), ['000000A09999B93F'], ['9A9999999999B93F']],
  [testColumn('c', 'double', { precision: 8, scale: 2 }), ['-0.10', '999999.99'], ['0.1', '1e2', '5']],
  [testColumn('c', 'date'), ['0000-00-00', '9999-12-31', '2024-02-31'], ['2024-13-01', '2024-01-32', '24-1-1', "' OR '1"]],
  [testColumn('c', 'datetime', { fraction: 3 }), ['2024-01-02 23:59:59.123'], ['2024-01-02', '2024-01-02 24:00:00', '2024-01-02T00:00:00']],
  [testColumn('c', 'timestamp'), ['1970-01-01 00:00:01', '0000-00-00 00:00:00'], ['now', '2024-01-02 00:60:00']],
  [testColumn('c', 'time'), ['-838:59:59', '00:00:00', '101:00:00'], ['839:00:00', '1:2:3', '00:00']],
  [testColumn('c', 'varchar', { length: 2, charset: 'utf8mb4' }), ['', 'C3A9', 'F09F9880'], ['C3', 'FF', 'A', 'ZZ', '41'.repeat(9)]],
  [testColumn('c', 'varchar', { length: 2, charset: 'utf8mb3' }), ['C3A9'], ['F09F9880']],
  [testColumn('c', 'varchar', { length: 2, charset: 'utf16' }), ['D83DDE00', '0041'], ['D83D', '41']],
  [testColumn('c', 'varchar', { length: 2, charset: 'utf32' }), ['0001F600'], ['00110000', '0041']],
  [testColumn('c', 'varchar', { length: 2, charset: 'ascii' }), ['41'], ['80']],
  [testColumn('c', 'varbinary', { length: 2 }), ['', '00FF'], ['00FF00', '0']],
  [testColumn('c', 'uuid'), ['123e4567-e89b-12d3-a456-426614174000'], ['123e4567e89b12d3a456426614174000', "1';--"]],
  [testColumn('c', 'inet4'), ['1.2.3.4'], ['1.2.3.400', '::1']],
  [testColumn('c', 'inet6'), ['::1', '::ffff:1.2.3.4'], ['1.2.3.4', ':::']],
] // biome-ignore format: pairs

for (const [column, good, bad] of FORMS)
  test(`a token of ${column.columnType || column.dataType} ${column.charset ?? ''} is accepted only if the type can have it`, () => {
    const mapping = mapTables([testTable('t', [column], { primaryKey: ['c'] })], defaultMappingOptions).mapped.get('t')
    assert.ok(mapping)
    const key = keyMapping(mapping, ['c'])
    for (const token of good) assert.ok(isKeyOf(key, token, 'mysql'), token)
    for (const token of bad) assert.ok(!isKeyOf(key, token, 'mysql'), token)
  })

test('a key has as many tokens as its table has key columns', () => {
  const table = testTable('t', [testColumn('a'), testColumn('b')], { primaryKey: ['a', 'b'] })
  const mapping = mapTables([table], defaultMappingOptions).mapped.get('t')
  assert.ok(mapping)
  const key = keyMapping(mapping, ['a', 'b'])
  assert.deepEqual(
    ['1,2', '1', '1,2,3', '1,', ''].map((text) => isKeyOf(key, text, 'mysql')),
    [true, false, false, false, false],
  )
})

test('half a surrogate pair is a value where the server stores it', () => {
  for (const charset of ['utf8mb4', 'utf8mb3']) {
    const column = testColumn('c', 'varchar', { length: 3, charset })
    const mapping = mapTables([testTable('t', [column], { primaryKey: ['c'] })], defaultMappingOptions).mapped.get('t')
    assert.ok(mapping)
    const key = keyMapping(mapping, ['c'])
    for (const [token, onMariadb] of [
      ['EDA080', true],
      ['61EDBFBFED9FBF', true],
      ['EDA0', false],
      ['EDC080', false],
    ] as const) {
      assert.equal(isKeyOf(key, token, 'mariadb'), onMariadb, token)
      assert.equal(isKeyOf(key, token, 'mysql'), false, token)
    }
  }
})
