import { type LineState, NO_TLS, placeText, tlsFault, type TlsSettings } from '@mylab-sync/core'
import { watchSilence } from '@mylab-sync/runtime'
import pg from 'pg'
import { connectError, mapped, refusesLine } from '../errors.js'
import { Line } from './line.js'
import { type Answer, Pipeline, type Statement } from './pipeline.js'

export interface TargetSettings {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly schema: string
  readonly stateSchema: string
  readonly tls: TlsSettings
  readonly instance: string
}

const MAX_CONNECTIONS = 12
const CONNECT_MS = 10_000
/** How long a server may take to answer a new connection before it counts as unreachable. */
const ANSWER_MS = 5_000
const QUERY_MS = 600_000
/** The longest delay that a timer takes: 24 days. */
const BUILD_MS = 2 ** 31 - 1

/** Operators and functions are always PostgreSQL's own, and our objects are qualified, so planted ones are never found first. */
const PATH = 'search_path = pg_catalog, pg_temp'
/** A policy that would hide rows raises an error instead. */
const NO_POLICY = 'row_security = off'

/**
 * Fixes how text is read, how values print and what statements do, whatever a server, a database or a role sets. Leaves out
 * `default_transaction_read_only`, which forbids writing on purpose, and `role`, which chooses the writer.
 */
const SETTINGS = [
  // First, or they could end the other statements.
  'statement_timeout = 0',
  "idle_in_transaction_session_timeout = '10min'",
  "lock_timeout = '5s'",
  "client_encoding = 'UTF8'",
  'standard_conforming_strings = on',
  'backslash_quote = safe_encoding',
  'escape_string_warning = off',
  'quote_all_identifiers = off',
  'transform_null_equals = off',
  'array_nulls = on',
  "TimeZone = 'UTC'",
  "DateStyle = 'ISO, YMD'",
  "IntervalStyle = 'postgres'",
  "bytea_output = 'hex'",
  'extra_float_digits = 1',
  'xmlbinary = base64',
  'xmloption = content',
  'client_min_messages = warning',
  'exit_on_error = off',
  "default_tablespace = ''",
  "temp_tablespaces = ''",
  // A vanished host holds its locks until the server notices: after 11 s instead of two hours.
  'tcp_keepalives_idle = 5',
  'tcp_keepalives_interval = 2',
  'tcp_keepalives_count = 3',
  NO_POLICY,
  PATH,
]
const local = (settings: readonly string[]): string => settings.map((setting) => `SET LOCAL ${setting}`).join('; ')
/** Set in every transaction, since a pooler may give each another session. */
const LOCAL_SETTINGS = local(SETTINGS)

/** A condition that gives a statement's row triggers the account's own search path and settings. The statement itself is parsed under ours before. */
export const UNDER_THEIR_NAMES = `(SELECT ${['search_path', 'row_security'].map((name) => `set_config('${name}', max(reset_val) FILTER (WHERE name = '${name}'), true) IS NOT NULL`).join(' AND ')} FROM pg_settings)`
/** The same for a statement without a condition: THEIR_NAMES runs before it, OUR_NAMES after it. */
export const THEIR_NAMES = 'SET LOCAL search_path TO DEFAULT; SET LOCAL row_security TO DEFAULT'
export const OUR_NAMES = local([PATH, NO_POLICY])

/**
 * Set once per connection: planner settings for key look-ups, whatever a role overrides; settings that no transaction can
 * set; and all others, for statements outside transactions. A pooler in transaction mode applies it to another session.
 */
const SESSION_SETTINGS = [
  ...SETTINGS,
  // Setting it reads a file. Times that we write as text have numeric offsets.
  "timezone_abbreviations = 'Default'",
  'default_transaction_deferrable = off',
  "default_transaction_isolation = 'read committed'",
  ...['bitmapscan', 'hashagg', 'hashjoin', 'indexonlyscan', 'indexscan', 'material', 'mergejoin', 'nestloop']
    .concat(['seqscan', 'sort', 'tidscan'])
    .map((way) => `enable_${way} = on`),
]
  .map((setting) => `SET ${setting}`)
  .join('; ')
