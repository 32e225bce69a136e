import { type CutoverPhase, type CutoverState, cutOver } from '@mylab-sync/core'
import type { Session } from '../connection/database.js'
import * as sql from '../sql.js'

const NOT_BEGUN: CutoverState = {
  phase: 'following',
  since: null,
  keptDrain: null,
  isCompared: false,
  withActions: false,
}

/** The one row of `sync_cutover`, within the session's transaction. */
export class PhaseRow {
  readonly #session: Session
  readonly #table: string

  constructor(session: Session, stateSchema: string) {
    this.#session = session
    this.#table = `${sql.name(stateSchema)}.sync_cutover`
  }

  async read(): Promise<CutoverState> {
    const [row] = await this.#session.rows<{
      phase: CutoverPhase
      since: string
      kept_drain: number | null
      is_compared: boolean
      with_actions: boolean
    }>(
      `SELECT phase, to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since, kept_drain::float8 AS kept_drain, is_compared, with_actions FROM ${this.#table}`,
    )
    if (row === undefined) return NOT_BEGUN
    const { phase, since, kept_drain: keptDrain, is_compared: isCompared, with_actions: withActions } = row
    return { phase, since, keptDrain, isCompared, withActions }
  }

  async note({ keptDrain, isCompared }: Pick<CutoverState, 'keptDrain' | 'isCompared'>): Promise<void> {
    await this.#session.rows(
      `INSERT INTO ${this.#table} (phase, kept_drain, is_compared) VALUES ('following', $1, $2)
       ON CONFLICT (only_row) DO UPDATE SET kept_drain = EXCLUDED.kept_drain, is_compared = EXCLUDED.is_compared`,
      [keptDrain, isCompared],
    )
  }

  /** Takes the transaction's own id for the switch, so that it must be called in it. */
  async enter(phase: CutoverPhase, withActions: boolean): Promise<void> {
    const number = phase === 'done' ? 'txid_current() % 4294967296' : 'NULL'
    await this.#session.rows(
      `INSERT INTO ${this.#table} (phase, with_actions, switched_by) VALUES ($1, $2, ${number})
       ON CONFLICT (only_row) DO UPDATE SET phase = EXCLUDED.phase, with_actions = EXCLUDED.with_actions, since = now(), switched_by = EXCLUDED.switched_by, kept_drain = NULL, is_compared = false`,
      [phase, withActions],
    )
  }

  async forget(): Promise<void> {
    await this.#session.rows(`DELETE FROM ${this.#table} WHERE phase <> 'done'`)
  }

  /** The switch's transaction; null if there was none. */
  async switchedBy(): Promise<string | null> {
    const [row] = await this.#session.rows<{ number: string | null }>(
      `SELECT switched_by::text AS number FROM ${this.#table} WHERE phase = 'done'`,
    )
    return row?.number ?? null
  }
}

/** Throws SyncError cut-over once the application writes the target: nothing of ours may change its tables any more. */
export async function requireFollowing(session: Session, stateSchema: string): Promise<void> {
  const { phase, since } = await new PhaseRow(session, stateSchema).read()
  if (phase !== 'done') return
  throw cutOver(since)
}
