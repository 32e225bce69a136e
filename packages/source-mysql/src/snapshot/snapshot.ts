import type {
  Acknowledgement,
  DrainName,
  SnapshotEntries,
  SnapshotRows,
  SnapshotWatermarks,
  SourceSnapshot,
  SyncError,
  TableFingerprint,
} from '@mylab-sync/core'
import { randomUUID } from 'node:crypto'
import { ER } from '../connection/error-numbers.js'
import { logGone } from '../ddl/own-tables.js'
import { errorNumber, sourceError } from '../connection/errors.js'
import type { Session, TextRow } from '../connection/session.js'
import { INSTANCE_TABLE, type SourceSettings } from '../settings.js'
import type { SourceContext } from '../source-context.js'
import * as sql from '../sql.js'
import { acknowledge, latestWatermark, leaveWatermark, READ_SEAL } from './acknowledge.js'
import { EntryReads } from './entries.js'
import { Reader } from './reader.js'
import { RowReads } from './rows.js'

const CLOCK = `DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')`
/** One-shot each time: a session left in READ COMMITTED makes WITH CONSISTENT SNAPSHOT none, and MariaDB says nothing. */
const BEGIN = ['SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION WITH CONSISTENT SNAPSHOT']
/** Combined with the database's name: a copy on the same server is another source. */
const IDENTITY = `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_id', 'hostname', 'server_uuid', 'datadir')`

interface Opening {
  readonly takenAt: string
  readonly lastDrain: number
  readonly purgedDrain: number
  readonly token: string | null
  /** The recorded seal, and the one found in the log. */
  readonly seal: string | null
  readonly sealOfLog: string | null
  readonly identity: string
}

/** Opens a transaction with a consistent view, on an exclusive connection. */
export async function openSnapshot(context: SourceContext): Promise<SourceSnapshot> {
  const session = await context.pool.acquire()
  try {
    return new Snapshot(context, session, await begin(session, context.settings))
  } catch (error) {
    session.destroy()
    throw error
  }
}

async function begin(session: Session, settings: SourceSettings): Promise<Opening> {
  const { instance, auditTable } = settings
  const ours = `FROM ${sql.name(INSTANCE_TABLE)} WHERE owner = ${sql.text(instance)}`
  // Before the view, so that the view includes everything up to this time, and a seal broken later fails `acknowledge`.
  // Outside its transaction, since SET TRANSACTION is one-shot, and so that no TRUNCATE of the log waits for the view's end.
  const [before] = await session
    .rows(`SELECT ${CLOCK}, ${READ_SEAL(sql.name(auditTable))} ${ours}`)
    .catch(async (error: unknown) => {
      if (errorNumber(error) !== ER.NO_SUCH_TABLE) throw error
      await ownRows(session, [`SELECT 1 ${ours}`])
      throw logGone(settings, error)
    })
  const opened = await ownRows(session, [...BEGIN, `SELECT last_drain, purged_drain, token ${ours}`, IDENTITY])
  const [[drain] = [], variables = []] = opened.slice(BEGIN.length)
  if (before === undefined || drain === undefined) throw notMigrated()
  const identity = variables.map(([variable, value]) => `${variable ?? ''}=${value ?? ''}`)
  return {
    takenAt: before[0] ?? '',
    lastDrain: Number(drain[0]),
    // Any client that may delete entries can have a drain recorded here that never ran.
    purgedDrain: Math.min(Number(drain[1]), Number(drain[0])),
    token: drain[2] ?? null,
    seal: before[1] ?? null,
    sealOfLog: before[2] ?? null,
    identity: [...identity.sort(), `database=${settings.database}`].join(';'),
  }
}

async function ownRows(session: Session, statements: readonly string[]): Promise<TextRow[][]> {
  try {
    return await session.several(statements)
  } catch (error) {
    if (errorNumber(error) === ER.NO_SUCH_TABLE) throw notMigrated()
    throw error
  }
}

function notMigrated(): SyncError {
  return sourceError('not-migrated', 'the tables of this installation do not exist', {
    remedy: 'mylab-sync migrate',
  })
}

export class Snapshot implements SourceSnapshot {
  readonly entries: SnapshotEntries
  readonly rows: SnapshotRows
  readonly #context: SourceContext
  readonly reader: Reader
  readonly #session: Session
  #opening: Opening
  /** Of the first view: the drain has judged no later change, so it acknowledges nothing on top of one. */
  readonly #seen: Opening
  #open = true
  #released = false

  constructor(context: SourceContext, session: Session, opening: Opening) {
    this.#context = context
    this.#session = session
    this.reader = new Reader(session)
    this.entries = new EntryReads(this.reader, context.settings.auditTable)
    this.rows = new RowReads(this.reader)
    this.#opening = opening
    this.#seen = opening
  }

  get takenAt(): string {
    return this.#opening.takenAt
  }

  get lastDrain(): number {
    return this.#opening.lastDrain
  }

  get purgedDrain(): number {
    return this.#opening.purgedDrain
  }

  get token(): string | null {
    return this.#opening.token
  }

  get isSealed(): boolean {
    return this.#opening.seal !== null && this.#opening.seal === this.#opening.sealOfLog
  }

  get identity(): string {
    return this.#opening.identity
  }

  readonly watermarks: SnapshotWatermarks = {
    latest: (drains) => this.reader.alone(() => latestWatermark(this.#session, this.#context.settings, drains)),
    leave: async () => {
      await this.end()
      const token = randomUUID()
      await this.reader.alone(() => this.#session.run(leaveWatermark(this.#context.settings, { token, number: null })))
      return token
    },
  }

  fingerprints(): Promise<ReadonlyMap<string, TableFingerprint>> {
    return this.reader.alone(() => this.#context.watch.fingerprints(this.#session, true))
  }

  fingerprintsOf(tables: readonly string[]): Promise<ReadonlyMap<string, TableFingerprint>> {
    return this.reader.alone(() => this.#context.watch.fingerprintsOf(this.#session, tables))
  }

  async refresh(): Promise<void> {
    await this.end()
    // A transaction may be open from here on, even if reading the numbers fails.
    this.#open = true
    this.#opening = await this.reader.alone(() => begin(this.#session, this.#context.settings))
  }

  async end(): Promise<void> {
    if (!this.#open) return
    await this.reader.alone(() => this.#session.run('COMMIT'))
    this.#open = false
  }

  async acknowledge(acknowledgement: Acknowledgement, drain: DrainName): Promise<boolean> {
    await this.end()
    return await acknowledge(this.#acknowledging, acknowledgement, drain)
  }

  get #acknowledging(): Parameters<typeof acknowledge>[0] {
    const { lastDrain, token, seal } = this.#seen
    return {
      session: this.#session,
      settings: this.#context.settings,
      seen: { lastDrain, token, seal: seal ?? '' },
    }
  }

  /** Closes a connection with an open transaction: rolling it back could fail, and the connection is worth no such risk. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return
    this.#released = true
    if (this.#open) this.#session.destroy()
    else this.#context.pool.release(this.#session)
  }
}
