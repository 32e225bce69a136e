import {
  type Acknowledgement,
  batchesOf,
  type DrainName,
  DAMAGED_LOG,
  type LogPosition,
  type UnsyncedEntry,
} from '@mylab-sync/core'
import { randomUUID } from 'node:crypto'
import type { Session } from '../connection/session.js'
import { INSTANCE_TABLE, WATERMARK_TABLE, type SourceSettings } from '../settings.js'
import * as sql from '../sql.js'

const BATCH = 4_000
/** The retry_count of an unsynced entry that has an error says which; drains only read entries with retry_count 0. */
const RETRY_COUNTS: Readonly<Record<UnsyncedEntry['kind'], number>> = { 'refused-row': 3, malformed: 4 }
export const REFUSED_UNSYNCED = `synced = 0 AND retry_count = ${RETRY_COUNTS['refused-row']}`
export const MALFORMED_UNSYNCED = `synced = 0 AND retry_count = ${RETRY_COUNTS.malformed}`

/**
 * Earlier versions used one retry_count for both kinds, and only this text identifies a malformed entry. It is theirs, stored in
 * change logs, and not the message of today: it is never reworded.
 */
const MALFORMED_BEFORE = 'it holds no key of its table as our triggers write it now; the table was copied again'
export const markMalformedBefore = (auditTable: string): string =>
  `UPDATE ${sql.name(auditTable)} SET retry_count = ${RETRY_COUNTS.malformed} WHERE ${REFUSED_UNSYNCED} AND error_message = ${sql.text(MALFORMED_BEFORE)}`
/** Under REPEATABLE READ the update would lock the gap that the application inserts into. */
const READ_COMMITTED = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED'

function markEntries(auditTable: string, drain: number, condition: string): string {
  // Any other plan locks entries of open transactions.
  return `UPDATE ${sql.name(auditTable)} FORCE INDEX (PRIMARY) SET synced = 1, drain_no = ${sql.integer(drain)}, synced_at = CURRENT_TIMESTAMP WHERE ${condition} AND synced = 0`
}

/** The change log's row with the seal: no read of entries includes id 0, and no manual clean-up `synced = 2`. */
const SEAL = 'id = 0'

/** Selects the seal as recorded in sync_instance, and as found in the change log. */
export const READ_SEAL = (log: string): string => `seal, (SELECT row_key FROM ${log} WHERE ${SEAL})`

/** Thrown inside a transaction if another drain has acknowledged before it. */
class AcknowledgedMeanwhile extends Error {}

/** Returns false, having rolled back, if another drain has acknowledged meanwhile. */
export async function inTransaction(session: Session, statements: () => Promise<void>): Promise<boolean> {
  await session.several([READ_COMMITTED, 'START TRANSACTION'])
  try {
    await statements()
    await session.run('COMMIT')
    return true
  } catch (error) {
    if (!session.broken) await session.run('ROLLBACK')
    if (error instanceof AcknowledgedMeanwhile) return false
    throw error
  }
}

function isAtPosition(settings: SourceSettings, { lastDrain, token }: LogPosition): string {
  const known = token === null ? 'IS NULL' : `= ${sql.text(token)}`
  return `WHERE owner = ${sql.text(settings.instance)} AND last_drain = ${sql.integer(lastDrain)} AND token ${known}`
}

/**
 * TRUNCATE or replacing the log's table fires no trigger, but loses the seal or brings back an older one. The seal is moved
 * first in the transaction, since a client that deletes all entries locks them in the order of their ids.
 */
async function moveSeal(session: Session, settings: SourceSettings, from: string, to: string): Promise<void> {
  const row = `row_key = ${sql.text(to)}, synced = 2, created_at = CURRENT_TIMESTAMP(6)`
  const moved = await session.run(
    `UPDATE ${sql.name(settings.auditTable)} SET ${row} WHERE ${SEAL} AND row_key = ${sql.text(from)}`,
  )
  if (moved === 0) throw new AcknowledgedMeanwhile()
}

function recordSeal(settings: SourceSettings, seal: string): string {
  return `UPDATE ${sql.name(INSTANCE_TABLE)} SET seal = ${sql.text(seal)} WHERE owner = ${sql.text(settings.instance)}`
}

