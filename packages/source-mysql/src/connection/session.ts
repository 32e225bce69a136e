import type { Connection } from 'mysql2'
import { Readable } from 'node:stream'
import { type LineState, placeText, type RowBlock, tlsFault } from '@mylab-sync/core'
import { watchSilence } from '@mylab-sync/runtime'
import { ER } from './error-numbers.js'
import { OWN_SESSION, type SourceSettings } from '../settings.js'
import { dial, type Dialled } from './dial.js'
import { type RawValues, type ResultRows, RowBatches } from './row-batches.js'
import { connectError, errorNumber, mapped, sourceError } from './errors.js'
import { ReaderLag } from './reader-lag.js'
import { RowBlocks } from './row-blocks.js'
import { onRowPackets } from './row-packets.js'

/** One result row as text. */
export type TextRow = (string | null)[]

/** Unread bytes of blocks at which the socket is paused, beside the read that is being parsed. */
const WAITING_BYTES = 512 << 10
const NO_PROGRESS_MS = 120_000
const CONNECT_MS = 10_000
/** How long a server may take to answer a new connection before it counts as down. */
const ANSWER_MS = 5_000
const LEAVE_MS = 1_000

const HIDDEN_WARNINGS = new Set([ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK, ER.WARN_I_S_SKIPPED_TABLE].map(String))
/** Without these, rows would be read or written differently. */
const SETTINGS = [
  `${OWN_SESSION} = 1`,
  "time_zone = '+00:00'",
  "sql_mode = 'NO_ENGINE_SUBSTITUTION'",
  'autocommit = 1',
  // A server may set a lower limit globally, and silently omits the rows beyond it.
  'sql_select_limit = 18446744073709551615',
  'completion_type = 0',
  'sql_quote_show_create = 1',
]
/** Useful but not necessary. Which of them need a right depends on the version, and the account may lack it. */
const HELPFUL = [
  'net_write_timeout = 600',
  'wait_timeout = 900',
  'lock_wait_timeout = 3',
  'innodb_lock_wait_timeout = 5',
  'sql_big_selects = 1',
]
const SETUP = `SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, ${SETTINGS.join(', ')}`
/** Each exists on some servers only: show the GIPK, fresh statistics, long IN lists as ranges, no row locks for a vanished client, no server-side timeouts. */
const OPTIONAL_SETUP = [
  // A session keeps 64 warnings, or 1,024 on MySQL, where keeping more needs a right. That many broken views would hide other warnings from `definitions`.
  'SET SESSION max_error_count = 65535',
  'SET SESSION show_gipk_in_create_table_and_information_schema = ON',
  'SET SESSION information_schema_stats_expiry = 0',
  'SET SESSION in_predicate_conversion_threshold = 0',
  'SET SESSION idle_write_transaction_timeout = 20',
  'SET SESSION max_statement_time = 0',
  'SET SESSION max_execution_time = 0',
  'SET SESSION idle_transaction_timeout = 0',
  'SET SESSION idle_readonly_transaction_timeout = 0',
  // Read the present, whatever the global default; whole texts; memory for sorting and small temporary tables.
  'SET SESSION system_versioning_asof = DEFAULT',
  'SET SESSION group_concat_max_len = 1048576',
  'SET SESSION sort_buffer_size = 2097152',
  'SET SESSION max_sort_length = 1024',
  'SET SESSION tmp_table_size = 16777216, max_heap_table_size = 16777216',
  'SET SESSION tmp_disk_table_size = 18446744073709551615',
  'SET SESSION sql_safe_updates = 0, sql_auto_is_null = 0',
  'SET SESSION tx_read_only = 0',
  'SET SESSION transaction_read_only = 0',
  // MySQL: look up keys by their index even if it is INVISIBLE.
  "SET SESSION optimizer_switch = 'use_invisible_indexes=on'",
]

interface Listening {
  readonly onResult: (result: unknown, at: number) => void
  /** Returns true once in a while. */
  readonly onPacket?: (bytes: Buffer, start: number, end: number) => boolean
  /** False: rows are given to `onResult`. */
  readonly isPacketWanted?: () => boolean
  /** The reader lags, so the server's silence means nothing. */
  readonly waiting?: () => boolean
  /** Called as the result of each statement begins, with rows or without. */
  readonly onBegin?: (hasRows: boolean) => void
}

