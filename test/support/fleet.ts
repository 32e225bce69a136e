import { connect } from 'node:net'
import { eventually, random, type ServerSet } from '@mylab-sync/testkit'
import { contentOf, textRows } from './content.js'
import { numbersTo } from './numbers.js'
import { Cli, type CliProcess } from './processes.js'

type Admin = Awaited<ReturnType<ServerSet['sourceAdmin']>>
type Reader = Awaited<ReturnType<ServerSet['targetAdmin']>>

const START_MS = 30_000
const TURN_MS = 50
const LOOK_MS = 100
/** Part of every row. Redis must never hold it. */
export const MARK = 'RowsAreNoHints'

const SCHEMA = `
  CREATE TABLE a (id INT NOT NULL PRIMARY KEY AUTO_INCREMENT, v INT NOT NULL, t VARCHAR(200) NOT NULL) ENGINE=InnoDB;
  CREATE TABLE b (id INT NOT NULL PRIMARY KEY AUTO_INCREMENT, a_id INT NULL, v INT NOT NULL, KEY (a_id),
    FOREIGN KEY (a_id) REFERENCES a (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE beat (id INT NOT NULL PRIMARY KEY, at BIGINT NOT NULL) ENGINE=InnoDB;
  INSERT INTO beat VALUES (1, 0)`
const TABLES = ['a', 'b', 'beat'] as const

/** One installation in queue mode, whose processes start and die under an application's writes. */
export class Fleet implements AsyncDisposable {
  readonly app: Admin
  readonly reader: Reader
  readonly cli: Cli
  readonly #servers: ServerSet

  private constructor(servers: ServerSet, parts: { app: Admin; reader: Reader; cli: Cli }) {
    this.#servers = servers
    this.app = parts.app
    this.reader = parts.reader
    this.cli = parts.cli
  }

  /** Creates fresh databases; the source holds `rows` rows in `a`, and a third of that in `b`. */
  static async open(
    servers: ServerSet,
    name: string,
    rows: number,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Fleet> {
    await servers.createDatabases({ source: name, target: name })
    const app = await servers.sourceAdmin(name)
    const reader = await servers.targetAdmin(name)
    await app.query(`${SCHEMA};
      INSERT INTO a SELECT seq, seq, CONCAT('${MARK} ', REPEAT('x', 80)) FROM ${numbersTo(rows)};
      INSERT INTO b SELECT seq, seq, seq FROM ${numbersTo(Math.ceil(rows / 3))}; ANALYZE TABLE a, b`)
    const cli = new Cli({ ...servers.environment({ source: name, target: name }), SYNC_INTERVAL: '1', ...env })
    return new Fleet(servers, { app, reader, cli })
  }

  /** Starts a process; waits until a worker has started working. */
  async start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliProcess> {
    const process = this.cli.start(args, env)
    if (args[0] === 'worker')
      await eventually(
        'a worker is at work',
        () => {
          if (process.said.includes('Working on')) return true
          throw new Error(`${process.ended ? 'it ended' : 'it runs'} and said: ${process.said}`)
        },
        START_MS,
      )
    return process
  }

  async flushRedis(): Promise<void> {
    const socket = connect(Number(new URL(this.#servers.redisUrl).port), '127.0.0.1')
    socket.write('FLUSHALL\r\n')
    await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject))
    socket.destroy()
  }

  /** Number of the last committed drain. */
  async lastDrain(): Promise<number> {
    return Number((await textRows(this.reader, 'SELECT number FROM mylab_sync.sync_drain'))[0]?.[0])
  }

  async states(): Promise<string> {
    const rows = await textRows(this.reader, 'SELECT DISTINCT state FROM mylab_sync.sync_progress ORDER BY 1')
    return rows.map(([state]) => state).join()
  }

  /** Waits until all tables are live and no work is left. Rows that still differ then are wrong. */
  async settled(deadlineMs: number): Promise<void> {
    await eventually('all tables are live', async () => (await this.states()) === 'live', deadlineMs)
    const pending = 'SELECT COUNT(*) FROM sync_audit_log WHERE synced = 0'
    await eventually('nothing is pending', async () => (await textRows(this.app, pending))[0]?.[0] === '0', deadlineMs)
    const left = `SELECT (SELECT count(*) FROM mylab_sync.sync_parked), (SELECT count(*) FROM mylab_sync.sync_parked_parent),
      (SELECT count(*) FROM mylab_sync.sync_chunk WHERE state = 'open')`
    await eventually(
      'nothing is parked',
      async () => (await textRows(this.reader, left))[0]?.join() === '0,0,0',
      deadlineMs,
    )
  }

  /** Tables whose rows differ between the two sides. */
  async different(): Promise<string[]> {
    const different: string[] = []
    for (const table of TABLES)
      if ((await contentOf(this.reader, table)) !== (await contentOf(this.app, table))) different.push(table)
    return different
  }

  async close(): Promise<void> {
    await this.cli.close()
    await this.reader.end()
    await this.app.end()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Writes like an application, at a fixed rate per second, and measures how far the target lags behind. */
export class WriteLoad {
  readonly #writer: Admin
  readonly #reader: Reader
  readonly #stopping = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  writes = 0
  /** The largest lag since the last reset: the age of our newest write that the target showed. */
  mostLagMs = 0
  lagMs = 0

  private constructor(writer: Admin, reader: Reader) {
    this.#writer = writer
    this.#reader = reader
  }

  static async start(servers: ServerSet, name: string, writesASecond: number): Promise<WriteLoad> {
    const load = new WriteLoad(await servers.sourceAdmin(name), await servers.targetAdmin(name))
    load.#running = Promise.all([load.#write(writesASecond), load.#look()])
    load.#running.catch(() => {})
    return load
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
    await this.#writer.end()
    await this.#reader.end()
  }

  async #write(aSecond: number): Promise<void> {
    const r = random(7)
    const started = performance.now()
    while (!this.#stopping.signal.aborted) {
      const due = ((performance.now() - started) / 1000) * aSecond
      if (this.writes >= due) await nap(TURN_MS)
      while (this.writes < due) await this.#one(r.int(0, 9), r.int(1, 200_000))
    }
    await this.#writer.query(`UPDATE beat SET at = ${Date.now()} WHERE id = 1`)
  }

  async #one(kind: number, id: number): Promise<void> {
    this.writes++
    const value = `'${MARK} ${this.writes}'`
    const statements = [
      `DELETE FROM a WHERE id = ${id}`,
      `INSERT INTO b (a_id, v) SELECT id, ${this.writes} FROM a WHERE id = ${id}`,
      `INSERT INTO a (v, t) VALUES (${this.writes}, ${value})`,
      `INSERT INTO a (v, t) VALUES (${this.writes}, ${value})`,
      `UPDATE beat SET at = ${Date.now()} WHERE id = 1`,
    ]
    await this.#writer.query(statements[kind] ?? `UPDATE a SET v = ${this.writes}, t = ${value} WHERE id = ${id}`)
  }

  async #look(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const [row] = await textRows(this.#reader, 'SELECT at FROM beat').catch(() => [])
      const at = Number(row?.[0] ?? 0)
      if (at > 0) {
        this.lagMs = Date.now() - at
        this.mostLagMs = Math.max(this.mostLagMs, this.lagMs)
      }
      await nap(LOOK_MS)
    }
  }
}

export const nap = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0
}
