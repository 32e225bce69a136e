import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Grants } from './grants.js'

const on = (lines: readonly string[], right: string, table: string | null = null, database = 'my_app'): boolean =>
  new Grants(lines, database).on(right, table)

test('rights on everything, on a database pattern and on a table are told apart', () => {
  assert.ok(on(['GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION'], 'TRIGGER'))
  assert.ok(on(['GRANT SELECT, TRIGGER ON `my\\_app`.* TO `u`@`%`'], 'TRIGGER'))
  assert.ok(!on(['GRANT SELECT, TRIGGER ON `my\\_app`.* TO `u`@`%`'], 'TRIGGER', null, 'my-app'))
  assert.ok(on(['GRANT SELECT, TRIGGER ON `my%`.* TO `u`@`%`'], 'TRIGGER'))
  assert.ok(on(["GRANT TRIGGER ON `my_app`.`o``d` TO 'u'@'%'"], 'TRIGGER', 'o`d'))
  assert.ok(!on(["GRANT TRIGGER ON `my_app`.`o` TO 'u'@'%'"], 'TRIGGER'))
  assert.ok(!on(['GRANT USAGE ON *.* TO `u`@`%`', 'GRANT `role`@`%` TO `u`@`%`'], 'SELECT'))
})

test('a printed grant covers no other database, and reads back as one on this', () => {
  for (const [database, place] of [
    ['lab_prod', '`lab\\_prod`.*'],
    ['100%', '`100\\%`.*'],
    ['a\\b`c', '`a\\\\b``c`.*'],
    ['clinic', '`clinic`.*'],
  ] as const) {
    const grants = new Grants([`GRANT SELECT ON ${place} TO \`u\`@\`%\``], database)
    assert.equal(grants.place, place)
    assert.ok(grants.on('SELECT', null), database)
    const other = database.replace(/[_%]/, 'X')
    if (other !== database)
      assert.ok(!new Grants([`GRANT SELECT ON ${place} TO \`u\`@\`%\``], other).on('SELECT', null), other)
  }
})

test('under partial_revokes a name is no pattern, and none is printed', () => {
  const line = (name: string): string => `GRANT SELECT ON \`${name}\`.* TO \`u\`@\`%\``
  assert.equal(new Grants([], 'lab_prod', true).place, '`lab_prod`.*')
  assert.ok(new Grants([line('lab_prod')], 'lab_prod', true).on('SELECT', null))
  assert.ok(!new Grants([line('lab\\_prod')], 'lab_prod', true).on('SELECT', null))
  assert.ok(!new Grants([line('lab%')], 'lab_prod', true).on('SELECT', null))
})

test('a right on single columns does not count for the table', () => {
  const lines = ['GRANT SELECT (`id`, `a,b`), INSERT, UPDATE (`x`) ON `my_app`.`t` TO `u`@`%`']
  assert.ok(!on(lines, 'SELECT', 't'))
  assert.ok(!on(lines, 'UPDATE', 't'))
  assert.ok(on(lines, 'INSERT', 't'))
})

test('a partial revoke removes a global right from this database', () => {
  const lines = ['GRANT SELECT, PROCESS ON *.* TO `u`@`%`', 'REVOKE SELECT ON `my_app`.* FROM `u`@`%`']
  assert.ok(!on(lines, 'SELECT'))
  assert.ok(new Grants(lines, 'my_app').global('PROCESS'))
})

test('a right anywhere in the database counts: on it, on a table of it, or global', () => {
  const may = (line: string): boolean => new Grants([line], 'clinic').anywhere('TRIGGER')
  for (const line of [
    'GRANT ALL PRIVILEGES ON *.* TO `a`@`%`',
    'GRANT SELECT, TRIGGER ON `clin%`.* TO `a`@`%`',
    'GRANT TRIGGER ON `clinic`.`t` TO `a`@`%`',
  ])
    assert.equal(may(line), true, line)
  for (const line of ['GRANT USAGE ON *.* TO `a`@`%`', 'GRANT TRIGGER ON `other`.* TO `a`@`%`'])
    assert.equal(may(line), false, line)
})
