import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLoopback, lineFindings, tlsReason } from './lines.js'

const failed = (code: string): Error => Object.assign(new Error('text of a driver'), { code })

test('an unencrypted or unverified connection beyond this machine is reported', () => {
  const line = { side: 'redis', host: 'cache.example.org', remedy: 'rediss://' } as const
  const codes = (host: string, encrypted: boolean, verified: boolean): string[] =>
    lineFindings({ ...line, host, encrypted, verified }).map(({ code }) => code)
  for (const host of ['cache.example.org', '10.0.0.1', '2001:db8::1']) {
    assert.deepEqual(codes(host, false, false), ['line-unencrypted'])
    assert.deepEqual(codes(host, true, false), ['line-unverified'])
    assert.deepEqual(codes(host, true, true), [])
  }
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '/run/redis.sock'])
    assert.deepEqual(codes(host, false, false), [], host)
})

test('a name that merely starts like a local address is not local', () => {
  for (const host of ['127.0.0.1.example.org', '127.evil', '128.0.0.1', '::2', 'localhost.example.org'])
    assert.equal(isLoopback(host), false, host)
})

test('a refused certificate is explained by its code, never with driver text', () => {
  assert.equal(tlsReason(failed('CERT_HAS_EXPIRED')), 'its certificate has expired')
  assert.equal(tlsReason(failed('ERR_TLS_CERT_ALTNAME_INVALID')), 'its certificate was issued for another name')
  assert.match(tlsReason(failed('SELF_SIGNED_CERT_IN_CHAIN')) ?? '', /authority/)
  assert.match(tlsReason(failed('ERR_SSL_WRONG_VERSION_NUMBER')) ?? '', /offers no encryption/)
  for (const by of ['SSLV3', 'TLSV1', 'SSL/TLS']) {
    assert.match(tlsReason(failed(`ERR_SSL_${by}_ALERT_BAD_CERTIFICATE`)) ?? '', /refuses our client certificate/)
    assert.match(tlsReason(failed(`ERR_SSL_${by}_ALERT_HANDSHAKE_FAILURE`)) ?? '', /requires a client certificate/)
  }
  assert.match(tlsReason(failed('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED')) ?? '', /requires a client certificate/)
  assert.match(tlsReason(failed('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA')) ?? '', /refuses our client certificate/)
  assert.equal(tlsReason(failed('ERR_SSL_SOMETHING_NEW')), 'TLS fails (ERR_SSL_SOMETHING_NEW)')
  for (const error of [failed('ECONNREFUSED'), failed('toString'), new Error('x'), null])
    assert.equal(tlsReason(error), null)
})
