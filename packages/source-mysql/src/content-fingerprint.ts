import { ofTable } from './connection/errors.js'
import type { Session, TextRow } from './connection/session.js'
import * as sql from './sql.js'

/** UPDATE_TIME has whole seconds, so a change within the second of the last check would be missed. */
const SETTLED_SECONDS = 3
/** A MyISAM table of up to this size is summed even if its times show no change, in some 30 ms: two tables that swap names leave no other trace. */
const MAX_SUMMED_BYTES = 16 << 20
/** Checksums take at most a twentieth of the time. */
const SHARE = 20

interface Summed {
  /** The table's statistics at the time. */
  readonly statistics: string
  readonly fingerprint: string
  readonly nextAt: number
}

/** Detects changes in tables without triggers. Its memory is that of one process. */
export class ContentWatch {
  readonly #summed = new Map<string, Summed>()

  /** As the port's `contentFingerprint`. */
  async fingerprint(session: Session, database: string, table: string): Promise<string> {
    const { statistics, isUnsettled, isLarge } = await facts(session, database, table)
    if (isLarge && !isUnsettled) return statistics
    const before = this.#summed.get(table)
    if (before?.statistics === statistics && !isUnsettled && performance.now() < before.nextAt)
      return before.fingerprint
    const started = performance.now()
    const fingerprint = `${statistics};${await checksum(session, table)}`
    const ended = performance.now()
    this.#summed.set(table, { statistics, fingerprint, nextAt: ended + SHARE * (ended - started) })
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
    statistics: (isMyIsam ? [engine, updateTime, estimatedRows, dataLength] : [engine]).join(';'),
    isUnsettled: isMyIsam && settled !== '1',
    isLarge: isMyIsam && Number(dataLength) > MAX_SUMMED_BYTES,
  }
}

async function checksum(session: Session, table: string): Promise<string> {
  const [row]: (TextRow | undefined)[] = await session
    .rows(`CHECKSUM TABLE ${sql.name(table)}`)
    .catch((error: unknown) => {
      // A table that cannot be opened has no checksum.
      throw ofTable(table, error)
    })
  return row?.[1] ?? ''
}