const VERSION = 'SELECT VERSION()'

/** What the server accepted for a first connection: later ones take one round trip, unless another version answers. */
const setUps = new WeakMap<SourceSettings, { readonly statements: string; readonly version: string | null }>()

interface Running {
  readonly fail: (error: unknown) => void
}

/**
 * One connection. The driver never settles a statement whose connection was killed, so every statement also ends by the
 * connection's error or after a time without progress.
 */
export class Session {
  readonly line: LineState
  readonly #connection: Connection
  readonly #answers: () => Promise<boolean>
  readonly #running = new Set<Running>()
  #broken = false

  private constructor({ connection, line }: Dialled, answers: () => Promise<boolean>) {
    this.line = line
    this.#connection = connection
    this.#answers = answers
    connection.on('error', (error: unknown) => {
      this.#break(error)
    })
    connection.on('end', () => {
      this.#break(Object.assign(new Error('connection ended'), { code: 'PROTOCOL_CONNECTION_LOST' }))
    })
  }

  static async open(settings: SourceSettings): Promise<Session> {
    let session: Session | undefined
    try {
      session = new Session(await dial(settings, CONNECT_MS), () => answers(settings))
      await session.#setUp(settings)
      return session
    } catch (error) {
      session?.destroy()
      throw connectError(error, placeOf(settings))
    }
  }

  get broken(): boolean {
    return this.#broken
  }

  destroy(): void {
    this.#broken = true
    this.#connection.destroy()
  }

