import { ofTable } from './connection/errors.js'
import type { Session, TextRow } from './connection/session.js'
import * as sql from './sql.js'

/** UPDATE_TIME counts whole seconds: a change in the second of the last look would be missed. */
const SETTLED_SECONDS = 3
/** Of a MyISAM table whose times tell of no change; it takes some 30 ms. Two tables that exchange names leave no other trace. */
const MOST_SUMMED_BYTES = 16 << 20
/** Reading a table for its checksum takes at most a twentieth of the time. */
const SHARE = 20

interface Summed {
  /** What else was known of the table. */
  readonly told: string
  readonly fingerprint: string
  readonly nextAt: number
}

/** Watches the content of tables that have no triggers, as one process knows it. */
export class ContentWatch {
  readonly #summed = new Map<string, Summed>()

  /** A text that changes when the content of a table may have changed. Throws TableBroken for one that cannot be opened. */
  async fingerprint(session: Session, database: string, table: string): Promise<string> {
    const { told, isUnsettled, isLarge } = await facts(session, database, table)
    if (isLarge && !isUnsettled) return told
    const before = this.#summed.get(table)
    if (before?.told === told && !isUnsettled && performance.now() < before.nextAt) return before.fingerprint
    const started = performance.now()
    const fingerprint = `${told};${await checksum(session, table)}`
    const ended = performance.now()
    this.#summed.set(table, { told, fingerprint, nextAt: ended + SHARE * (ended - started) })
    return fingerprint
  }
}

async function facts(session: Session, database: string, table: string) {
  const [row = []] =
    await session.rows(`SELECT ENGINE, UPDATE_TIME, TABLE_ROWS, DATA_LENGTH, TIMESTAMPDIFF(SECOND, UPDATE_TIME, UTC_TIMESTAMP()) > ${SETTLED_SECONDS}
    FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${sql.text(database)} AND TABLE_NAME = ${sql.text(table)}`)
  const [engine, updateTime, estimatedRows, dataLength, settled] = row
  const isMyIsam = engine?.toLowerCase() === 'myisam'
  return {
    told: (isMyIsam ? [engine, updateTime, estimatedRows, dataLength] : [engine]).join(';'),
    isUnsettled: isMyIsam && settled !== '1',
    isLarge: isMyIsam && Number(dataLength) > MOST_SUMMED_BYTES,
  }
}

async function checksum(session: Session, table: string): Promise<string> {
  const [row]: (TextRow | undefined)[] = await session
    .rows(`CHECKSUM TABLE ${sql.name(table)}`)
    .catch((error: unknown) => {
      // A table that cannot be opened has none: the read that follows says why.
      throw ofTable(table, error)
    })
  return row?.[1] ?? ''
}
