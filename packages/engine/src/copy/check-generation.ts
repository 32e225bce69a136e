import { type SourceSnapshot, SyncError } from '@mylab-sync/core'
import type { Model } from '../model/model.js'

/** A table, and its generation when its chunks were planned; null: not read yet. */
export interface Planned {
  readonly table: string
  readonly generation: string | null
}

/**
 * Returns the time from which a snapshot shows these tables as the model knows them; null: any does. Throws SyncError
 * generation-changed if the definition or the storage of one differs now; the next drain sets it aside.
 */
export async function checkGenerations(
  { model, snapshot }: { readonly model: Model; readonly snapshot: SourceSnapshot },
  planned: readonly Planned[],
): Promise<string | null> {
  const fingerprints = await snapshot.fingerprintsOf(planned.map(({ table }) => table))
  let settlesAt: string | null = null
  for (const { table, generation } of planned) {
    const now = fingerprints.get(table)
    if (!now || !model.isOf(table, now) || (generation !== null && !model.isCurrent(table, generation)))
      throw new SyncError(
        'generation-changed',
        `table ${table}: its definition or its storage has changed while it was copied`,
      )
    if (now.settlesAt !== null && (settlesAt === null || now.settlesAt > settlesAt)) settlesAt = now.settlesAt
  }
  return settlesAt
}
