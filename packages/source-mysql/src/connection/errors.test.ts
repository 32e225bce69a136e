import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorNumber, mapped } from './errors.js'

test('driver errors are told apart by number and code, and never quoted but for refusals of an account', () => {
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
