import assert from 'node:assert/strict'
import { eventually, ServerSet } from '@mylab-sync/testkit'
import { measured, start } from '../support/cli.js'
import { textRows } from '../support/content.js'

const NAME = 'impact'
const ROWS = 300_000
const CLIENTS = 6
const PHASE_MS = 6_000

const SCHEMA = `
  CREATE TABLE account (id INT NOT NULL PRIMARY KEY, v INT, t VARCHAR(200), KEY (v)) ENGINE=InnoDB;
  CREATE TABLE entry (id INT NOT NULL PRIMARY KEY AUTO_INCREMENT, account_id INT NOT NULL, v INT, FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE) ENGINE=InnoDB;
  INSERT INTO account SELECT seq, seq, REPEAT('x', 120) FROM seq_1_to_${ROWS};
  INSERT INTO entry (account_id, v) SELECT seq, seq FROM seq_1_to_${ROWS}`

interface Phase {
  transactions: number
  longestMs: number
  /** Statements that failed, by the server's error number. */
  readonly failures: Map<number, number>
}

/** The application's transactions per second and its longest statement, in each phase of an installation's life. */
export async function impact(): Promise<readonly object[]> {
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
  try {
    await servers.createDatabases({ source: NAME, target: NAME })
    const app = await servers.sourceAdmin(NAME)
    await app.query(SCHEMA)
    await app.end()
    const load = await Load.start(servers)
    try {
      const phases = new Map<string, Phase>()
      const phase = async (name: string, work: () => Promise<unknown>): Promise<void> => {
        phases.set(name, await load.during(work))
      }
      await phase('without', () => wait(PHASE_MS))
      await phase('setup-triggers', async () => {
        await measured(servers, NAME, ['migrate'])
        await measured(servers, NAME, ['setup-triggers'])
      })
      await phase('triggers alone', () => wait(PHASE_MS))
      await phase('initial', () => measured(servers, NAME, ['initial', '--create-tables']))
      const daemon = start(servers, NAME, ['database', '--daemon'])
      try {
        await phase('live', () => wait(PHASE_MS))
        await phase('resync', () => measured(servers, NAME, ['resync', '--table', 'entry']))
        // an ALTER under load may roll back statements of the application on its own
        await phase(ALTER, () => alter(servers))
        await phase('reconcile', () => reconciled(servers))
      } finally {
        await daemon.stop()
      }
      const failed = [...phases].filter(([name, { failures }]) => name !== ALTER && failures.size > 0)
      assert.deepEqual(failed, [], 'statements of the application failed')
      return figures(phases)
    } finally {
      await load.end()
    }
  } finally {
    await servers.close()
  }
}

const ALTER = 'ALTER TABLE by another client'

async function alter(servers: ServerSet): Promise<void> {
  const app = await servers.sourceAdmin(NAME)
  await app.query('ALTER TABLE account ADD COLUMN added INT NULL').finally(() => app.end())
}

/** Both tables are set aside and copied again in place, since one of them has changed. */
async function reconciled(servers: ServerSet): Promise<void> {
  const reader = await servers.targetAdmin(NAME)
  try {
    const columns = `SELECT count(*) FROM information_schema.columns WHERE table_name = 'account' AND column_name = 'added'`
    const states = 'SELECT DISTINCT state FROM mylab_sync.sync_progress'
    await eventually('it is noticed', async () => (await textRows(reader, columns))[0]?.[0] === '1', 30_000)
    await eventually('both are live again', async () => (await textRows(reader, states)).join() === 'live', 300_000)
  } finally {
    await reader.end()
  }
}

function figures(phases: ReadonlyMap<string, Phase & { seconds?: number }>): object[] {
  const before = rate(phases.get('without'))
  return [...phases].map(([name, phase]) => ({
    phase: name,
    transactionsPerSecond: Math.round(rate(phase)),
    ratio: Number((rate(phase) / before).toFixed(2)),
    longestMs: Math.round(phase.longestMs),
    failures: Object.fromEntries(phase.failures),
  }))
}

function rate(phase: (Phase & { seconds?: number }) | undefined): number {
  return phase ? phase.transactions / (phase.seconds ?? 1) : 0
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Clients that read and write by key, one small transaction after the other. */
class Load {
  #phase: Phase = { transactions: 0, longestMs: 0, failures: new Map() }
  #stopping = false
  #running: Promise<unknown> = Promise.resolve()

  static async start(servers: ServerSet): Promise<Load> {
    const load = new Load()
    const connections = await Promise.all(Array.from({ length: CLIENTS }, () => servers.sourceAdmin(NAME)))
    load.#running = Promise.all(connections.map((connection, at) => load.#client(connection, at)))
    return load
  }

  async #client(connection: Awaited<ReturnType<ServerSet['sourceAdmin']>>, at: number): Promise<void> {
    for (let n = at; !this.#stopping; n += CLIENTS) {
      const id = 1 + ((n * 7919) % ROWS)
      const statements = [
        'START TRANSACTION',
        `SELECT * FROM account WHERE id = ${id}`,
        `UPDATE account SET v = v + 1 WHERE id = ${id}`,
        `INSERT INTO entry (account_id, v) VALUES (${id}, ${n})`,
        'COMMIT',
      ]
      for (const statement of statements) await this.#timed(connection, statement)
      this.#phase.transactions++
    }
    await connection.end()
  }

  async #timed(connection: Awaited<ReturnType<ServerSet['sourceAdmin']>>, statement: string): Promise<void> {
    const started = performance.now()
    try {
      await connection.query(statement)
    } catch (error) {
      const { errno = 0 } = error as { errno?: number }
      this.#phase.failures.set(errno, (this.#phase.failures.get(errno) ?? 0) + 1)
    }
    this.#phase.longestMs = Math.max(this.#phase.longestMs, performance.now() - started)
  }

  async during(work: () => Promise<unknown>): Promise<Phase & { seconds: number }> {
    this.#phase = { transactions: 0, longestMs: 0, failures: new Map() }
    const phase = this.#phase
    const started = performance.now()
    await work()
    return { ...phase, seconds: (performance.now() - started) / 1000 }
  }

  async end(): Promise<void> {
    this.#stopping = true
    await this.#running
  }
}
