import { type Random, random } from '@mylab-sync/testkit'
import type { Connection } from 'mysql2/promise'
import { KEYS } from './schema.js'

const SPELLINGS = ['a', 'A', 'á', 'Á', 'a ', 'A ']
type Spelling = 'wild' | 'clean'
const id = (r: Random): number => r.int(1, KEYS)
const or = (r: Random, value: string | number): string => (r.chance(0.15) ? 'NULL' : String(value))
const text = (value: string): string => `'${value}'`
const rows = (r: Random, row: () => string): string => Array.from({ length: r.int(3, 10) }, row).join(', ')

/** One random statement of the kinds that break naive replication: key changes, swaps, cascades, REPLACE, IGNORE. */
function statement(r: Random, spelling: Spelling): string {
  const wild = spelling === 'wild'
  const code = (of: Random): string => `${wild ? of.pick(SPELLINGS) : 'a'}${of.int(1, KEYS)}`
  const padded = (of: Random): string => `w${of.int(1, KEYS)}${wild && of.chance(0.3) ? ' ' : ''}`
  const ways: (() => string)[] = [
    () => `INSERT IGNORE INTO p VALUES (${id(r)}, ${text(code(r))}, ${r.int(1, 90)}, ${id(r)})`,
    () =>
      `INSERT INTO p VALUES (${id(r)}, ${text(code(r))}, ${r.int(1, 90)}, ${id(r)}) ON DUPLICATE KEY UPDATE v = v + 1`,
    () => `REPLACE INTO p VALUES (${id(r)}, ${text(code(r))}, ${r.int(1, 90)}, ${id(r)})`,
    () => `UPDATE IGNORE p SET id = ${id(r)} WHERE id = ${id(r)}`,
    () => `UPDATE IGNORE p SET code = ${text(code(r))} WHERE id = ${id(r)}`,
    () => `DELETE FROM p WHERE id = ${id(r)}`,
    () => `DELETE FROM c WHERE id = ${id(r)}`,
    () => `UPDATE IGNORE c SET id = ${id(r)} WHERE id = ${id(r)}`,
    () => `UPDATE c SET pid = ${id(r)} WHERE id = ${id(r)}`,
    // Many small families; otherwise the deletes leave nothing for cascades to reach.
    () => `INSERT IGNORE INTO p VALUES ${rows(r, () => `(${id(r)}, ${text(code(r))}, ${r.int(1, 90)}, 1)`)}`,
    () => `INSERT IGNORE INTO p VALUES ${rows(r, () => `(${id(r)}, ${text(code(r))}, ${r.int(1, 90)}, 1)`)}`,
    () => `INSERT IGNORE INTO c VALUES ${rows(r, () => `(${id(r)}, ${id(r)}, 1)`)}`,
    () => `INSERT IGNORE INTO c VALUES ${rows(r, () => `(${id(r)}, ${id(r)}, 2)`)}`,
    () => `INSERT IGNORE INTO g VALUES ${rows(r, () => `(${id(r)}, ${id(r)}, 1)`)}`,
    () => `INSERT IGNORE INTO g VALUES ${rows(r, () => `(${id(r)}, ${id(r)}, 2)`)}`,
    () => `INSERT IGNORE INTO k VALUES ${rows(r, () => `(${id(r)}, 1)`)}`,
    () => `INSERT IGNORE INTO n VALUES ${rows(r, () => `(${id(r)}, ${id(r)}, 1)`)}`,
    () => `INSERT IGNORE INTO m VALUES ${rows(r, () => `(${id(r)}, ${r.int(1, 4)}, 1)`)}`,
    () => `INSERT IGNORE INTO mm VALUES ${rows(r, () => `(${id(r)}, ${id(r)}, ${r.int(1, 4)}, 1)`)}`,
    () => `INSERT INTO n VALUES (${id(r)}, ${or(r, id(r))}, 1) ON DUPLICATE KEY UPDATE pid = VALUES(pid)`,
    () => `INSERT IGNORE INTO k VALUES (${id(r)}, 1)`,
    () => `UPDATE k SET v = v + 1 WHERE pid BETWEEN ${id(r)} AND ${id(r)}`,
    () => `INSERT INTO kk VALUES (${id(r)}, ${or(r, id(r))}, 1) ON DUPLICATE KEY UPDATE kid = VALUES(kid)`,
    () =>
      `INSERT INTO bc VALUES (${id(r)}, ${r.chance(0.1) ? 'NULL' : text(code(r))}, 1) ON DUPLICATE KEY UPDATE code = VALUES(code)`,
    () => `INSERT IGNORE INTO m VALUES (${id(r)}, ${r.int(1, 4)}, 1)`,
    () => `UPDATE IGNORE m SET x = ${r.int(1, 4)} WHERE pid = ${id(r)}`,
    () =>
      `INSERT INTO mm VALUES (${id(r)}, ${id(r)}, ${r.int(1, 4)}, 1) ON DUPLICATE KEY UPDATE pid = VALUES(pid), x = VALUES(x)`,
    () => `INSERT INTO t VALUES (${id(r)}, ${or(r, id(r))}, 1) ON DUPLICATE KEY UPDATE up = VALUES(up)`,
    () => `DELETE FROM t WHERE id = ${id(r)}`,
    () => `REPLACE INTO s VALUES (${text(code(r))}, ${id(r)})`,
    () => `DELETE FROM s WHERE k = ${text(code(r))}`,
    () => `UPDATE IGNORE s SET k = ${text(code(r))} WHERE k = ${text(code(r))}`,
    () => `INSERT INTO sc VALUES (${id(r)}, ${text(code(r))}, 1) ON DUPLICATE KEY UPDATE k = VALUES(k)`,
    () => `REPLACE INTO sb VALUES (${text(padded(r))}, ${id(r)})`,
    () => `DELETE FROM sb WHERE k = ${text(padded(r))}`,
    () => `INSERT INTO sbc VALUES (${id(r)}, ${text(padded(r))}, 1) ON DUPLICATE KEY UPDATE k = VALUES(k)`,
    () => `INSERT IGNORE INTO pre VALUES (${id(r)}, '${r.int(100, 160)}${code(r)}')`,
    () => `UPDATE IGNORE pre SET w = '${r.int(100, 160)}z' WHERE id = ${id(r)}`,
    () => `UPDATE p SET v = v + 1 WHERE id BETWEEN ${id(r)} AND ${id(r)}`,
    () => `INSERT INTO nk VALUES (${r.int(1, 5)}, ${r.int(1, 5)})`,
    () => `DELETE FROM nk WHERE a = ${r.int(1, 5)} LIMIT 1`,
  ]
  return r.pick(ways)()
}

