import { batchesOf, type Marks, SyncError } from '@mylab-sync/core'
import type { Session } from '../connection/session.js'
import { INSTANCE_TABLE, type SourceSettings } from '../settings.js'
import * as sql from '../sql.js'

const BATCH = 4_000
/** Drains read entries with retry_count 0. */
const HELD_RETRIES = 3
/** Under REPEATABLE READ the update would lock the gap that the application inserts into. */
const READ_COMMITTED = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED'

function markEntries(auditTable: string, drain: number, condition: string): string {
  // Any other plan locks entries of open transactions (facts 3.2).
  return `UPDATE ${sql.name(auditTable)} FORCE INDEX (PRIMARY) SET synced = 1, drain_no = ${sql.integer(drain)}, synced_at = CURRENT_TIMESTAMP WHERE ${condition} AND synced = 0`
}

function moveDrain(settings: SourceSettings, drain: number): string {
  return `UPDATE ${sql.name(INSTANCE_TABLE)} SET last_drain = GREATEST(last_drain, ${sql.integer(drain)}) WHERE owner = ${sql.text(settings.instance)}`
}

async function inTransaction(session: Session, statements: () => Promise<void>): Promise<void> {
  await session.run(READ_COMMITTED)
  await session.run('START TRANSACTION')
  try {
    await statements()
    await session.run('COMMIT')
  } catch (error) {
    if (!session.broken) await session.run('ROLLBACK')
    throw error
  }
}

async function recordDrain(session: Session, settings: SourceSettings, drain: number): Promise<void> {
  if ((await session.run(moveDrain(settings, drain))) > 0) return
  throw new SyncError('wrong-owner', `source: this server does not know the installation ${settings.instance}`, {
    remedy: 'run migrate, and check that this is the server that was copied from',
  })
}

/** Marks exactly these entries; the first batch records the drain, even where there is nothing to mark. */
export async function markIds(
  session: Session,
  settings: SourceSettings,
  { ids, held, released }: Marks,
  drain: number,
): Promise<void> {
  const batches = batchesOf(ids, BATCH)
  const first = batches.next().value ?? []
  await inTransaction(session, async () => {
    await markBatch(session, settings, first, drain)
    await recordDrain(session, settings, drain)
    await hold(session, settings, held, drain)
    // Only what was held once: after a failover the id may belong to a new entry.
    for (const batch of batchesOf(released, BATCH)) {
      const condition = `${among(batch)} AND retry_count >= ${HELD_RETRIES}`
      await session.run(markEntries(settings.auditTable, drain, condition))
    }
  })
  for (const batch of batches) await inTransaction(session, () => markBatch(session, settings, batch, drain))
}

async function markBatch(session: Session, settings: SourceSettings, ids: readonly number[], drain: number) {
  if (ids.length > 0) await session.run(markEntries(settings.auditTable, drain, among(ids)))
}

function among(ids: readonly number[]): string {
  return `id IN (${ids.map(sql.integer).join(', ')})`
}

/** Entries of quarantined rows stay unsynced with their error, where people look for them. */
async function hold(session: Session, settings: SourceSettings, held: Marks['held'], drain: number): Promise<void> {
  const byMessage = new Map<string, number[]>()
  for (const { id, message } of held) {
    const ids = byMessage.get(message)
    if (ids) ids.push(id)
    else byMessage.set(message, [id])
  }
  for (const [message, ids] of byMessage) {
    for (let at = 0; at < ids.length; at += BATCH)
      await session.run(
        `UPDATE ${sql.name(settings.auditTable)} FORCE INDEX (PRIMARY) SET retry_count = ${HELD_RETRIES}, drain_no = ${sql.integer(drain)}, error_message = ${sql.text(message.slice(0, 1000))} WHERE ${among(ids.slice(at, at + BATCH))} AND synced = 0`,
      )
  }
}

/** Wrong on purpose: marks entries that committed late, unread. */
export async function markUpTo(session: Session, settings: SourceSettings, id: number, drain: number): Promise<void> {
  await inTransaction(session, async () => {
    await session.run(markEntries(settings.auditTable, drain, `id <= ${sql.integer(id)}`))
    await recordDrain(session, settings, drain)
  })
}

/** The target went back to `drain`: what later drains marked is pending again. */
export async function unmarkAfter(session: Session, settings: SourceSettings, drain: number): Promise<void> {
  const number = sql.integer(drain)
  await inTransaction(session, async () => {
    await session.run(
      `UPDATE ${sql.name(settings.auditTable)} SET synced = 0, retry_count = 0, drain_no = NULL, synced_at = NULL WHERE drain_no > ${number}`,
    )
    await session.run(
      `UPDATE ${sql.name(INSTANCE_TABLE)} SET last_drain = ${number} WHERE owner = ${sql.text(settings.instance)} AND last_drain > ${number}`,
    )
  })
}
