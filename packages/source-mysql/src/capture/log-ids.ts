import { HIGHEST_OWN_ID, MALFORMED_ENTRY, type RepairedIds, SyncError } from '@mylab-sync/core'
import type { Session } from '../connection/session.js'
import type { SourceSettings } from '../settings.js'
import { among, HELD, inTransaction } from '../snapshot/acknowledge.js'
import * as sql from '../sql.js'
import { DDL_SESSION, runWithShortLocks } from './install.js'

const BATCH = 500
/** Entries up to here keep their ids, with as much room again above them. */
const ROOM_ABOVE = HIGHEST_OWN_ID / 2n
/** Writers that go on meanwhile are given ids beyond until the counter is set back. */
const ROUNDS = 5
const ROUND_MS = 5_000
const DDL_TRIES = 2

/**
 * The id that the next entry gets; null: there is no log. Asked of the storage, not of the rows: an id that was given to a
 * transaction which was rolled back is used up as well.
 */
export async function nextEntryId(session: Session, settings: SourceSettings): Promise<bigint | null> {
  const [row] = await session.rows(`SELECT AUTO_INCREMENT FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME = ${sql.text(settings.auditTable)}`)
  const next = row?.[0] ?? null
  return next === null ? null : BigInt(next)
}

/**
 * Gives entries with ids that no counting leads to others below, and sets the counter back to them. Whoever may write to one
 * captured table can choose the id of its entry (`SET insert_id`): behind the highest of all, every write of the application
 * fails (1467). Only one process at a time. `found` is the id that the next entry would get.
 */
export async function repairIds(session: Session, settings: SourceSettings, found: bigint): Promise<RepairedIds> {
  const log = sql.name(settings.auditTable)
  let entries = 0
  let next = found
  await session.run(DDL_SESSION)
  for (let round = 0; round < ROUNDS && next > HIGHEST_OWN_ID; round++) {
    const { moved, last } = await renumber(session, settings)
    entries += moved
    // The storage takes the next one after the highest id where that is higher.
    const setBack = `ALTER TABLE ${log} AUTO_INCREMENT = ${sql.integer(last + 1n)}`
    if (!(await ranInTime(session, setBack, settings.auditTable))) break
    next = (await nextEntryId(session, settings)) ?? 0n
  }
  return { entries, found, next: next > HIGHEST_OWN_ID ? null : next }
}

/** False: a transaction that is under way has written to the log, for longer than is waited for. */
async function ranInTime(session: Session, statement: string, table: string): Promise<boolean> {
  try {
    await runWithShortLocks(session, statement, table, DDL_TRIES)
    return true
  } catch (error) {
    if (error instanceof SyncError && error.code === 'lock-timeout') return false
    throw error
  }
}

/** In the order of the ids, which only sink, so that none meets another. Entries that are not committed yet are left. */
async function renumber(session: Session, settings: SourceSettings): Promise<{ moved: number; last: bigint }> {
  const log = sql.name(settings.auditTable)
  const [row] = await session.rows(`SELECT COALESCE(MAX(id), 0) FROM ${log} WHERE id <= ${ROOM_ABOVE}`)
  let last = BigInt(row?.[0] ?? 0)
  let moved = 0
  for (const until = performance.now() + ROUND_MS; performance.now() < until; ) {
    const rows = await session.rows(
      `SELECT id FROM ${log} FORCE INDEX (PRIMARY) WHERE id > ${last} ORDER BY id LIMIT ${BATCH}`,
    )
    if (rows.length === 0) break
    const from = last
    const ids = rows.map(([id]) => BigInt(id ?? 0))
    const numbers = ids.map((id, at) => ({ id, to: from + BigInt(at) + 1n })).filter(({ id, to }) => id !== to)
    last += BigInt(ids.length)
    if (numbers.length > 0) await inTransaction(session, () => renumberBatch(session, settings, numbers))
    moved += numbers.length
  }
  return { moved, last }
}

async function renumberBatch(
  session: Session,
  settings: SourceSettings,
  numbers: readonly { readonly id: bigint; readonly to: bigint }[],
): Promise<void> {
  const log = sql.name(settings.auditTable)
  const those = among(numbers.map(({ id }) => id))
  // What was held for a row is read again: the target knows the entry by the id that it had.
  await session.run(
    `UPDATE ${log} FORCE INDEX (PRIMARY) SET drain_no = NULL, retry_count = 0, error_message = NULL
     WHERE ${those} AND ${HELD} AND NOT error_message <=> ${sql.text(MALFORMED_ENTRY)}`,
  )
  const to = numbers.map((number) => `WHEN ${number.id} THEN ${number.to}`).join(' ')
  await session.run(`UPDATE ${log} FORCE INDEX (PRIMARY) SET id = CASE id ${to} ELSE id END WHERE ${those} ORDER BY id`)
}