  /** Closes the connection in an orderly way; the server counts a destroyed one as aborted. */
  async close(): Promise<void> {
    if (this.#broken) return
    this.#broken = true
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(() => {
        this.#connection.destroy()
        resolve()
      }, LEAVE_MS)
      this.#connection.end(() => {
        clearTimeout(deadline)
        resolve()
      })
    })
  }

  /** Runs a statement without a result set. Returns the number of matched rows. */
  async run(sql: string): Promise<number> {
    let affected = 0
    await this.#query(sql, {
      onResult: (result) => {
        if (Array.isArray(result)) return
        const count = typeof result === 'object' && result !== null ? Reflect.get(result, 'affectedRows') : 0
        if (typeof count === 'number') affected = count
      },
    })
    return affected
  }

  /**
   * Runs statements in one packet, whatever rows they return. Returns how many results had begun, which is how many ran if they have no
   * rows, and the error of the next.
   */
  async runAll(statements: readonly string[]): Promise<{ readonly ran: number; readonly error: unknown }> {
    let ran = 0
    try {
      await this.#query(statements.join('; '), {
        onBegin: () => void ran++,
        onResult: () => undefined,
      })
      return { ran, error: null }
    } catch (error) {
      return { ran, error }
    }
  }

  /** Reads all rows of a small result as text. */
  async rows(sql: string): Promise<TextRow[]> {
    return await this.#texts(sql, (text) => text)
  }

  /** As `rows`, for statements sent in one packet: the rows of each. After an error none of the later statements runs. */
  async several(statements: readonly string[]): Promise<TextRow[][]> {
    const results = statements.map((): TextRow[] => [])
    await this.#query(statements.join('; '), {
      onResult: (result, at) => {
        if (isRow(result)) results[at]?.push(texts(result))
      },
    })
    return results
  }

  async #texts(sql: string, kept: (text: string) => string): Promise<TextRow[]> {
    const rows: TextRow[] = []
    await this.#query(sql, {
      onResult: (result) => {
        if (isRow(result)) rows.push(texts(result, kept))
      },
    })
    return rows
  }

  /**
   * As `rows`, for information_schema, which omits a table whose definition is being changed and only warns. Throws SyncError
   * lock-timeout in that case.
   */
  async definitions(sql: string): Promise<TextRow[]> {
    const { rows, hidden } = await this.#definitions(sql)
    if (hidden === undefined) return rows
    throw sourceError('lock-timeout', `a table is being altered, so the server hides its definition (${hidden})`, {
      remedy: 'another session runs a long ALTER, TRUNCATE or CREATE; try again after it has ended',
    })
  }

  /** As `definitions`, but omits hidden tables. */
  async visibleDefinitions(sql: string): Promise<{ readonly rows: TextRow[]; readonly isPartial: boolean }> {
    const { rows, hidden } = await this.#definitions(sql)
    return { rows, isPartial: hidden !== undefined }
  }

  async #definitions(sql: string): Promise<{ rows: TextRow[]; hidden: string | undefined }> {
    const rows = await this.#texts(sql, shared())
    const hidden = (await this.rows('SHOW WARNINGS'))
      .map((row) => row[1] ?? '')
      .find((each) => HIDDEN_WARNINGS.has(each))
    return { rows, hidden }
  }

  /**
   * Runs statements in one packet, reads their rows in batches of bounded size, and pauses the socket while the reader lags.
   * Leaving the loop early destroys the connection. After an error none of the later statements runs; `named` is given how
   * many results had begun by then.
   */
  async *stream(
    statements: readonly string[],
    named: (error: unknown, begun: number) => unknown,
  ): AsyncGenerator<ResultRows, void, void> {
    let begun = 0
    const onBegin = (): void => void begun++
    const batches = new RowBatches()
    const lag = new ReaderLag(this.#connection)
    const done = this.#query(statements.join('; '), {
      onResult: (row, at) => {
        if (isRow(row) && batches.add(at, row)) lag.arrived(batches.isEnough)
      },
      waiting: () => lag.isPaused,
      onBegin,
    }).finally(() => lag.end())
    done.catch(() => undefined) // reported by the await below
    try {
      for (;;) {
        let batch = batches.take()
        for (; batch; batch = batches.take()) yield batch
        if (lag.hasEnded) break
        await lag.more(() => batches.hasComplete)
      }
      await done.catch((error: unknown) => Promise.reject(named(error, begun)))
      const last = batches.last()
      if (last.rows.length > 0) yield last
    } finally {
      // Otherwise the driver would read the rest of the result before the next statement.
      if (!lag.hasEnded) this.destroy()
    }
  }

  /**
   * Runs statements in one packet, and reads the rows of the first that has any as `stream`, undecoded: `columns` values a row, of which
   * the first is the row's key if `keyed`. A block is valid until the next one is asked for. Returns the rows of the other ones.
   */
  async *blocks(
    statements: readonly string[],
    { columns, keyed }: { readonly columns: number; readonly keyed: boolean },
  ): AsyncGenerator<RowBlock, RawValues[], void> {
    const others: RawValues[] = []
    let begun = 0
    const blocks = new RowBlocks(columns, keyed)
    // The socket, not the driver's connection, which would keep a copy of each packet that it has already received.
    const lag = new ReaderLag(this.#socket())
    const done = this.#query(statements.join('; '), {
      onBegin: (hasRows) => {
        if (hasRows) begun++
      },
      onResult: (row) => {
        if (!isRow(row)) return
        if (begun <= 1) throw refusedRow()
        others.push(row)
      },
      isPacketWanted: () => begun <= 1,
      onPacket: (bytes, start, end) => {
        if (!blocks.add(bytes, start, end)) return false
        lag.arrived(blocks.bytes >= WAITING_BYTES)
        return true
      },
      waiting: () => lag.isPaused,
    }).finally(() => {
      blocks.complete()
      lag.end()
    })
    done.catch(() => undefined) // reported by the await below
    try {
      for (;;) {
        const block = blocks.take()
        if (block !== undefined) {
          yield block
          blocks.giveBack(block)
        } else if (lag.hasEnded) break
        else await lag.more(() => blocks.hasFull)
      }
      await done
      return others
    } finally {
      // Otherwise the driver would read the rest of the result before the next statement.
      if (!lag.hasEnded) this.destroy()
    }
  }

  #socket(): Readable {
    const stream: unknown = Reflect.get(this.#connection, 'stream')
    if (stream instanceof Readable) return stream
    throw sourceError('internal', 'the driver keeps its socket elsewhere than expected')
  }

  async #setUp(settings: SourceSettings): Promise<void> {
    if (await this.#isSetUpAsBefore(settings)) return
    const accepted: string[] = []
    const attempt = async (statement: string): Promise<boolean> =>
      (await this.#isAccepted(statement)) && accepted.push(statement) > 0
    if (!(await attempt(`${SETUP}, ${HELPFUL.join(', ')}`))) {
      await this.run(SETUP)
      accepted.push(SETUP)
      for (const setting of HELPFUL) await attempt(`SET ${setting}`)
    }
    for (const statement of OPTIONAL_SETUP) await attempt(statement)
    const [version] = await this.rows(VERSION)
    setUps.set(settings, { statements: [...accepted, VERSION].join('; '), version: version?.[0] ?? null })
  }

  async #isSetUpAsBefore(settings: SourceSettings): Promise<boolean> {
    const before = setUps.get(settings)
    if (before === undefined) return false
    try {
      const [version] = await this.rows(before.statements)
      return version?.[0] === before.version
    } catch (error) {
      if (this.#broken || errorNumber(error) === undefined) throw error
      return false
    }
  }

  /** Returns false if the server refuses the statement for any reason: an unknown name, a value, a right. */
  async #isAccepted(statement: string): Promise<boolean> {
    try {
      await this.run(statement)
      return true
    } catch (error) {
      if (this.#broken || errorNumber(error) === undefined) throw error
      return false
    }
  }

  #break(error: unknown): void {
    this.#broken = true
    for (const running of this.#running) running.fail(error)
  }

  async #query(
    sql: string,
    { onResult, onPacket, isPacketWanted, waiting = () => false, onBegin = () => undefined }: Listening,
  ): Promise<void> {
    if (this.#broken) throw sourceError('lost-connection', 'the connection was lost')
    let progress = performance.now()
    let endWatch = (): void => undefined
    let entry: Running | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        entry = { fail: reject }
        this.#running.add(entry)
        endWatch = watchSilence({
          silentMs: () => {
            if (waiting()) progress = performance.now()
            return performance.now() - progress
          },
          answers: this.#answers,
          maxMs: NO_PROGRESS_MS,
          lost: (silentMs) => {
            reject(sourceError('lost-connection', `no answer for ${Math.round(silentMs / 1000)} s`))
            this.destroy()
          },
        })
        const command = this.#connection.query({ sql, rowsAsArray: true, typeCast: false })
        command.on('error', reject)
        if (onPacket !== undefined)
          onRowPackets(
            command,
            (bytes, start, end) => {
              // Thrown into the driver, an error would be reported as a lost connection.
              try {
                if (onPacket(bytes, start, end)) progress = performance.now()
              } catch (error) {
                reject(error)
                this.destroy()
              }
            },
            isPacketWanted,
          )
        command.on('fields', (fields: unknown) => onBegin(fields !== undefined))
        command.on('result', (result: unknown, at: number) => {
          progress = performance.now()
          onResult(result, at)
        })
        command.on('end', () => {
          resolve()
        })
      })
    } catch (error) {
      throw mapped(error, 'statement failed')
    } finally {
      endWatch()
      if (entry !== undefined) this.#running.delete(entry)
    }
  }
}

