import { type LineState, NO_TLS, placeText, tlsFault, type TlsSettings } from '@mylab-sync/core'
import { watchSilence } from '@mylab-sync/runtime'
import pg from 'pg'
import { connectError, mapped, refusesLine } from '../errors.js'
import { Line } from './line.js'

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

const MOST_CONNECTIONS = 12
const CONNECT_MS = 10_000
/** How long a server may take to answer a stranger before it is taken for gone. */
const ANSWER_MS = 5_000
const QUERY_MS = 600_000
/** The longest that a timer takes: 24 days. */
const BUILD_MS = 2 ** 31 - 1

/** Operators and functions are PostgreSQL's own: objects of ours are qualified, and nobody can put others before them. */
const PATH = 'search_path = pg_catalog, pg_temp'
/** A policy that would hide rows raises an error. */
const NO_POLICY = 'row_security = off'

/**
 * What text means and how values print, and that a statement does what it says, whatever a server, a database or a role
 * sets. Not `default_transaction_read_only`: who sets that wants nothing to be written, and `role` is whom it writes as.
 */
const SETTINGS = [
  // First, or they would end the rest.
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
  // A host that vanished holds its locks until the server notices: 11 s instead of two hours.
  'tcp_keepalives_idle = 5',
  'tcp_keepalives_interval = 2',
  'tcp_keepalives_count = 3',
  NO_POLICY,
  PATH,
]
const local = (settings: readonly string[]): string => settings.map((setting) => `SET LOCAL ${setting}`).join('; ')
/** In every transaction: a pooler hands out another session for each. */
const LOCAL_SETTINGS = local(SETTINGS)

/** As a condition of a statement, which gives its row triggers the account's own names and settings: what the statement itself says has been read under ours by then. */
export const UNDER_THEIR_NAMES = `(SELECT ${['search_path', 'row_security'].map((name) => `set_config('${name}', max(reset_val) FILTER (WHERE name = '${name}'), true) IS NOT NULL`).join(' AND ')} FROM pg_settings)`
/** The same for a statement that names nothing; then ours again. */
export const THEIR_NAMES = 'SET LOCAL search_path TO DEFAULT; SET LOCAL row_security TO DEFAULT'
export const OUR_NAMES = local([PATH, NO_POLICY])

/**
 * Once a connection: plans that look up keys, whatever somebody has tried out for a role; what no transaction can set for
 * itself; and all of it for statements outside of transactions. A pooler in transaction mode gives it to another session.
 */
const SESSION_SETTINGS = [
  ...SETTINGS,
  // It reads a file. What we write as text has its offset in digits.
  "timezone_abbreviations = 'Default'",
  // An index that is built concurrently waits for others' transactions.
  'lock_timeout = 0',
  'default_transaction_deferrable = off',
  "default_transaction_isolation = 'read committed'",
  ...['bitmapscan', 'hashagg', 'hashjoin', 'indexonlyscan', 'indexscan', 'material', 'mergejoin', 'nestloop']
    .concat(['seqscan', 'sort', 'tidscan'])
    .map((way) => `enable_${way} = on`),
]
  .map((setting) => `SET ${setting}`)
  .join('; ')
/** Of later versions, which older ones do not know. */
const TIMEOUTS = `SELECT CASE WHEN v >= 170000 THEN pg_catalog.set_config('transaction_timeout', '0', false) END,
  CASE WHEN v >= 140000 THEN pg_catalog.set_config('idle_session_timeout', '0', false) END
  FROM (SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS v) s`

/**
 * Later versions and some systems know them only. Keepalive does not reach an answer that nobody acknowledges, nor a
 * statement at work for a process that is gone.
 */
const OPTIONAL_SETTINGS = [
  'transaction_timeout = 0',
  'idle_session_timeout = 0',
  "tcp_user_timeout = '11s'",
  "client_connection_check_interval = '2s'",
  "default_table_access_method = 'heap'",
  'plan_cache_mode = auto',
  'jit = off',
  // It would add row data to errors, and to the server's log.
  'log_parameter_max_length_on_error = 0',
]

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

  /** Ends the connection, and with it what waits for its answer, when the server is silent and answers nobody else either. */
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

  /** Ends a transaction without its writes; a client that cannot even do that is not used again. */
  async rollback(): Promise<void> {
    if (this.#broken) return
    // Its answer would be waited for as long as the one that never came; the end of the connection rolls back as well.
    if (this.#database.isSilent) return this.destroy()
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

  /** Ends the connection under whatever is at work on it. */
  destroy(): void {
    this.#broken = true
    this.client.connection.stream.destroy()
  }

  /** Gives the client back as one that nobody can use. */
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

/** The pool, and the two shapes of work that are not transactions of the protocol. */
export class Database {
  readonly settings: TargetSettings
  readonly #pool: pg.Pool
  /** The server lets us in without encryption only, which `prefer` goes along with. */
  #plain = false
  /** The server was found to answer nobody, and has answered nobody since. */
  isSilent = false
  readonly #lent = new Set<Session>()
  readonly #prepared = new WeakSet<pg.PoolClient>()
  /** Those that this server knows. */
  optionalSettings: readonly string[] = []

  constructor(settings: TargetSettings) {
    this.settings = settings
    this.#pool = new pg.Pool({
      ...login(settings),
      stream: () => this.#line(CONNECT_MS),
      max: MOST_CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: QUERY_MS,
    })
    this.#pool.on('error', () => {})
  }

  async session(): Promise<Session> {
    const client = await this.#connected()
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

  /** As libpq does, `prefer` tries the other kind of line where pg_hba.conf refuses this one. */
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

  /** Connects once, to tell a wrong address or password at the start, and finds out what this server knows. */
  async open(): Promise<void> {
    this.optionalSettings = await this.transaction(async (session) => {
      const known: string[] = []
      for (const setting of OPTIONAL_SETTINGS) if (await isKnown(session, setting)) known.push(setting)
      return known
    })
  }

  /** Whether the server says anything at all to a new connection, be it that it has too many of them. */
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

/** The line encrypts; the driver would look at PGSSLMODE by itself. */
function login({ host, port, user, password, database }: TargetSettings): pg.ClientConfig {
  return { host, port, user, password, database, application_name: 'mylab-sync', ssl: false }
}

/** Who is asked for what, without the password. */
function placeOf({ host, port, database, user }: TargetSettings): string {
  return `${database} at ${placeText(host, port)} as ${user}`
}
