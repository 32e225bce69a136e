import {
  concernsAll,
  isRetryable,
  isStopped,
  NO_DRAIN,
  type TableMapping,
  type TargetTransaction,
} from '@mylab-sync/core'
import { type EngineContext, limitsOf } from '../context.js'
import type { Model } from '../model/model.js'
import { redoWithoutViolatedConstraints } from '../tables/redo.js'
import { redoWithoutUnfitTables } from '../tables/set-aside.js'
import { type ChunkCopied, writeChunk, writeTogether } from './write-chunk.js'

/** More constraints than a table has. */
const MAX_SUSPENSIONS = 50
/** Tables that share a transaction: few enough for several workers to have some each. */
const TABLES_TOGETHER = 32
const SMALL_ROWS = 5_000
const SMALL_BYTES = 2 << 20

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
  const { mark, ...copied } = await writeChunk({ context, model, target }, chunk)
  const [done = null] = await record(target, [{ chunk, ...copied }], mark)
  await target.commit()
  return done
}

export interface Together {
  readonly copied: readonly CopiedChunk[]
  readonly alone: readonly string[]
}

/**
 * Copies small tables, each of which is one chunk, from one snapshot in one transaction. Returns null if too few are free. If the
 * target or the source refuses one of them nothing is copied, and they are to be copied `alone`, each with a cause of its own.
 */
export async function copyTogether(
  context: EngineContext,
  model: Model,
  tables: readonly string[],
): Promise<Together | null> {
  const least = limitsOf(context).leastTogether
  if (tables.length < least) return null
  await using target = await context.target.begin({ asynchronousCommit: true })
  const chunks = await target.chunks.takeWhole(tables, { least, most: TABLES_TOGETHER })
  if (chunks === null) return null
  try {
    const { copied, mark } = await writeTogether({ context, model, target }, chunks)
    const done = await record(target, copied, mark)
    await target.commit()
    return { copied: done, alone: [] }
  } catch (error) {
    if (isStopped(error) || isRetryable(error) || concernsAll(error)) throw error
    return { copied: [], alone: chunks.map(({ table }) => table) }
  }
}

async function record(target: TargetTransaction, copied: readonly ChunkCopied[], mark: string): Promise<CopiedChunk[]> {
  const done = copied.map(({ chunk, rows, refused }) => ({ chunk, rows, failed: refused.length }))
  await target.history.addWatermark(
    copied.map(({ chunk }) => chunk.table),
    mark,
  )
  await target.chunks.done(done)
  for (const { chunk, refused } of copied)
    if (refused.length > 0) await target.quarantine.add(chunk.table, refused, NO_DRAIN)
  const counts = copied.flatMap(({ tally }) => tally.counts())
  if (counts.length > 0) await target.quarantine.addSanitised(counts)
  return done.map(({ chunk, rows, failed }) => ({ table: chunk.table, rows, failed }))
}

/** A table that is copied with others, by the source's estimates. */
export function isSmall({ source: { estimatedRows, estimatedBytes } }: TableMapping): boolean {
  return estimatedRows <= SMALL_ROWS && estimatedBytes <= SMALL_BYTES
}
