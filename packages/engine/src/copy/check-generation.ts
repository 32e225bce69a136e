import { type SourceSnapshot, SyncError, type TableFingerprint } from '@mylab-sync/core'
import type { Model } from '../model/model.js'

/**
 * Returns the fingerprint of the table whose chunks were planned. Throws SyncError generation-changed if its definition or
 * its storage differs now; the next drain sets it aside.
 */
export async function checkGeneration(
  { model, snapshot }: { readonly model: Model; readonly snapshot: SourceSnapshot },
  table: string,
  planned: string | null,
): Promise<TableFingerprint> {
  const now = await snapshot.fingerprint(table)
  if (now && model.isOf(table, now) && (planned === null || model.isCurrent(table, planned))) return now
  throw new SyncError(
    'generation-changed',
    `table ${table}: its definition or its storage has changed while it was copied`,
  )
}
