import { placeText, SyncError } from '@mylab-sync/core'
import { watchSilence } from '@mylab-sync/runtime'
import pg from 'pg'
import { connectError, mapped } from '../errors.js'

export interface TargetSettings {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly schema: string
  readonly stateSchema: string
  readonly ssl: boolean
  readonly instance: string
}

const MOST_CONNECTIONS = 12
const CONNECT_MS = 10_000
/** How long a server may take to answer a stranger before it is taken for gone. */
const ANSWER_MS = 5_000
/** With the ten probes a second apart that follow: an idle connection whose other end vanished ends after 15 s. */
const KEEP_ALIVE_MS = 5_000
const QUERY_MS = 600_000
/** The longest that a timer takes: 24 days. */
const BUILD_MS = 2 ** 31 - 1

/** Values print one way whatever the server's or the user's settings; only SET LOCAL, for poolers in transaction mode. */
const LOCAL_SETTINGS = [
  "SET LOCAL TimeZone = 'UTC'",
  "SET LOCAL DateStyle = 'ISO, YMD'",
  "SET LOCAL IntervalStyle = 'postgres'",
  "SET LOCAL bytea_output = 'hex'",
  'SET LOCAL extra_float_digits = 1',
  "SET LOCAL lock_timeout = '5s'",
  // A role's own limit would end copies and builds at any size it did not think of.
  'SET LOCAL statement_timeout = 0',
  "SET LOCAL idle_in_transaction_session_timeout = '10min'",
  'SET LOCAL standard_conforming_strings = on',
  // A host that vanished holds its locks until the server notices: 11 s instead of two hours.
  'SET LOCAL tcp_keepalives_idle = 5',
  'SET LOCAL tcp_keepalives_interval = 2',
  'SET LOCAL tcp_keepalives_count = 3',
].join('; ')
/**
 * The same for what keepalive does not reach: an answer that nobody acknowledges, and a statement at work for a process
 * that is gone. Later versions and some systems know them only.
 */
const OPTIONAL_SETTINGS = ["SET LOCAL tcp_user_timeout = '11s'", "SET LOCAL client_connection_check_interval = '2s'"]

export type Row = Record<string, unknown>