/** As the port's. A log that was never sealed does not count as damaged. */
export async function sealLog(session: Session, settings: SourceSettings, seen: LogPosition): Promise<void> {
  const log = sql.name(settings.auditTable)
  const seal = randomUUID()
  await inTransaction(session, async () => {
    const [row] = await session.rows(
      `SELECT seal FROM ${sql.name(INSTANCE_TABLE)} WHERE owner = ${sql.text(settings.instance)} FOR UPDATE`,
    )
    const isKept = (row?.[0] ?? null) === null || seen.token === ''
    const to = { lastDrain: seen.lastDrain, token: isKept ? seen.token : DAMAGED_LOG }
    await movePosition(session, settings, { from: seen, to })
    await session.run(`DELETE FROM ${log} WHERE ${SEAL}`)
    await session.run(
      `INSERT INTO ${log} (table_name, operation, row_key, flags, synced) VALUES ('', 'UPDATE', ${sql.text(seal)}, 0, 2)`,
    )
    // INSERT would replace 0 by the next id.
    await session.run(`UPDATE ${log} SET id = 0 WHERE id = LAST_INSERT_ID()`)
    await session.run(recordSeal(settings, seal))
  })
}

/** Seals a log that has no seal yet. */
export async function sealNewLog(session: Session, settings: SourceSettings): Promise<void> {
  const [row] = await session.rows(
    `SELECT last_drain, token FROM ${sql.name(INSTANCE_TABLE)} WHERE owner = ${sql.text(settings.instance)} AND seal IS NULL`,
  )
  if (row) await sealLog(session, settings, { lastDrain: Number(row[0]), token: row[1] ?? null })
}

/** Runs `before` in the same packet. Relies on the server counting matched rows, including unchanged ones. */
async function movePosition(
  session: Session,
  settings: SourceSettings,
  { from, to }: { readonly from: LogPosition; readonly to: LogPosition },
  before: readonly string[] = [],
): Promise<void> {
  const token = to.token === null ? 'NULL' : sql.text(to.token)
  const move = `UPDATE ${sql.name(INSTANCE_TABLE)} SET last_drain = ${sql.integer(to.lastDrain)}, token = ${token} ${isAtPosition(settings, from)}`
  if ((await session.run([...before, move].join('; '))) === 0) throw new AcknowledgedMeanwhile()
}

/** A drain leaves its watermark in the transaction that moves the position, so that a source going back loses both or neither. */
export function leaveWatermark(
  settings: SourceSettings,
  { token, number }: { readonly token: string; readonly number: number | null },
): string {
  const drain = number === null ? 'NULL' : sql.integer(number)
  return `INSERT INTO ${sql.name(WATERMARK_TABLE)} (owner, token, drain_no) VALUES (${sql.text(settings.instance)}, ${sql.text(token)}, ${drain})`
}

export async function hasWatermarks(
  session: Session,
  settings: SourceSettings,
  tokens: readonly string[],
): Promise<boolean> {
  for (const batch of batchesOf(tokens, BATCH)) {
    const [row] = await session.rows(
      `SELECT COUNT(*) FROM ${sql.name(WATERMARK_TABLE)} WHERE owner = ${sql.text(settings.instance)} AND token IN (${batch.map(sql.text).join(', ')})`,
    )
    if (Number(row?.[0]) < batch.length) return false
  }
  return true
}

/** As the port's. */
export async function latestWatermark(
  session: Session,
  settings: SourceSettings,
  drains: readonly DrainName[],
): Promise<DrainName | null> {
  if (drains.length === 0) return null
  const numbers = drains.map((drain) => drain.number)
  const left = await session.rows(
    `SELECT drain_no, token FROM ${sql.name(WATERMARK_TABLE)} WHERE owner = ${sql.text(settings.instance)} AND drain_no BETWEEN ${sql.integer(Math.min(...numbers))} AND ${sql.integer(Math.max(...numbers))}`,
  )
  const tokens = new Map(left.map(([number, token]) => [Number(number), token]))
  const known = drains.filter((drain) => tokens.get(drain.number) === drain.token)
  return known.reduce<DrainName | null>(
    (latest, drain) => (latest && latest.number > drain.number ? latest : drain),
    null,
  )
}

interface Acknowledging {
  readonly session: Session
  readonly settings: SourceSettings
  readonly seen: LogPosition & { readonly seal: string }
}

