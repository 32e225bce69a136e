import { NO_DRAIN } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'
import { redoWithoutViolatedConstraints } from '../tables/redo.js'
import { redoWithoutUnfitTables } from '../tables/set-aside.js'
import { writeChunk } from './write-chunk.js'

/** More constraints than a table has. */
const MAX_SUSPENSIONS = 50

export interface CopiedChunk {
  readonly table: string
  readonly rows: number
  readonly failed: number
}

/**
 * Copies one pending chunk, or the one numbered `only`. Holds its row lock from before the snapshot to the commit that
 * completes it, so a duplicate job finds nothing to do and a dead worker leaves nothing behind (DESIGN 3.2). Returns null
 * if no chunk is free.
 */
export async function copyChunk(
  context: EngineContext,
  model: Model,
  tables: readonly string[],
  only?: number,
): Promise<CopiedChunk | null> {
  return redoWithoutUnfitTables(context, model, () =>
    redoWithoutViolatedConstraints(context, { model, most: MAX_SUSPENSIONS }, () =>
      copyOnce(context, model, { tables, only }),
    ),
  )
}

async function copyOnce(
  context: EngineContext,
  model: Model,
  { tables, only }: { readonly tables: readonly string[]; readonly only: number | undefined },
): Promise<CopiedChunk | null> {
  await using target = await context.target.begin({ asynchronousCommit: true })
  const chunk = await target.chunks.take(tables, only)
  if (!chunk) return null
  const copied = await writeChunk({ context, model, target }, chunk)
  await target.history.addWatermark([chunk.table], copied.mark)
  await target.chunks.done(chunk, copied.rows, copied.refused.length)
  if (copied.refused.length > 0) await target.quarantine.add(chunk.table, copied.refused, NO_DRAIN)
  const counts = copied.tally.counts()
  if (counts.length > 0) await target.quarantine.addSanitised(counts)
  await target.commit()
  return { table: chunk.table, rows: copied.rows, failed: copied.refused.length }
}
