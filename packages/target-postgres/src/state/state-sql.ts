import type { Row, Session } from '../connection/database.js'
import { mapped } from '../errors.js'
import * as sql from '../sql.js'

/** Rows per INSERT by unnest. */
export const ROWS_PER_STATEMENT = 20_000

/** The indexed form of a key, or of values joined like one, in the state tables: migration 010. */
export function indexedKey(key: string): string {
  return `(CASE WHEN octet_length(${key}) > 512 THEN '#' || encode(sha256(decode(${key}, 'escape')), 'hex') ELSE ${key} END)`
}

/** A moment as ISO 8601 in UTC, whatever the session's settings are. */
export function iso(moment: string): string {
  return `to_char(${moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}

/** Statements on the state tables of one installation, inside one transaction. */
export class StateSql {
  readonly #session: Session
  readonly #schema: string

  constructor(session: Session, schema: string) {
    this.#session = session
    this.#schema = sql.name(schema)
  }

  rows<T extends Row>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    const qualified = text.replaceAll('sync_', () => `${this.#schema}.sync_`)
    return this.#session.raw<T>(qualified, values).then(
      (result) => result.rows,
      (error: unknown) => Promise.reject(mapped(error)),
    )
  }
}
