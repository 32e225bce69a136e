import assert from 'node:assert/strict'
import { test } from 'node:test'
import { column, keyColumn, keyMapping } from '../test-support.js'
import { inSql, keysSql, rangeSql } from './predicates.js'

const a = keyColumn(column('a', 'int'), 'integer')
const b = keyColumn(column('b', 'varchar'), 'text')

test('a composite range starts with the first column alone', () => {
  const key = keyMapping([a, b])
  assert.equal(rangeSql(key, { lower: '1,61', upper: null }), "(`a` >= 1 AND (`a` > 1 OR `b` > _latin1 X'61'))")
  assert.equal(rangeSql(key, { lower: null, upper: '2,' }), "(`a` <= 2 AND (`a` < 2 OR `b` <= _latin1 X''))")
  assert.equal(rangeSql(key, { lower: null, upper: null }), 'TRUE')
})

test('an ENUM is compared by lists of its numbers', () => {
  const key = keyMapping([keyColumn(column('e', 'enum', { members: ['x', 'y', 'z'] }), 'integer')])
  assert.equal(rangeSql(key, { lower: '1', upper: null }), '`e` IN (2, 3)')
  assert.equal(rangeSql(key, { lower: '3', upper: null }), 'FALSE')
  assert.equal(rangeSql(key, { lower: null, upper: '1' }), '`e` IN (0, 1)')
})

test('keys are looked up by IN, composite ones as rows', () => {
  assert.equal(keysSql(keyMapping([a]), ['1', '-2']), '`a` IN (1, -2)')
  assert.equal(keysSql(keyMapping([a, b]), ['1,61']), "(`a`, `b`) IN ((1, _latin1 X'61'))")
  assert.equal(inSql([a], [a], []), 'FALSE')
})

test('a key with a different number of columns is refused', () => {
  assert.throws(() => keysSql(keyMapping([a, b]), ['1']))
})
