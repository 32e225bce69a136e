import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SyncError, TableBroken } from '@mylab-sync/core'
import { connectError, errorNumber, mapped, ofTable } from './errors.js'

test('driver errors are mapped by number and code; only account refusals are quoted', () => {
  const driver = (errno: number, code: string): Error =>
    Object.assign(new Error("Duplicate entry 'secret'"), { errno, code })
  assert.equal(mapped(driver(1045, 'ER_ACCESS_DENIED_ERROR'), 'x').code, 'cannot-connect')
  assert.equal(mapped(driver(3118, 'ER_ACCOUNT_HAS_BEEN_LOCKED'), 'x').code, 'cannot-connect')
  assert.equal(mapped(driver(1412, 'ER_TABLE_DEF_CHANGED'), 'x').code, 'generation-changed')
  assert.equal(mapped(driver(-111, 'ECONNREFUSED'), 'x').code, 'cannot-connect')
  assert.equal(mapped(driver(-104, 'ECONNRESET'), 'x').code, 'lost-connection')
  const other = mapped(driver(1062, 'ER_DUP_ENTRY'), 'writing')
  assert.equal(other.code, 'internal')
  assert.equal(other.message, 'source: writing: ER_DUP_ENTRY (1062)')
  assert.deepEqual([other.side, other.text], ['source', 'writing: ER_DUP_ENTRY (1062)'])
  assert.equal(errorNumber(other), 1062)
  const refused = Object.assign(new Error("Access denied for user 'a'@'localhost' (using password: YES)"), {
    errno: 1045,
    code: 'ER_ACCESS_DENIED_ERROR',
  })
  assert.equal(
    mapped(refused, 'x').message,
    "source: x: ER_ACCESS_DENIED_ERROR (1045): Access denied for user 'a'@'localhost' (using password: YES)",
  )
})

const driverError = (errno: number, message = 'secret'): Error =>
  Object.assign(new Error(message), { errno, code: `ER_${errno}` })

test("a read error is the table's own unless connection, server, lock or DDL caused it", () => {
  const codeOf = (errno: number, message?: string): string => {
    const error = ofTable('t', mapped(driverError(errno, message), 'statement failed'))
    return error instanceof SyncError ? error.code : 'none'
  }
  for (const number of [13, 29, 145, 1017, 1030, 1142, 1168, 1194, 1286, 1296, 1812, 1814, 1932, 64_999])
    assert.equal(codeOf(number), 'table-broken', String(number))
  for (const number of [20, 1021, 1041, 1047, 1114, 1290, 1317, 1792, 1836, 1969, 3024])
    assert.equal(codeOf(number), 'unavailable', String(number))
  for (const number of [1053, 1159, 1160, 1161, 4031]) assert.equal(codeOf(number), 'lost-connection', String(number))
  for (const number of [1040, 1226, 3032]) assert.equal(codeOf(number), 'cannot-connect', String(number))
  for (const number of [1205, 1213]) assert.equal(codeOf(number), 'lock-timeout', String(number))
  for (const number of [1054, 1146, 1176, 1412]) assert.equal(codeOf(number), 'generation-changed', String(number))
  assert.equal(codeOf(1030, 'Got error 28 "No space left on device" from storage engine InnoDB'), 'unavailable')
  assert.equal(codeOf(1030, 'Got error 194 "Tablespace is missing" from storage engine InnoDB'), 'table-broken')
  const broken = ofTable('t', mapped(driverError(1062), 'statement failed'))
  assert.ok(broken instanceof TableBroken)
  assert.equal(broken.message, 'table t: the source cannot read it: ER_1062 (1062)')
})

test('a hang-up or foreign protocol is no connection; a server error keeps its code', () => {
  assert.equal(connectError(new Error('Unexpected packet'), 'x').code, 'cannot-connect')
  assert.equal(connectError(Object.assign(new Error(''), { code: 'ECONNRESET' }), 'x').code, 'cannot-connect')
  assert.equal(connectError(driverError(1045), 'x').code, 'cannot-connect')
  assert.equal(connectError(driverError(1193), 'x').code, 'internal')
})

test('refused accounts and certificates are not retried; a full or starting server is', () => {
  const retryOf = (error: Error): string => connectError(error, 'x').retry
  const coded = (code: string): Error => Object.assign(new Error('x'), { code })
  for (const number of [1044, 1045, 1049, 1130, 1698, 1820, 1862, 3118, 3159, 3955, 4151])
    assert.equal(retryOf(driverError(number)), 'once-mended', String(number))
  for (const number of [1040, 1203, 1226, 3032, 1053]) assert.equal(retryOf(driverError(number)), 'transient')
  assert.equal(retryOf(coded('CERT_HAS_EXPIRED')), 'once-mended')
  for (const code of ['TLS_FILE_UNFIT', 'TLS_HANDSHAKE', 'ECONNREFUSED', 'ECONNRESET'])
    assert.equal(retryOf(coded(code)), 'transient', code)
})
