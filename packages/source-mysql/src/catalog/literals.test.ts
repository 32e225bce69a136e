import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mariadbDefault, members, mysqlDefault } from './literals.js'

test('members of ENUM and SET', () => {
  assert.deepEqual(members(String.raw`enum('a\\b','it''s','','x,y','n\nl')`), ['a\\b', "it's", '', 'x,y', 'n\nl'])
  assert.deepEqual(members("set('r')"), ['r'])
  assert.equal(members('int(11)'), null)
})

test("MariaDB's defaults are expressions", () => {
  assert.deepEqual(mariadbDefault(null), { kind: 'none' })
  assert.deepEqual(mariadbDefault('NULL'), { kind: 'none' })
  assert.deepEqual(mariadbDefault("'NULL'"), { kind: 'literal', text: 'NULL' })
  assert.deepEqual(mariadbDefault("'a''b'"), { kind: 'literal', text: "a'b" })
  assert.deepEqual(mariadbDefault("x'00fF'"), { kind: 'bytes', hex: '00fF' })
  assert.deepEqual(mariadbDefault("'0x00'"), { kind: 'literal', text: '0x00' })
  assert.deepEqual(mariadbDefault('-1.5'), { kind: 'literal', text: '-1.5' })
  assert.deepEqual(mariadbDefault('current_timestamp(6)'), { kind: 'current-timestamp' })
  assert.deepEqual(mariadbDefault("concat('a','b')"), { kind: 'expression', text: "concat('a','b')" })
})

test("MySQL's defaults are bare", () => {
  assert.deepEqual(mysqlDefault('NULL', '', 'varchar'), { kind: 'literal', text: 'NULL' })
  assert.deepEqual(mysqlDefault('CURRENT_TIMESTAMP(3)', 'DEFAULT_GENERATED', 'datetime'), { kind: 'current-timestamp' })
  assert.deepEqual(mysqlDefault('uuid()', 'DEFAULT_GENERATED', 'varchar'), { kind: 'expression', text: 'uuid()' })
  assert.deepEqual(mysqlDefault('0x', '', 'varbinary'), { kind: 'expression', text: '0x' })
  assert.deepEqual(mysqlDefault("b'101'", '', 'bit'), { kind: 'expression', text: "b'101'" })
})