/** Swaps two unique values through a free one, inside one transaction. */
function swap(r: Random): string[] {
  const [a, b] = [id(r), id(r)]
  return [
    `SET @a = (SELECT u FROM p WHERE id = ${a}), @b = (SELECT u FROM p WHERE id = ${b})`,
    `UPDATE p SET u = -${a} WHERE id = ${a} AND @a IS NOT NULL AND @b IS NOT NULL AND ${a} <> ${b}`,
    `UPDATE p SET u = @a WHERE id = ${b} AND @a IS NOT NULL AND @b IS NOT NULL AND ${a} <> ${b}`,
    `UPDATE p SET u = @b WHERE id = ${a} AND @a IS NOT NULL AND @b IS NOT NULL AND ${a} <> ${b}`,
  ]
}

/** Errors that such writers, and changing definitions, provoke. Any other error is the product's, and fails the test. */
const PROVOKED = new Set([1062, 1205, 1213, 1451, 1452, 1761, 1020, 1412])
/** Errors of a server that is killed while they write. */
const AWAY = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ER_CONNECTION_KILLED',
  'ER_SERVER_SHUTDOWN',
])
const AWAY_PAUSE_MS = 100
const GONE = new Set([1205, 1213])

export class Writers {
  statements = 0
  spelling: Spelling = 'wild'
  /** While true, writers pause between transactions. */
  isHeld = false
  /** A table that nobody references, which is not written. */
  spared: string | null = null
  readonly #count: number
  #heldNow = 0
  #stopping = false
  #running: Promise<unknown>