/** Timeouts that older versions do not have. */
const TIMEOUTS = `SELECT CASE WHEN v >= 170000 THEN pg_catalog.set_config('transaction_timeout', '0', false) END,
  CASE WHEN v >= 140000 THEN pg_catalog.set_config('idle_session_timeout', '0', false) END
  FROM (SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS v) s`

/**
 * Settings that only later versions or some systems have. Keepalive detects neither an unacknowledged answer nor a statement
 * that runs for a dead process.
 */
const OPTIONAL_SETTINGS = [
  'transaction_timeout = 0',
  'idle_session_timeout = 0',
  "tcp_user_timeout = '11s'",
  "client_connection_check_interval = '2s'",
  "default_table_access_method = 'heap'",
  'plan_cache_mode = auto',
  'jit = off',
  // It would add row data to errors and to the server's log.
  'log_parameter_max_length_on_error = 0',
]

export type Row = Record<string, unknown>

/** One checked-out client. Errors are mapped, and a failed client is never reused. */
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

  /** Throws errors of ours. */
  async rows<T extends Row = Row>(sql: string, values: readonly unknown[] = []): Promise<T[]> {
    try {
      return (await this.raw<T>(sql, values)).rows
    } catch (error) {
      throw mapped(error)
    }
  }

  /** As `rows`, with the driver's own error, for callers that look at its SQLSTATE. */
  async raw<T extends Row = Row>(sql: string, values: readonly unknown[] = []): Promise<pg.QueryResult<T>> {
    return this.#watched(() =>
      values.length === 0 ? this.client.query<T>(sql) : this.client.query<T>(sql, [...values]),
    )
  }

  /** Runs statements in one round trip. Throws the driver's error of the first that fails. */
  async answers(statements: readonly Statement[]): Promise<readonly Answer[]> {
    return this.#watched(
      () =>
        new Promise((resolve, reject) => {
          this.client.query(new Pipeline(statements, (error, answers) => (error ? reject(error) : resolve(answers))))
        }),
    )
  }

  /** As `raw`, for statements whose duration grows with the table. */
  async build<T extends Row = Row>(sql: string): Promise<pg.QueryResult<T>> {
    const query: pg.QueryConfig & { query_timeout: number } = { text: sql, query_timeout: BUILD_MS }
    return this.#watched(() => this.client.query<T>(query))
  }

  async #watched<T>(query: () => Promise<T>): Promise<T> {
    const since = performance.now()
    const end = this.watch(() => performance.now() - since)
    try {
      const answer = await query()
      this.#database.isSilent = false
      return answer
    } catch (error) {
      this.noteFailure(error)
      throw error
    } finally {
      end()
    }
  }

  /** Ends the connection, and whatever waits for its answer, if the server is silent and does not answer new connections either. */
  watch(silentMs: () => number): () => void {
    return watchSilence({
      silentMs,
      answers: () => this.#database.answers(),
      maxMs: BUILD_MS,
      lost: () => {
        this.#database.isSilent = true
        this.destroy()
      },
    })
  }

  /** Rolls back. A client that cannot even do that is not reused. */
  async rollback(): Promise<void> {
    if (this.#broken) return
    // Its answer would never come either; ending the connection rolls back too.
    if (this.#database.isSilent) return this.destroy()
    try {
      await this.#watched(() => this.client.query('ROLLBACK'))
    } catch {
      this.#broken = true
    }
  }

  /** Any error that the server did not send leaves the connection in an unknown state. */
  noteFailure(error: unknown): void {
    if (!(error instanceof pg.DatabaseError)) this.#broken = true
  }

  async begin(extra: readonly string[] = []): Promise<void> {
    const settings = [LOCAL_SETTINGS, local(this.#database.optionalSettings), ...extra].filter(Boolean)
    await this.rows(['BEGIN ISOLATION LEVEL READ COMMITTED', ...settings].join('; '))
  }

  get line(): LineState {
    const { stream } = this.client.connection
    const state = stream instanceof Line ? stream.state : undefined
    if (state === undefined) throw new Error('a session without a line')
    return state
  }

  get broken(): boolean {
    return this.#broken
  }

  /** Ends the connection even if a statement is running. */
  destroy(): void {
    this.#broken = true
    this.client.connection.stream.destroy()
  }

  /** Returns the client to the pool as unusable. */
  discard(): void {
    this.#broken = true
    this.release()
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    this.#database.returned(this)
    this.client.removeListener('error', this.#onError)
    this.client.release(this.#broken)
  }
}

/** The pool, and the two kinds of work outside the protocol's transactions. */
export class Database {
  readonly settings: TargetSettings
  readonly #pool: pg.Pool
  /** The server admits us only without encryption, which `prefer` accepts. */
  #plain = false
  /** The server was found unreachable, and has not answered since. */
  isSilent = false
  readonly #lent = new Set<Session>()
  readonly #prepared = new WeakSet<pg.PoolClient>()
  /** The optional settings that this server knows. */
  optionalSettings: readonly string[] = []

  constructor(settings: TargetSettings) {
    this.settings = settings
    this.#pool = new pg.Pool({
      ...login(settings),
      stream: () => this.#line(CONNECT_MS),
      max: MAX_CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: QUERY_MS,
    })
    this.#pool.on('error', () => {})
  }

  async session(): Promise<Session> {
    const client = await this.#connected()
    const { stream } = client.connection
    if (stream instanceof Line) stream.keep()
    const session = new Session(client, this)
    this.#lent.add(session)
    if (this.#prepared.has(client)) return session
    try {
      await session.raw(`${SESSION_SETTINGS}; ${TIMEOUTS}`)
      this.#prepared.add(client)
      return session
    } catch (error) {
      session.discard()
      throw mapped(error)
    }
  }

  /** As in libpq, `prefer` tries the other kind of connection if pg_hba.conf refuses this one. */
  async #connected(): Promise<pg.PoolClient> {
    const wasPlain = this.#plain
    try {
      return await this.#pool.connect()
    } catch (error) {
      const refused = connectError(error, placeOf(this.settings))
      if (this.settings.tls.mode !== 'prefer' || !refusesLine(error)) throw refused
      this.#plain = !wasPlain
      try {
        return await this.#pool.connect()
      } catch {
        this.#plain = wasPlain
        throw refused
      }
    }
  }

  #line(connectMs: number): Line {
    return new Line(this.#plain ? NO_TLS : this.settings.tls, connectMs)
  }

  /** Connects once, to report a wrong address or password at the start, and detects what this server supports. */
  async open(): Promise<void> {
    this.optionalSettings = await this.transaction(async (session) => {
      const known: string[] = []
      for (const setting of OPTIONAL_SETTINGS) if (await isKnown(session, setting)) known.push(setting)
      return known
    })
  }

  /** Whether the server answers a new connection at all, even with an error such as too many connections. */
  async answers(): Promise<boolean> {
    const client = new pg.Client({
      ...login(this.settings),
      stream: () => this.#line(ANSWER_MS),
      connectionTimeoutMillis: ANSWER_MS,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      return true
    } catch (error) {
      return error instanceof pg.DatabaseError || tlsFault(error) !== null
    } finally {
      client.end().catch(() => {})
    }
  }

  /** Runs one short transaction. */
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

  /** Runs statements that cannot run in a transaction, as CREATE INDEX CONCURRENTLY. */
  async outside<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.session()
    try {
      return await work(session)
    } finally {
      session.release()
    }
  }

  /** Called by a session when it is released. */
  returned(session: Session): void {
    this.#lent.delete(session)
  }

  /** Also ends running statements: one may wait for a lock, and the process must end. */
  async close(): Promise<void> {
    for (const session of this.#lent) session.destroy()
    await this.#pool.end()
  }
}

async function isKnown(session: Session, setting: string): Promise<boolean> {
  await session.raw('SAVEPOINT setting')
  try {
    await session.raw(`SET LOCAL ${setting}`)
    await session.raw('RELEASE SAVEPOINT setting')
    return true
  } catch (error) {
    if (session.broken) throw error
    await session.raw('ROLLBACK TO SAVEPOINT setting; RELEASE SAVEPOINT setting')
    return false
  }
}

/** Our own line encrypts; the driver would read PGSSLMODE. */
function login({ host, port, user, password, database }: TargetSettings): pg.ClientConfig {
  return { host, port, user, password, database, application_name: 'mylab-sync', ssl: false }
}

/** The address, without the password. */
function placeOf({ host, port, database, user }: TargetSettings): string {
  return `${database} at ${placeText(host, port)} as ${user}`
}
