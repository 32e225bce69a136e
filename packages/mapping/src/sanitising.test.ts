import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testColumn, testTable } from './fixtures.js'
import { type ColumnOption, defaultMappingOptions } from './options.js'
import { valueOutcomes } from './sanitising.js'
import { mapTables } from './tables.js'

function outcomes(types: Readonly<Record<string, ColumnOption>>): Record<string, string[]> {
  const columns = [
    testColumn('id'),
    testColumn('d', 'date'),
    testColumn('n', 'datetime', { nullable: true }),
    testColumn('s', 'varchar', { length: 9 }),
    testColumn('j', 'longtext', { json: true }),
    testColumn('e', 'enum', { members: ['a'] }),
  ]
  const { mapped } = mapTables([testTable('t', columns, { primaryKey: ['id'] })], { ...defaultMappingOptions, types })
  const mapping = mapped.get('t')
  assert.ok(mapping)
  return Object.fromEntries(
    mapping.columns.map((column) => [
      column.name,
      valueOutcomes(column).map(({ rule, outcome }) => `${rule}: ${outcome}`),
    ]),
  )
}

test('the description of sanitising matches what the conversions do', () => {
  assert.deepEqual(outcomes({}), {
    id: [],
    d: ['zero-date: 0001-01-01', 'partial-date: 0001-01-01'],
    n: ['zero-date: NULL', 'partial-date: NULL'],
    s: ['nul-byte: U+0000 is removed'],
    j: ['nul-escape: \\u0000 is removed', 'invalid-json: a JSON string of the text'],
    e: ["enum-error: ''"],
  })
})

test('options change the description of sanitising', () => {
  const found = outcomes({ date: { 'zero-date': '-infinity' }, varchar: { 'nul-byte': 'quarantine' } })
  assert.deepEqual(found['d'], ['zero-date: -infinity', 'partial-date: -infinity'])
  assert.deepEqual(found['s'], ['nul-byte: the row is quarantined'])
})