/** Whether the server answers a new connection at all, even with "too many connections". */
async function answers(settings: SourceSettings): Promise<boolean> {
  try {
    const { connection } = await dial(settings, ANSWER_MS)
    connection.end(() => undefined)
    return true
  } catch (error) {
    return errorNumber(error) !== undefined || tlsFault(error) !== null
  }
}

/**
 * Interns strings: most of 60,000 columns repeat `int`, `utf8mb4` or YES, and separate strings survive the first garbage
 * collection (measured, 400 tables of 150 columns read four times: 310 MB resident instead of 335).
 */
function shared(): (text: string) => string {
  const known = new Map<string, string>()
  return (text) => {
    const same = known.get(text)
    if (same !== undefined) return same
    known.set(text, text)
    return text
  }
}

/** The driver has read a row although its packets were asked for. */
function refusedRow(): Error {
  return sourceError('internal', 'the driver hands out rows otherwise than expected')
}

function texts(row: RawValues, kept = (text: string): string => text): TextRow {
  return row.map((value) => (value === null ? null : kept(value.toString('utf8'))))
}

function isRow(result: unknown): result is RawValues {
  return Array.isArray(result)
}

/** Server, database and account, without the password. */
function placeOf({ socket, host, port, database, user }: SourceSettings): string {
  return `${database} at ${socket ?? placeText(host, port)} as ${user}`
}
