import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConstraintViolated, SyncError } from '@mylab-sync/core'
import pg from 'pg'
import { connectError, isRowRefusal, mapped, refusalMessage, RowsFailed } from './errors.js'

function databaseError(code: string, fields: Partial<pg.DatabaseError> = {}): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('Key (name)=(SECRET) and more', 1, 'error'), { code }, fields)
}

test('a driver error becomes one of ours by its SQLSTATE, without a word of its own', () => {
  const table: readonly (readonly [string, string])[] = [
    ['55P03', 'lock-timeout'],
    ['40P01', 'lock-timeout'],
    ['42501', 'missing-right'],
    ['25006', 'missing-right'],
    ['42P01', 'not-migrated'],
    ['57P01', 'lost-connection'],
    ['25P03', 'lost-connection'],
    ['57P05', 'lost-connection'],
    ['53100', 'unavailable'],
    ['53200', 'unavailable'],
    ['53400', 'unavailable'],
    ['XX000', 'internal'],
  ]
  for (const [code, expected] of table) {
    const error = mapped(databaseError(code))
    assert.ok(error instanceof SyncError)
    assert.equal(error.code, expected, code)
    assert.ok(!error.message.includes('SECRET'))
  }
})

test('a refused right and a refused login are told in the words of the server', () => {
  const denied = new pg.DatabaseError('permission denied for schema public', 1, 'error')
  const right = mapped(Object.assign(denied, { code: '42501', routine: 'aclcheck_error' }))
  assert.match(right.message, /\(42501\): permission denied for schema public$/)
  const login = connectError(Object.assign(new pg.DatabaseError('no entry', 1, 'error'), { code: '28000' }), 'h:1/d')
  assert.equal(login.message, 'target h:1/d: cannot connect (pg_hba.conf lets nobody in like that, 28000): no entry')
})

test('a violated constraint is named by table, name and kind', () => {
  for (const [code, kind] of [
    ['23503', 'foreign-key'],
    ['23505', 'unique'],
    ['23514', 'check'],
  ] as const) {
    const error = mapped(databaseError(code, { table: 't', constraint: 'c' }))
    assert.ok(error instanceof ConstraintViolated)
    assert.deepEqual([error.table, error.constraint, error.kind], ['t', 'c', kind])
    assert.ok(!error.message.includes('SECRET'))
  }
})

test('only what one row can be guilty of is a refusal', () => {
  for (const code of ['22001', '22P02', '22021', '23502', '54000']) assert.ok(isRowRefusal(databaseError(code)), code)
  for (const code of ['23503', '23505', '23514', '40001', '57014', '53100'])
    assert.ok(!isRowRefusal(databaseError(code)), code)
  assert.ok(!isRowRefusal(new Error('x')))
})

test('a refusal names its place, not its value', () => {
  assert.equal(refusalMessage(databaseError('23502', { column: 'a' }), 't'), 'column a: refused by PostgreSQL')
  assert.equal(refusalMessage(databaseError('22001'), 't'), 'table t: refused by PostgreSQL')
})

test('an error of the rows that a COPY reads is passed on as it is', () => {
  const cause = new SyncError('truncated-read', 'x')
  assert.equal(mapped(new RowsFailed(cause)), cause)
})
