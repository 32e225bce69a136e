import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SyncError } from '@mylab-sync/core'
import type { QueueCount } from '@mylab-sync/dashboard'
import { ServerSet } from '@mylab-sync/testkit'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { ask } from '../support/ask.js'
import { startDashboard } from '../support/dashboard.js'

const AUTHORIZED = { authorization: `Basic ${Buffer.from('admin:x').toString('base64')}` }
const CHANGES = [
  ['PUT', 'api/queues/copy/pause'],
  ['PUT', 'api/queues/pause'],
  ['PUT', 'api/queues/copy/empty'],
  ['PUT', 'api/queues/copy/obliterate'],
  ['POST', 'api/queues/copy/add'],
  ['DELETE', 'api/queues/copy/1'],
] as const

test('the board shows the queues behind the same guards, read-only and without Redis', async () => {
  const servers = await ServerSet.start({ services: ['redis'] })
  const connection = new Redis(servers.redisUrl, { maxRetriesPerRequest: null })
  const queue = new Queue('copy', { connection })
  const open = (): Promise<never> => Promise.reject(new SyncError('cannot-connect', 'source: cannot connect'))
  const queueCounts = async (): Promise<QueueCount[]> => [
    { queue: 'copy', state: 'waiting', jobs: await queue.getWaitingCount() },
  ]
  await using dashboard = await startDashboard(servers, 'none', { password: 'x', queues: [queue], queueCounts, open })
  const at = (path: string): string => `${dashboard.url}queues/${path}`
  try {
    await queue.add('chunk', { table: 'a' })
    assert.equal((await ask(at('api/queues'))).status, 401)
    const shown = await ask(at('api/queues'), { headers: AUTHORIZED })
    assert.equal(shown.status, 200)
    assert.match(shown.body, /"name":"copy"/)
    assert.doesNotMatch(shown.body, /redis_version|maxmemory/)
    assert.equal((await ask(at('api/redis/stats'), { headers: AUTHORIZED })).status, 403)
    for (const [method, path] of CHANGES)
      assert.equal((await ask(at(path), { method, headers: AUTHORIZED })).status, 405, `${method} ${path}`)
    assert.equal(await queue.isPaused(), false)
    assert.equal(await queue.getWaitingCount(), 1)
    const metrics = await ask(`${dashboard.url}metrics`, { headers: AUTHORIZED })
    assert.match(metrics.body, /^mylab_sync_queue_jobs\{queue="copy",state="waiting"\} 1$/m)
    assert.match(metrics.body, /^mylab_sync_up 0$/m)
    const page = await ask(at(''), { headers: AUTHORIZED })
    assert.match(String(page.headers['content-security-policy']), /^default-src 'none'; script-src 'self'; /)
  } finally {
    await queue.close()
    await connection.quit()
    await servers.close()
  }
})