/** As the port's. The first batch records the drain, even if there is nothing to mark. */
export async function acknowledge(
  { session, settings, seen }: Acknowledging,
  { ids, unsynced, released }: Acknowledgement,
  drain: DrainName,
): Promise<boolean> {
  const ours = { lastDrain: drain.number, token: drain.token }
  const batches = batchesOf(ids, BATCH)
  const first = batches.next().value ?? []
  const isFirst = await inTransaction(session, async () => {
    await moveSeal(session, settings, seen.seal, drain.token)
    // Entries were lost before this drain, which read everything: the log cannot bring forward a target without it.
    const isLost = seen.token === '' || seen.token === DAMAGED_LOG
    await movePosition(session, settings, { from: seen, to: ours }, [
      recordSeal(settings, drain.token),
      ...markBatch(settings, first, drain),
      leaveWatermark(settings, drain),
      ...(isLost ? [recordPurged(settings, drain.number)] : []),
    ])
    await keepUnsynced(session, settings, unsynced, drain.number)
    // Only entries that have an error: after a failover the id may belong to a new entry.
    for (const batch of batchesOf(released, BATCH)) {
      const condition = `${idIn(batch)} AND retry_count >= ${RETRY_COUNTS['refused-row']}`
      await session.run(markEntries(settings.auditTable, drain.number, condition))
    }
  })
  if (!isFirst) return false
  for (const batch of batches) {
    const isOurs = await inTransaction(session, async () => {
      await movePosition(session, settings, { from: ours, to: ours }, markBatch(settings, batch, drain))
    })
    if (!isOurs) return false
  }
  return true
}

/** Records that the log cannot bring forward a target restored to a state before this drain. */
export function recordPurged(settings: SourceSettings, drain: number): string {
  return `UPDATE ${sql.name(INSTANCE_TABLE)} SET purged_drain = GREATEST(purged_drain, ${sql.integer(drain)}) WHERE owner = ${sql.text(settings.instance)}`
}

function markBatch({ auditTable }: SourceSettings, ids: readonly bigint[], { number }: DrainName): string[] {
  return ids.length > 0 ? [markEntries(auditTable, number, idIn(ids))] : []
}

export function idIn(ids: readonly bigint[]): string {
  return `id IN (${ids.map((id) => sql.integer(id)).join(', ')})`
}

/** One entry per quarantined row stays unsynced with its error, where people look for it. */
async function keepUnsynced(
  session: Session,
  settings: SourceSettings,
  unsynced: Acknowledgement['unsynced'],
  drain: number,
): Promise<void> {
  const alike = new Map<string, { readonly kind: UnsyncedEntry['kind']; readonly message: string; ids: bigint[] }>()
  for (const { id, kind, message } of unsynced) {
    const known = alike.get(`${kind} ${message}`)
    if (known) known.ids.push(id)
    else alike.set(`${kind} ${message}`, { kind, message, ids: [id] })
  }
  for (const { kind, message, ids } of alike.values()) {
    for (let at = 0; at < ids.length; at += BATCH)
      await session.run(
        `UPDATE ${sql.name(settings.auditTable)} FORCE INDEX (PRIMARY) SET retry_count = ${RETRY_COUNTS[kind]}, drain_no = ${sql.integer(drain)}, error_message = ${sql.text(message.slice(0, 1000))} WHERE ${idIn(ids.slice(at, at + BATCH))} AND synced = 0`,
      )
  }
}

/**
 * Makes the entries pending again that were acknowledged after `to`, the latest drain that the target also knows. The number is kept, so
 * that no later drain of this target reuses the number of another drain.
 */
export async function takeBack(
  session: Session,
  settings: SourceSettings,
  to: DrainName,
  seen: LogPosition,
): Promise<void> {
  const since = `drain_no > ${sql.integer(to.number)}`
  await inTransaction(session, async () => {
    await movePosition(session, settings, { from: seen, to: { lastDrain: seen.lastDrain, token: to.token } })
    await session.run(
      `DELETE FROM ${sql.name(WATERMARK_TABLE)} WHERE owner = ${sql.text(settings.instance)} AND ${since}`,
    )
    await session.run(
      `UPDATE ${sql.name(settings.auditTable)} SET synced = 0, retry_count = 0, drain_no = NULL, synced_at = NULL WHERE ${since}`,
    )
  })
}
