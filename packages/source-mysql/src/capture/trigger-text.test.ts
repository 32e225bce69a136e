import assert from 'node:assert/strict'
import { test } from 'node:test'
import { column, keyColumn, keyMapping } from '../test-support.js'
import { literalSql, tokenSql } from './token.js'
import { isOurTrigger, triggerBody, triggerName } from './trigger-text.js'

test('a trigger name is short, stable and distinct for each installation', () => {
  const name = triggerName('ünï `x`', 'INSERT', 'default')
  assert.match(name, /^mylab_[0-9a-f]{12}_ai$/)
  assert.equal(name, triggerName('ünï `x`', 'INSERT', 'default'))
  assert.notEqual(triggerName('t', 'UPDATE', 'a-b'), triggerName('t', 'UPDATE', 'ab'))
  assert.ok(isOurTrigger(triggerName('t', 'DELETE', 'lab 2')))
  assert.ok(!isOurTrigger('user_trigger'))
})

test('an update logs the old key only if a token differs', () => {
  const key = keyMapping([keyColumn(column('id', 'int'), 'integer')], 9)
  assert.equal(
    triggerBody({ table: "it's", key }, 'UPDATE', 'sync_audit_log'),
    "IF @mylab_sync_bypass IS NULL THEN INSERT INTO `sync_audit_log` (table_name, operation, row_key, old_key, flags) VALUES ('it''s', 'UPDATE', CONCAT_WS(',', (NEW.`id` + 0)), NULLIF(CONCAT_WS(',', (OLD.`id` + 0)), CONCAT_WS(',', (NEW.`id` + 0))), 9); END IF",
  )
})

test('a keyless table logs an empty key', () => {
  assert.match(triggerBody({ table: 't', key: null }, 'UPDATE', 'log'), /VALUES \('t', 'UPDATE', '', 0\)/)
})

test('tokens of every kind', () => {
  const of = (type: string, rule: Parameters<typeof keyColumn>[1]): string =>
    tokenSql(keyColumn(column('c', type), rule), 'NEW.')
  assert.equal(of('set', 'integer'), 'CAST(NEW.`c` AS UNSIGNED)')
  assert.equal(of('bit', 'integer'), '(NEW.`c` + 0)')
  assert.equal(of('decimal', 'decimal'), 'CAST(NEW.`c` AS CHAR)')
  assert.equal(of('float', 'bits'), 'SUBSTR(HEX(POINT(NEW.`c` + 0e0, 0)), 19, 16)')
  assert.equal(of('varchar', 'text'), 'HEX(NEW.`c`)')
  assert.equal(of('time', 'temporal'), 'CAST(NEW.`c` AS CHAR)')
  assert.match(of('timestamp', 'timestamp'), /UNIX_TIMESTAMP\(NEW\.`c`\)/)
})

test('literals are rendered by kind; an invalid token is refused without quoting it', () => {
  assert.equal(literalSql(keyColumn(column('c', 'varchar'), 'text'), 'C3A9'), "_latin1 X'C3A9'")
  assert.equal(literalSql(keyColumn(column('c', 'varbinary'), 'binary'), ''), "X''")
  assert.equal(literalSql(keyColumn(column('c', 'double'), 'bits'), '000000000000E0BF'), '-5e-1')
  assert.equal(literalSql(keyColumn(column('c', 'double'), 'bits'), 'FFFFFFFFFFFFEF7F'), '1.7976931348623157e+308')
  assert.equal(literalSql(keyColumn(column('c', 'double', { scale: 2 }), 'digits'), '-0.10'), '-10e-2')
  assert.equal(literalSql(keyColumn(column('c', 'set'), 'integer'), '18446744073709551615'), '-1')
  assert.equal(literalSql(keyColumn(column('c', 'time'), 'temporal'), '-838:59:59.000'), "'-838:59:59.000'")
  assert.throws(
    () => literalSql(keyColumn(column('c', 'int'), 'integer'), '1 OR 1'),
    (error: Error) => !error.message.includes('OR 1'),
  )
})
