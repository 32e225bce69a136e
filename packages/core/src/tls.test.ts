import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_TLS, TLS_MODES, weaknessOf } from './tls.js'

test('a line beyond this machine is weak unless it is encrypted and its certificate verified', () => {
  const found = (encrypted: boolean, address: string | null): (string | null)[] =>
    TLS_MODES.map((mode) => weaknessOf({ ...NO_TLS, mode }, { encrypted, address }))
  for (const address of [null, '127.0.0.1', '127.8.0.1', '::1', '::ffff:127.0.0.1'])
    assert.deepEqual(found(false, address), [null, null, null, null, null], String(address))
  for (const address of ['10.0.0.7', '::ffff:10.0.0.7', '2001:db8::1', '1270.example']) {
    assert.deepEqual(found(false, address), ['plain', 'plain', 'plain', 'plain', 'plain'], address)
    assert.deepEqual(found(true, address), ['unverified', 'unverified', 'unverified', null, null], address)
  }
})
