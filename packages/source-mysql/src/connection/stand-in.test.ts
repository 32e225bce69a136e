import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { NO_TLS, SyncError } from '@mylab-sync/core'
import { createSource } from '../source.js'

function packet(number: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([body.length, 0, 0, number]), body])
}

/** All capabilities of the protocol, encryption among them. */
const GREETING = Buffer.concat([
  Buffer.from('\u000a8.0.30\0\u0001\0\0\0abcdefgh\0', 'latin1'),
  Buffer.from([0xff, 0xff, 45, 2, 0, 0xff, 0x00, 21]),
  Buffer.from(`${'\0'.repeat(10)}ijklmnopqrst\0mysql_native_password\0`, 'latin1'),
])
const LOGGED_IN = Buffer.from([0, 0, 0, 2, 0, 0, 0])

test('what comes with the greeting, before the encryption, is no answer of the server', {
  timeout: 30_000,
}, async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {}).write(Buffer.concat([packet(0, GREETING), packet(1, LOGGED_IN)]))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const place = {
    host: '127.0.0.1',
    port,
    user: 'u',
    password: 'p',
    database: 'd',
    tls: { ...NO_TLS, mode: 'require' } as const,
  }
  try {
    await assert.rejects(
      createSource({ ...place, auditTable: 'sync_audit_log', instance: 'default' }),
      (error) => error instanceof SyncError && error.code === 'cannot-connect',
    )
  } finally {
    server.close()
  }
})
