import { MAX_OWN_ID, type RepairedIds, SyncError } from '@mylab-sync/core'
import type { Session } from '../connection/session.js'
import type { SourceSettings } from '../settings.js'
import { idIn, inTransaction, REFUSED_UNSYNCED } from '../snapshot/acknowledge.js'
import * as sql from '../sql.js'
import { DDL_SESSION, runWithShortLocks } from './install.js'

const BATCH = 500
/** Entries up to here keep their ids; as many ids remain above. */
const ROOM_ABOVE = MAX_OWN_ID / 2n
/** Until the counter is lowered, concurrent writers still get ids beyond the limit. */
const ROUNDS = 5
const ROUND_MS = 5_000
const DDL_TRIES = 2

/**
 * The id that the next entry gets; null if there is no log. Read from the storage, not from the rows: an id given to a
 * rolled-back transaction is used up too.
 */
export async function nextEntryId(session: Session, settings: SourceSettings): Promise<bigint | null> {
  const [row] = await session.rows(`SELECT AUTO_INCREMENT FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME = ${sql.text(settings.auditTable)}`)
  const next = row?.[0] ?? null
  return next === null ? null : BigInt(next)
}

/**
 * Renumbers entries with ids that counting never reaches, and lowers the counter. Any client that may write to a captured
 * table can choose the id of its entry (`SET insert_id`); after the highest possible id every write of the application fails
 * (1467). Must not run in two processes at once. `found` is the id that the next entry would get.
 */
export async function repairIds(session: Session, settings: SourceSettings, found: bigint): Promise<RepairedIds> {
  const log = sql.name(settings.auditTable)
  let entries = 0
  let next = found
  await session.run(DDL_SESSION)
  for (let round = 0; round < ROUNDS && next > MAX_OWN_ID; round++) {
    const { moved, last } = await renumber(session, settings)
    entries += moved
    // If an entry has a higher id, the storage uses the one after it instead.
    const setBack = `ALTER TABLE ${log} AUTO_INCREMENT = ${sql.integer(last + 1n)}`
    if (!(await ranInTime(session, setBack, settings.auditTable))) break
    next = (await nextEntryId(session, settings)) ?? 0n
  }
  return { entries, found, next: next > MAX_OWN_ID ? null : next }
}

/** Returns false if a long transaction has written to the log and did not end in time. */
async function ranInTime(session: Session, statement: string, table: string): Promise<boolean> {
  try {
    await runWithShortLocks(session, statement, table, DDL_TRIES)
    return true
  } catch (error) {
    if (error instanceof SyncError && error.code === 'lock-timeout') return false
    throw error
  }
}

/** Renumbers in id order and only downwards, so that no two ids collide. Skips uncommitted entries. */
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
  const those = idIn(numbers.map(({ id }) => id))
  // The target knows entries of quarantined rows by their former ids, so they become pending again.
  await session.run(
    `UPDATE ${log} FORCE INDEX (PRIMARY) SET drain_no = NULL, retry_count = 0, error_message = NULL
     WHERE ${those} AND ${REFUSED_UNSYNCED}`,
  )
  const to = numbers.map((number) => `WHEN ${number.id} THEN ${number.to}`).join(' ')
  await session.run(`UPDATE ${log} FORCE INDEX (PRIMARY) SET id = CASE id ${to} ELSE id END WHERE ${those} ORDER BY id`)
}
