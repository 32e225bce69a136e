import assert from 'node:assert/strict'
import { accessSync, constants, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { eventually, Proxy, ServerSet } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import { Cli } from '../support/processes.js'

const NAME = 'workers'
const ROWS = Number(process.env['BENCH_WORKER_ROWS'] ?? 3_000_000)
const ROUND_TRIP_MS = Number(process.env['BENCH_ROUND_TRIP'] ?? 20)
const FLEETS = [1, 2, 4]
const COPY_MS = 600_000
/**
 * Share of a core that each worker has, as a small host of its own would: on one machine of two cores, which the servers
 * and the lines share, more workers would only show how soon the machine is full. 0: as much as it gets.
 */
const WORKER_CPU = Number(process.env['BENCH_WORKER_CPU'] ?? 0.15)
const CPU_GROUPS = '/sys/fs/cgroup/cpu'
const PERIOD_US = 100_000
/** Of every column; millions of rows are too many to be compared here. */
const SUMS = 'SELECT count(*), sum(id), sum(v), sum(ascii(t)), sum(char_length(t)), min(id), max(id) FROM a'

/** One large table copied by one, two and four workers, all servers a network away: how far a copy spreads. */
export async function workers(): Promise<readonly object[]> {
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres', 'redis'] })
  const lines: Proxy[] = []
  try {
    await servers.createSourceDatabase(NAME)
    const app = await servers.sourceAdmin(NAME)
    await app.query(`CREATE TABLE a (id INT NOT NULL PRIMARY KEY, v INT NOT NULL, t VARCHAR(80) NOT NULL) ENGINE=InnoDB;
      INSERT INTO a SELECT seq, seq, REPEAT(CHAR(97 + seq % 26), 60) FROM seq_1_to_${ROWS}; ANALYZE TABLE a`)
    const env = await farAway(servers, lines)
    const figures: (Timed & { workers: number })[] = []
    for (const count of FLEETS) {
      await servers.createTargetDatabase(NAME)
      const cli = new Cli(env)
      const hosts = Array.from({ length: count }, (_, at) => new Host(env, at))
      try {
        figures.push({ workers: count, ...(await copy(servers, cli, hosts)) })
      } finally {
        await cli.close()
        for (const host of hosts) await host.close()
      }
      const reader = await servers.targetAdmin(NAME)
      assert.deepEqual(await textRows(reader, SUMS), await textRows(app, SUMS))
      await reader.end()
      await app.query('DROP TABLE sync_audit_log, sync_instance, sync_instance_mark')
    }
    await app.end()
    const alone = figures[0]?.copySeconds ?? 0
    const about = { rows: ROWS, roundTripMs: ROUND_TRIP_MS, workerCpu: Host.isLimited ? WORKER_CPU : null }
    return figures.map((figure) => ({ ...about, ...figure, ratio: Number((alone / figure.copySeconds).toFixed(2)) }))
  } finally {
    await Promise.all(lines.map((line) => line.close()))
    await servers.close()
  }
}

async function farAway(servers: ServerSet, lines: Proxy[]): Promise<Record<string, string>> {
  const far = async (to: { host: string; port: number }): Promise<string> => {
    const line = await Proxy.start(to, { roundTripMs: ROUND_TRIP_MS })
    lines.push(line)
    return String(line.port)
  }
  const redis = new URL(servers.redisUrl)
  return {
    ...servers.environment({ source: NAME, target: NAME }),
    DB_PORT: await far(servers.source),
    PGSQL_PORT: await far(servers.target),
    REDIS_URL: `redis://127.0.0.1:${await far({ host: redis.hostname, port: Number(redis.port) })}`,
  }
}

/** Where one worker runs. */
class Host {
  readonly cli: Cli
  readonly #group = `${CPU_GROUPS}/mylab-bench-${process.pid}-`

  constructor(env: Readonly<Record<string, string>>, at: number) {
    this.#group += at
    if (!Host.isLimited) {
      this.cli = new Cli(env)
      return
    }
    mkdirSync(this.#group)
    writeFileSync(`${this.#group}/cpu.cfs_period_us`, String(PERIOD_US))
    writeFileSync(`${this.#group}/cpu.cfs_quota_us`, String(Math.round(PERIOD_US * WORKER_CPU)))
    this.cli = new Cli(env, ['sh', '-c', `echo $$ > ${this.#group}/cgroup.procs && exec "$@"`, 'sh'])
  }

  /** Control groups of the first version, and the right to make some. */
  static get isLimited(): boolean {
    try {
      accessSync(`${CPU_GROUPS}/cgroup.procs`, constants.W_OK)
      return WORKER_CPU > 0
    } catch {
      return false
    }
  }

  async close(): Promise<void> {
    await this.cli.close()
    if (Host.isLimited) rmdirSync(this.#group)
  }
}

interface Timed {
  /** Until the last chunk is done. */
  readonly copySeconds: number
  readonly liveSeconds: number
}

async function copy(servers: ServerSet, cli: Cli, hosts: readonly Host[]): Promise<Timed> {
  const run = async (...args: string[]): Promise<void> => {
    const { code, err } = await cli.run(args)
    assert.equal(code, 0, err)
  }
  await run('migrate')
  await run('setup-triggers')
  cli.start(['scheduler'])
  const started = hosts.map((host) => host.cli.start(['worker', '--concurrency', '1']))
  await eventually(
    'all workers have started',
    () => started.every((worker) => worker.said.includes('Working on')),
    60_000,
  )
  await run('initial', '--create-tables', '--detach')
  const since = performance.now()
  const reader = await servers.targetAdmin(NAME)
  const state = "SELECT count(*) FROM mylab_sync.sync_progress WHERE table_name = 'a'"
  const is = (what: string) => async (): Promise<boolean> =>
    (await textRows(reader, `${state} AND ${what}`))[0]?.[0] === '1'
  try {
    const open = "SELECT FROM mylab_sync.sync_chunk WHERE state = 'open'"
    await eventually('all chunks are done', is(`planned AND NOT EXISTS (${open})`), COPY_MS)
    const copySeconds = seconds(since)
    await eventually('it is live', is("state = 'live'"), COPY_MS)
    return { copySeconds, liveSeconds: seconds(since) }
  } finally {
    await reader.end()
  }
}

function seconds(since: number): number {
  return Number(((performance.now() - since) / 1000).toFixed(2))
}
