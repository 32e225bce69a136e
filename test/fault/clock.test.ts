import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, shiftedClock, sharedServers } from '@mylab-sync/testkit'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { textRows } from '../support/content.js'
import { Fleet } from '../support/fleet.js'

const HOUR_MS = 3_600_000
const WAIT_MS = 60_000
/** The longest pause between two attempts of a drain, the tolerated difference of clocks, a tick, and the work itself. */
const HASTENED_MS = 30_000

const servers = await sharedServers({ services: ['mariadb', 'postgres', 'redis'] })

/** Every drain times out waiting for this lock, and its job is delayed. */
const HELD = 'BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE'
const GIVEN_BACK = 'ROLLBACK'

/** Clock errors of three hosts: the one where a drain fails and is delayed, the next tick's, and the one left to drain. */
const HOSTS = [
  { what: 'failing worker ahead', failing: HOUR_MS, scheduler: 0, left: 0 },
  {
    what: 'worker and scheduler ahead',
    failing: HOUR_MS,
    scheduler: HOUR_MS,
    left: 0,
  },
  { what: 'remaining worker behind', failing: 0, scheduler: 0, left: -HOUR_MS },
] as const

for (const [number, { what, failing, scheduler, left }] of HOSTS.entries()) {
  test(`failed work is retried in time despite wrong clocks: ${what}`, async (t) => {
    const name = `clock_${number}`
    const prefix = `{${name}}`
    await using fleet = await Fleet.open(servers, name, 100, { SYNC_QUEUE_PREFIX: prefix })
    const connection = new Redis(servers.redisUrl, { maxRetriesPerRequest: null })
    const drains = new Queue('drain', { connection, prefix })
    try {
      assert.equal((await fleet.cli.run(['initial', '--create-tables'])).code, 0)
      await fleet.reader.query(HELD)
      await fleet.app.query("INSERT INTO a (id, v, t) VALUES (1000, 1, 'late')")
      const ticking = fleet.cli.start(['scheduler'], shiftedClock(scheduler))
      const first = await fleet.start(['worker'], shiftedClock(failing))
      await eventually('the drain is put off', async () => (await drains.getDelayedCount()) === 1, WAIT_MS)
      await first.kill()
      await eventually('no drain job is active', async () => (await drains.getActiveCount()) === 0, WAIT_MS)
      const [job] = await drains.getDelayed()
      assert.ok(job, 'it is put off still')
      await fleet.reader.query(GIVEN_BACK)
      await fleet.start(['worker'], shiftedClock(left))
      const since = performance.now()
      const arrived = async (): Promise<boolean> =>
        (await textRows(fleet.reader, 'SELECT count(*) FROM a WHERE id = 1000'))[0]?.[0] === '1'
      await eventually('the change arrives', arrived, HASTENED_MS)
      t.diagnostic(`after ${Math.round((performance.now() - since) / 100) / 10} s`)
      assert.equal(ticking.ended, false, ticking.said)
    } finally {
      await drains.close()
      await connection.quit()
    }
  })
}
