import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConstraintViolated, SyncError, TableBroken, TargetTableUnfit } from '@mylab-sync/core'
import pg from 'pg'
import {
  connectError,
  isRowRefusal,
  mapped,
  ofTable,
  refusalMessage,
  RowsFailed,
  unreadNames,
  violatedUnique,
} from './errors.js'
import { testTable } from './test-support.js'

const T = testTable('t', { a: 'integer!' }, ['a'])

function databaseError(code: string, fields: Partial<pg.DatabaseError> = {}): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('Key (name)=(SECRET) and more', 1, 'error'), { code }, fields)
}

test('a driver error becomes one of ours by SQLSTATE, without any driver text', () => {
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

test("a denied right and a refused login are reported in the server's words", () => {
  const denied = new pg.DatabaseError('permission denied for schema public', 1, 'error')
  const right = mapped(Object.assign(denied, { code: '42501', routine: 'aclcheck_error' }))
  assert.match(right.message, /\(42501\): permission denied for schema public$/)
  const login = connectError(Object.assign(new pg.DatabaseError('no entry', 1, 'error'), { code: '28000' }), 'h:1/d')
  assert.equal(login.message, 'target h:1/d: cannot connect (pg_hba.conf admits no such connection, 28000): no entry')
})

test('a violated constraint is identified by table, name and kind', () => {
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

test("names in an error of a user's function are printed only if the catalog has them", () => {
  const forged = {
    table: 't',
    column: 'SECRET',
    constraint: 'SECRET',
    where: 'PL/pgSQL function f() line 1 at RAISE\nCOPY t',
  }
  for (const code of ['23505', '23503', '23514', '23502', '22001', 'P0001', '42501', '40P01', '53100']) {
    const error = databaseError(code, { ...forged, routine: 'exec_stmt_raise' })
    for (const told of [mapped(error).message, ofTable(T, error).message, refusalMessage(error, 't')])
      assert.ok(!told.includes('SECRET'), told)
    assert.ok(!(mapped(error) instanceof ConstraintViolated), code)
    assert.equal(violatedUnique(error, T), null)
    assert.deepEqual(unreadNames(error)?.constraint, 'SECRET')
  }
  const own = databaseError('23505', { table: 't', constraint: 'c', where: 'COPY t, line 1' })
  assert.equal(violatedUnique(own, T), 'c')
  assert.equal(unreadNames(own), null)
  const read = ofTable(T, databaseError('23505', forged), { table: 'notes', constraint: 'notes_pkey' })
  assert.match(read.message, /23505, constraint notes_pkey of table notes/)
})

test('only errors that a single row can cause count as refusals', () => {
  for (const code of ['22001', '22P02', '22021', '23502', '54000'])
    assert.ok(isRowRefusal(databaseError(code), T), code)
  for (const code of ['23503', '23505', '23514', '40001', '57014', '53100'])
    assert.ok(!isRowRefusal(databaseError(code), T), code)
  assert.ok(!isRowRefusal(new Error('x'), T))
})

test('a refusal names its place, not its value', () => {
  assert.equal(refusalMessage(databaseError('23502', { column: 'a' }), 't'), 'column a: refused by PostgreSQL')
  assert.equal(refusalMessage(databaseError('22001'), 't'), 'table t: refused by PostgreSQL')
})

test('an error of the rows that feed a COPY is passed on unchanged', () => {
  const cause = new SyncError('truncated-read', 'x')
  assert.equal(mapped(new RowsFailed(cause)), cause)
})

test('an error that no server, lock or row explains breaks the table of its statement', () => {
  const raised = { routine: 'exec_stmt_raise' }
  const table: readonly (readonly [string, Partial<pg.DatabaseError>, string])[] = [
    ['P0001', raised, 'table-broken'],
    ['57P01', raised, 'table-broken'],
    ['42P01', raised, 'table-broken'],
    ['53100', raised, 'unavailable'],
    ['42P01', { internalQuery: 'INSERT' }, 'table-broken'],
    ['42P01', {}, 'target-table-differs'],
    ['23505', { table: 'audit', constraint: 'c' }, 'table-broken'],
    ['23503', { table: 'audit', constraint: 'c', where: 'x' }, 'table-broken'],
    ['42501', {}, 'table-broken'],
    ['XX001', {}, 'table-broken'],
    ['ZZ999', {}, 'table-broken'],
    ['53100', {}, 'unavailable'],
    ['58030', {}, 'unavailable'],
    ['25006', {}, 'missing-right'],
    ['57P01', {}, 'lost-connection'],
    ['40001', {}, 'lock-timeout'],
    ['55P03', {}, 'lock-timeout'],
  ]
  for (const [code, fields, expected] of table) {
    const error = ofTable(T, databaseError(code, fields))
    assert.ok(error instanceof SyncError, code)
    assert.equal(error.code, expected, `${code} ${JSON.stringify(fields)}`)
    assert.ok(!error.message.includes('SECRET'))
    if (error instanceof TableBroken || error instanceof TargetTableUnfit) assert.equal(error.table, 't')
  }
  // A foreign key of another table that references these rows is suspended like one of ours.
  const standing = ofTable(T, databaseError('23503', { schema: 'other', table: 'note', constraint: 'c' }))
  assert.ok(standing instanceof ConstraintViolated && standing.schema === 'other')
})

test('refused accounts and certificates are not retried; a full or starting server is', () => {
  const retryOf = (code: string): string =>
    connectError(Object.assign(new pg.DatabaseError('x', 1, 'error'), { code }), 'h:1/d').retry
  for (const code of ['28000', '28P01', '3D000', 'SELF_SIGNED_CERT_IN_CHAIN'])
    assert.equal(retryOf(code), 'once-mended', code)
  for (const code of ['53300', '57P03', 'ECONNREFUSED', 'TLS_FILE_UNFIT'])
    assert.equal(retryOf(code), 'transient', code)
})
