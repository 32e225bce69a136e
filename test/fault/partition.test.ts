import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync, chmodSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { eventually, NetworkNamespace, ServerSet } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import { Fleet, nap, WriteLoad } from '../support/fleet.js'
import { Cli, type CliProcess } from '../support/processes.js'

/**
 * One worker runs on a host of its own, whose lines to the three servers are cut silently: packets vanish, without FIN or
 * RST. Another worker runs beside the servers.
 */
const LINES = ['source', 'target', 'redis'] as const
type Line = (typeof LINES)[number]
/** PARTITIONS=all runs the long form. */
const KINDS = ['source', 'target', 'redis', 'host'] as const
const ASKED = process.env['PARTITIONS'] === 'all' ? KINDS : (['target'] as const)
/** Deadline for the other worker to take over, and for the cut-off one to resume once its line is restored. */
const MOST_MS = 40_000
const SETTLED_MS = 60_000

const skip = NetworkNamespace.obstacle() ?? false

let namespace: NetworkNamespace
let servers: ServerSet
let folder: string
before(async () => {
  if (skip) return
  namespace = NetworkNamespace.create(LINES)
  folder = mkdtempSync(join(tmpdir(), 'mylab-sync-hba-'))
  chmodSync(folder, 0o755)
  const logins = join(folder, 'pg_hba.conf')
  writeFileSync(
    logins,
    'local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all 198.18.0.0/15 scram-sha-256\n',
  )
  const [source, target, redis] = LINES.map((line) => namespace.addressOf(line))
  servers = await ServerSet.start({
    services: ['mariadb', 'postgres', 'redis'],
    extraArguments: {
      mariadb: [`--bind-address=127.0.0.1,${source}`],
      postgres: ['-c', `listen_addresses=127.0.0.1,${target}`, '-c', `hba_file=${logins}`],
      redis: ['--bind', '127.0.0.1', redis ?? '', '--protected-mode', 'no'],
    },
  })
})
after(async () => {
  if (skip) return
  await servers.close()
  namespace.close()
  rmSync(folder, { recursive: true })
})

function remoteCli(name: string): Cli {
  const port = new URL(servers.redisUrl).port
  return new Cli(
    {
      ...servers.environment({ source: name, target: name }),
      DB_HOST: namespace.addressOf('source'),
      PGSQL_HOST: namespace.addressOf('target'),
      REDIS_URL: `redis://${namespace.addressOf('redis')}:${port}`,
      SYNC_QUEUE_PREFIX: '{partition}',
      SYNC_INTERVAL: '1',
    },
    namespace.prefix,
  )
}

for (const kind of ASKED) {
  test(`a cut-off worker (${kind}) is replaced, and resumes once reconnected`, {
    skip,
  }, async (t) => {
    const name = `partition_${kind}`
    await using fleet = await Fleet.open(servers, name, 2_000, { SYNC_QUEUE_PREFIX: '{partition}' })
    const remote = remoteCli(name)
    const load = await WriteLoad.start(servers, name, 300)
    try {
      const { code, err } = await fleet.cli.run(['initial', '--create-tables', '--detach'])
      assert.equal(code, 0, err)
      const scheduler = await fleet.start(['scheduler'])
      const far = await startFar(remote)
      await eventually('all tables are live', async () => (await fleet.states()) === 'live', SETTLED_MS)
      await eventually('the far worker drains', () => far.printed.length > 0, SETTLED_MS)
      const near = await fleet.start(['worker'])
      const lines: readonly Line[] = kind === 'host' ? LINES : [kind]
      await holdingTheDrain(fleet, () => lines.forEach((line) => namespace.cut(line)))
      if (kind === 'host') await far.kill()
      const replacedMs = await carriedOn(fleet)
      // Leaves no other worker to do the work.
      await near.kill()
      lines.forEach((line) => namespace.restore(line))
      if (kind === 'host') await startFar(remote)
      const mendedMs = await carriedOn(fleet)
      tell(t, { kind, replacedS: seconds(replacedMs), aloneAgainS: seconds(mendedMs) })
      assert.equal(scheduler.ended, false, scheduler.said)
      if (kind !== 'host') assert.equal(far.ended, false, far.said)
      await load.stop()
      await fleet.settled(SETTLED_MS)
      assert.deepEqual(await fleet.different(), [])
    } finally {
      await load.stop().catch(() => {})
      await remote.close()
    }
  })
}

async function startFar(remote: Cli): Promise<CliProcess> {
  const far = remote.start(['worker'])
  await eventually(`the far worker is at work`, () => far.said.includes('Working on'), SETTLED_MS)
  return far
}

/** Calls `act` in the middle of a drain: it holds the drain's lock while one of its statements waits for a lock of ours. */
async function holdingTheDrain(fleet: Fleet, act: () => void): Promise<void> {
  const { reader } = fleet
  await reader.query('BEGIN; LOCK TABLE beat IN SHARE MODE')
  const waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
  await eventually('a drain waits', async () => (await textRows(reader, waiting))[0]?.[0] !== '0', SETTLED_MS)
  act()
  await reader.query('ROLLBACK')
}

/** Measures how long writes from now on take to arrive. */
async function carriedOn(fleet: Fleet): Promise<number> {
  const since = performance.now()
  const from = Date.now() + 500
  await nap(500)
  await eventually(
    'what was written since arrives',
    async () => Number((await textRows(fleet.reader, 'SELECT at FROM beat'))[0]?.[0]) >= from,
    MOST_MS,
  )
  return performance.now() - since
}

const seconds = (ms: number): number => Math.round(ms / 100) / 10

function tell(t: TestContext, figures: object): void {
  t.diagnostic(JSON.stringify(figures))
}
