import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressOf, LogIns } from './log-ins.js'

test('an address with several wrong passwords is checked one at a time, others at once', () => {
  let now = 0
  const logIns = new LogIns(() => now)
  for (let n = 0; n < 10; n++) assert.equal(logIns.turn('a'), 0, `attempt ${n}`)
  for (let n = 1; n <= 20; n++) assert.equal(logIns.turn('a'), 300 * n)
  assert.equal(logIns.turn('a'), null)
  assert.equal(logIns.turn('b'), 0)
  now += 6_300
  assert.equal(logIns.turn('a'), 0)
  now += 600_000
  for (let n = 0; n < 10; n++) assert.equal(logIns.turn('a'), 0, `attempt ${n} after a while`)
})

test('a correct password costs nothing and waits only behind wrong ones', () => {
  const logIns = new LogIns(() => 0)
  for (let n = 0; n < 1_000; n++) {
    assert.equal(logIns.turn('a'), 0)
    logIns.right('a')
  }
  for (let n = 0; n < 10; n++) logIns.turn('a')
  assert.equal(logIns.turn('a'), 300)
})

test('many addresses together are throttled, but not one that has logged in before', () => {
  const logIns = new LogIns(() => 0)
  logIns.turn('viewer')
  logIns.right('viewer')
  for (let n = 0; n < 100; n++) logIns.turn(`stranger ${n}`)
  assert.equal(logIns.turn('another stranger'), 100)
  assert.equal(logIns.turn('viewer'), 0)
})

test('any number of addresses uses no more memory than ten thousand', () => {
  let now = 0
  const logIns = new LogIns(() => now)
  // known, so that it has its own count alone
  logIns.right('first')
  for (let n = 0; n < 10; n++) logIns.turn('first')
  for (let n = 0; n < 10_000; n++) {
    // slowly enough for all of them together
    now += 200
    logIns.turn(`address ${n}`)
  }
  now -= 10_000 * 200
  assert.equal(logIns.turn('first'), 0)
})

test('any spelling of an IPv4 address counts as one, and so does an IPv6 network', () => {
  assert.equal(addressOf({ remoteAddress: '::ffff:10.0.0.7' }), '10.0.0.7')
  assert.equal(addressOf({ remoteAddress: '10.0.0.7' }), '10.0.0.7')
  assert.equal(addressOf({ remoteAddress: '2001:db8:1:2:3:4:5:6' }), '2001:db8:1:2::/64')
  assert.equal(addressOf({ remoteAddress: '2001:db8:1:2::6' }), '2001:db8:1:2::/64')
  assert.equal(addressOf({ remoteAddress: '::1' }), '0:0:0:0::/64')
  assert.equal(addressOf({ remoteAddress: 'fe80::1%eth0' }), 'fe80:0:0:0::/64')
  assert.equal(addressOf({}), '')
})