  constructor(connections: readonly Connection[], seed: number, pauseMs: number) {
    this.#count = connections.length
    this.#running = Promise.all(
      connections.map((connection, index) => this.#run(connection, random(seed * 1000 + index), pauseMs)),
    )
    this.#running.catch(() => {})
  }

  /** Starts writers that reconnect when the server goes away. They close their own connections. */
  static persistent(count: number, connect: () => Promise<Connection>, seed: number, pauseMs: number): Writers {
    const writers = new Writers([], seed, pauseMs)
    writers.#running = Promise.all(
      Array.from({ length: count }, (_, index) => writers.#runAgain(connect, random(seed * 1000 + index), pauseMs)),
    )
    writers.#running.catch(() => {})
    return writers
  }

  async #runAgain(connect: () => Promise<Connection>, r: Random, pauseMs: number): Promise<void> {
    while (!this.#stopping) {
      let connection: Connection | undefined
      try {
        connection = await connect()
        connection.on('error', () => {})
        await this.#run(connection, r, pauseMs)
      } catch (error) {
        const cause = (error instanceof Error && error.cause ? error.cause : error) as {
          code?: string
          fatal?: boolean
        }
        if (!AWAY.has(cause.code ?? '') && !cause.fatal) throw error
        await new Promise((resolve) => setTimeout(resolve, AWAY_PAUSE_MS))
      } finally {
        connection?.destroy()
      }
    }
  }

  async #run(connection: Connection, r: Random, pauseMs: number): Promise<void> {
    await connection.query("SET SESSION sql_mode = 'STRICT_TRANS_TABLES', innodb_lock_wait_timeout = 2")
    while (!this.#stopping) {
      await this.#transaction(connection, r)
      const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, pauseMs * r.next() * 2))
      await pause()
      if (!this.isHeld) continue
      this.#heldNow++
      while (this.isHeld && !this.#stopping) await pause()
      this.#heldNow--
    }
  }

  /** Every writer is held, and none has a transaction open. */
  get areAllHeld(): boolean {
    return this.isHeld && this.#heldNow === this.#count
  }

  async #transaction(connection: Connection, r: Random): Promise<void> {
    if (r.chance(0.5)) return void (await this.#try(connection, statement(r, this.spelling)))
    await connection.query(`SET TRANSACTION ISOLATION LEVEL ${r.pick(['REPEATABLE READ', 'READ COMMITTED'])}`)
    await connection.query('START TRANSACTION')
    const statements = r.chance(0.2) ? swap(r) : Array.from({ length: r.int(1, 6) }, () => statement(r, this.spelling))
    for (const sql of statements) {
      const savepoint = r.chance(0.15)
      if (savepoint) await connection.query('SAVEPOINT w')
      if (!(await this.#try(connection, sql))) return void (await connection.query('ROLLBACK'))
      if (savepoint && r.chance(0.5)) await connection.query('ROLLBACK TO SAVEPOINT w')
    }
    // Part of the load: a transaction left open, whose entries commit late.
    if (r.chance(0.04)) await new Promise((resolve) => setTimeout(resolve, 300 + r.next() * 900))
    await connection.query(r.chance(0.85) ? 'COMMIT' : 'ROLLBACK')
  }

  async #try(connection: Connection, sql: string): Promise<boolean> {
    if (this.spared !== null && sql.includes(` ${this.spared} `)) return true
    try {
      await connection.query(sql)
      this.statements++
      return true
    } catch (error) {
      const { errno = 0, message } = error as { errno?: number; message: string }
      if (!PROVOKED.has(errno))
        throw new Error(`a statement of the application failed: ${message}: ${sql}`, { cause: error })
      return !GONE.has(errno)
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#running
  }
}
