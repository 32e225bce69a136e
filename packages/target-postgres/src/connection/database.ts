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
  // A host that vanished holds its locks until the server notices: 25 s instead of two hours.
  'SET LOCAL tcp_keepalives_idle = 10',
  'SET LOCAL tcp_keepalives_interval = 5',
  'SET LOCAL tcp_keepalives_count = 3',
].join('; ')

export type Row = Record<string, unknown>

/** One checked-out client; errors are mapped, and a client that failed is never used again. */
export class Session {
  readonly client: pg.PoolClient
  #broken = false
  #released = false
  readonly #onError = (): void => {
    this.#broken = true
  }

  constructor(client: pg.PoolClient) {
    this.client = client
    client.on('error', this.#onError)
  }

  async rows<T extends Row = Row>(sql: string, values: readonly unknown[] = []): Promise<T[]> {
    return (await this.raw<T>(sql, values)).rows
  }

  /** As `rows`, with the driver's own error, for callers that look at its SQLSTATE. */
  async raw<T extends Row = Row>(sql: string, values: readonly unknown[] = []): Promise<pg.QueryResult<T>> {
    try {
      return values.length === 0 ? await this.client.query<T>(sql) : await this.client.query<T>(sql, [...values])
    } catch (error) {
      this.noteFailure(error)
      throw error
    }
  }

  /** As `raw`, for what takes as long as a table is large. */
  async build<T extends Row = Row>(sql: string): Promise<pg.QueryResult<T>> {
    const query: pg.QueryConfig & { query_timeout: number } = { text: sql, query_timeout: BUILD_MS }
    try {
      return await this.client.query<T>(query)
    } catch (error) {
      this.noteFailure(error)
      throw error
    }
  }

  /** Ends a transaction without its writes; a client that cannot even do that is not used again. */
  async rollback(): Promise<void> {
    if (this.#broken) return
    try {
      await this.client.query('ROLLBACK')
    } catch {
      this.#broken = true
    }
  }

  /** What is no answer of the server leaves the connection in an unknown state. */
  noteFailure(error: unknown): void {
    if (!(error instanceof pg.DatabaseError)) this.#broken = true
  }

  async begin(extra: readonly string[] = []): Promise<void> {
    await this.rows(['BEGIN ISOLATION LEVEL READ COMMITTED', LOCAL_SETTINGS, ...extra].join('; '))
  }

  get broken(): boolean {
    return this.#broken
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    this.client.removeListener('error', this.#onError)
    this.client.release(this.#broken)
  }
}

/** The pool, and the two shapes of work that are not transactions of the protocol. */
export class Database {
  readonly settings: TargetSettings
  readonly #pool: pg.Pool

  constructor(settings: TargetSettings) {
    this.settings = settings
    this.#pool = new pg.Pool({
      host: settings.host,
      port: settings.port,
      user: settings.user,
      password: settings.password,
      database: settings.database,
      max: MOST_CONNECTIONS,
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: QUERY_MS,
      application_name: 'mylab-sync',
      ...(settings.ssl ? { ssl: { rejectUnauthorized: false } } : {}),
    })
    this.#pool.on('error', () => {})
  }

  async session(): Promise<Session> {
    try {
      return new Session(await this.#pool.connect())
    } catch (error) {
      throw connectError(error, `${this.settings.host}:${this.settings.port}/${this.settings.database}`)
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

  async close(): Promise<void> {
    await this.#pool.end()
  }
}
