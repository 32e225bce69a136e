import { ofTable } from './connection/errors.js'
import type { Session } from './connection/session.js'
import * as sql from './sql.js'

/** UPDATE_TIME counts whole seconds: a change in the second of the last look would be missed. */
const SETTLED_SECONDS = 3

/** A text that moves when the content of a non-transactional table may have changed. */
export async function contentSign(session: Session, database: string, table: string): Promise<string> {
  const [row = []] =
    await session.rows(`SELECT ENGINE, UPDATE_TIME, TABLE_ROWS, DATA_LENGTH, TIMESTAMPDIFF(SECOND, UPDATE_TIME, UTC_TIMESTAMP()) > ${SETTLED_SECONDS}
    FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${sql.text(database)} AND TABLE_NAME = ${sql.text(table)}`)
  const [engine, updateTime, estimatedRows, dataLength, settled] = row
  const isMyIsam = engine?.toLowerCase() === 'myisam'
  const sign = isMyIsam ? [engine, updateTime, estimatedRows, dataLength] : [engine]
  if (isMyIsam && settled === '1') return sign.join(';')
  // A table that cannot be opened has none: the read that follows says why.
  const [checksum = []] = await session.rows(`CHECKSUM TABLE ${sql.name(table)}`).catch((error: unknown) => {
    throw ofTable(table, error)
  })
  return [...sign, checksum[1]].join(';')
}
