import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { NO_TLS, SyncError } from '@mylab-sync/core'
import { createTarget } from '../target.js'

const ANSWERS: Readonly<Record<string, readonly number[]>> = {
  'a way to log in that there is not': [0x52, 0, 0, 0, 8, 0, 0, 0, 99],
  // SASL without a mechanism
  'a login that the driver gives up': [0x52, 0, 0, 0, 9, 0, 0, 0, 10, 0],
}

test('what no server says ends a connection, and not the process', { timeout: 60_000 }, async (t) => {
  for (const [what, answer] of Object.entries(ANSWERS))
    await t.test(what, async () => {
      const open = new Set<Socket>()
      const server = createServer((socket) => {
        open.add(socket)
        socket.on('error', () => {}).once('data', () => void socket.write(Buffer.from(answer)))
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const place = { host: '127.0.0.1', port, user: 'u', password: 'p', database: 'd', schema: 'public' }
      try {
        await assert.rejects(
          createTarget({ ...place, stateSchema: 'mylab_sync', tls: NO_TLS, instance: 'default' }),
          (error) => error instanceof SyncError && error.code === 'cannot-connect',
        )
        // Nothing is left open, though the other side does not hang up.
        for (const socket of open) if (!socket.destroyed) await once(socket, 'close')
      } finally {
        for (const socket of open) socket.destroy()
        server.close()
      }
    })
})