/** One checked-out client; errors are mapped, and a client that failed is never used again. */
export class Session {
  readonly client: pg.PoolClient
  readonly #database: Database
  #broken = false
  #released = false
  readonly #onError = (): void => {
    this.#broken = true
  }

  constructor(client: pg.PoolClient, database: Database) {
    this.client = client
    this.#database = database
    client.on('error', this.#onError)
  }

  async rows<T extends Row = Row>(sql: string, values: readonly unknown[] = []): Promise<T[]> {
    return (await this.raw<T>(sql, values)).rows
  }

  /** As `rows`, with the driver's own error, for callers that look at its SQLSTATE. */
  async raw<T extends Row = Row>(sql: string, values: readonly unknown[] = []): Promise<pg.QueryResult<T>> {
    return this.#watched(() =>
      values.length === 0 ? this.client.query<T>(sql) : this.client.query<T>(sql, [...values]),
    )
  }

  /** As `raw`, for what takes as long as a table is large. */
  async build<T extends Row = Row>(sql: string): Promise<pg.QueryResult<T>> {
    const query: pg.QueryConfig & { query_timeout: number } = { text: sql, query_timeout: BUILD_MS }
    return this.#watched(() => this.client.query<T>(query))
  }

  async #watched<T>(query: () => Promise<T>): Promise<T> {
    const since = performance.now()
    const end = this.watch(() => performance.now() - since)
    try {
      return await query()
    } catch (error) {
      this.noteFailure(error)
      throw error
    } finally {
      end()
    }
  }

  /** Ends the connection, and with it what waits for its answer, when the server is silent and answers nobody else either. */
  watch(silentMs: () => number): () => void {
    return watchSilence({
      silentMs,
      answers: () => this.#database.answers(),
      mostMs: BUILD_MS,
      lost: () => {
        this.destroy()
      },
    })
  }

  /** Ends a transaction without its writes; a client that cannot even do that is not used again. */
  async rollback(): Promise<void> {
    if (this.#broken) return
    try {
      await this.#watched(() => this.client.query('ROLLBACK'))
    } catch {
      this.#broken = true
    }
  }

  /** What is no answer of the server leaves the connection in an unknown state. */
  noteFailure(error: unknown): void {
    if (!(error instanceof pg.DatabaseError)) this.#broken = true
  }

  async begin(extra: readonly string[] = []): Promise<void> {
    const settings = [LOCAL_SETTINGS, ...this.#database.optionalSettings, ...extra]
    await this.rows(['BEGIN ISOLATION LEVEL READ COMMITTED', ...settings].join('; '))
  }

  get broken(): boolean {
    return this.#broken
  }

  /** Ends the connection under whatever is at work on it. */
  destroy(): void {
    this.#broken = true
    this.client.connection.stream.destroy()
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    this.#database.returned(this)
    this.client.removeListener('error', this.#onError)
    this.client.release(this.#broken)
  }
}

/** The pool, and the two shapes of work that are not transactions of the protocol. */
export class Database {
  readonly settings: TargetSettings
  readonly #pool: pg.Pool
  readonly #lent = new Set<Session>()
  /** Those that this server knows. */
  optionalSettings: readonly string[] = []

  constructor(settings: TargetSettings) {
    this.settings = settings
    this.#pool = new pg.Pool({
      ...login(settings),
      max: MOST_CONNECTIONS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: QUERY_MS,
    })
    this.#pool.on('error', () => {})
  }

  async session(): Promise<Session> {
    try {
      const session = new Session(await this.#pool.connect(), this)
      this.#lent.add(session)
      return session
    } catch (error) {
      throw connectError(error, placeOf(this.settings))
    }
  }

  /** Connects once, to tell a wrong address or password at the start, and finds out what this server knows. */
  async open(): Promise<void> {
    await this.transaction((session) => session.raw('SELECT 1'))
    for (const setting of OPTIONAL_SETTINGS) {
      const known = await this.transaction((session) => session.raw(setting)).then(
        () => true,
        (error: unknown) => (error instanceof SyncError && error.code === 'internal' ? false : Promise.reject(error)),
      )
      if (known) this.optionalSettings = [...this.optionalSettings, setting]
    }
  }

  /** Whether the server says anything at all to a new connection, be it that it has too many of them. */
  async answers(): Promise<boolean> {
    const client = new pg.Client({ ...login(this.settings), connectionTimeoutMillis: ANSWER_MS })
    client.on('error', () => {})
    try {
      await client.connect()
      return true
    } catch (error) {
      return error instanceof pg.DatabaseError
    } finally {
      client.end().catch(() => {})
    }
  }

  /** One short transaction. */
  async transaction<T>(work: (session: Session) => Promise<T>, extra: readonly string[] = []): Promise<T> {
    const session = await this.session()
    try {
      await session.begin(extra)
      const result = await work(session)
      await session.rows('COMMIT')
      return result
    } catch (error) {
      await session.rollback()
      throw mapped(error)
    } finally {
      session.release()
    }
  }

  /** Statements that cannot run in a transaction: CREATE INDEX CONCURRENTLY. */
  async outside<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.session()
    try {
      return await work(session)
    } finally {
      session.release()
    }
  }

  /** A session tells that it is given back. */
  returned(session: Session): void {
    this.#lent.delete(session)
  }

  /** Also ends what is still at work: it may wait for a lock, and the process has to end. */
  async close(): Promise<void> {
    for (const session of this.#lent) session.destroy()
    await this.#pool.end()
  }
}

function login({ host, port, user, password, database, ssl }: TargetSettings): pg.ClientConfig {
  const encrypted = ssl ? { ssl: { rejectUnauthorized: false } } : {}
  return { host, port, user, password, database, application_name: 'mylab-sync', ...encrypted }
}

/** Who is asked for what, without the password. */
function placeOf({ host, port, database, user }: TargetSettings): string {
  return `${database} at ${placeText(host, port)} as ${user}`
}
