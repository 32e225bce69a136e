import type { RowKey, TableProgress } from '@mylab-sync/core'
import { poll } from '@mylab-sync/runtime'
import { type EngineContext, throwIfStopped } from '../context.js'
import { checkGeneration } from './check-generation.js'
import { exclusively, readTarget, writeTarget } from '../transactions.js'
import type { Model } from '../model/model.js'
import { redoWithoutUnfitTables } from '../tables/set-aside.js'

const CHUNK_BYTES = 12 << 20
const MAX_CHUNK_ROWS = 100_000
const MIN_CHUNK_ROWS = 200
/** Chunks planned per snapshot: with a round trip of 20 ms, 0.14 s a chunk instead of 0.5 s. */
const CHUNKS_PER_LOOK = 8
/** More workers than copy one table at once. */
const TABLES_PER_LOOK = 20
/** How long to wait for the table's progress row, which a committing chunk locks. */
const LOCK_ATTEMPTS = 100
const LOCK_PAUSE_MS = 20

/**
 * Plans the next chunks of one of these tables: bounds a fixed number of rows apart, after the last bound. `busy`: another
 * process is planning. Ranges follow the source's own order and cover every possible key.
 */
export async function planChunks(
  context: EngineContext,
  model: Model,
  tables: readonly string[],
): Promise<'planned' | 'done' | 'busy'> {
  const unplanned = await readTarget(context, (target) => target.tables.unplanned(tables, TABLES_PER_LOOK))
  for (const { table } of unplanned) {
    const planned = await exclusively(context, `plan ${table}`, () =>
      redoWithoutUnfitTables(context, model, () => planTable(context, model, table)),
    )
    if (planned) return 'planned'
  }
  return unplanned.length > 0 ? 'busy' : 'done'
}

/** False: another process planned it or restarted its copy meanwhile. */
async function planTable(context: EngineContext, model: Model, table: string): Promise<boolean> {
  const [before] = await readTarget(context, (target) => target.tables.unplanned([table], 1))
  if (!before) return false
  const bounds = await readBounds(context, model, before)
  const done = await writeTarget(context, async (target) => {
    const isLocked = await poll(() => target.tables.lock([table]), {
      everyMs: LOCK_PAUSE_MS,
      attempts: LOCK_ATTEMPTS,
      signal: context.signal,
    })
    throwIfStopped(context)
    if (!isLocked) return false
    const [now] = await target.tables.unplanned([table], 1)
    if (now?.planBound !== before.planBound || now.generation !== before.generation) return false
    await target.chunks.add(table, before.planBound, bounds)
    const last = bounds.at(-1) ?? null
    await target.tables.patch(table, {
      planBound: last,
      planned: last === null,
      generation: model.generation(table),
    })
    return true
  })
  return done
}

/** Upper bounds of the next chunks; null after the last key. */
async function readBounds(context: EngineContext, model: Model, progress: TableProgress): Promise<(RowKey | null)[]> {
  const { table, planBound, generation, chunkRows } = progress
  const mapping = model.mapping(table)
  await using snapshot = await context.source.openSnapshot()
  await checkGeneration({ model, snapshot }, table, generation)
  const rows = rowsOfChunk(mapping.source, chunkRows ?? MAX_CHUNK_ROWS)
  const bounds: (RowKey | null)[] = []
  for (let at = planBound; bounds.length < CHUNKS_PER_LOOK && bounds.at(-1) !== null; ) {
    throwIfStopped(context)
    at = mapping.key === null ? null : await snapshot.rows.keyAfter(mapping, at, rows)
    bounds.push(at)
  }
  await snapshot.end()
  return bounds
}

function rowsOfChunk(table: { estimatedRows: number; estimatedBytes: number }, most: number): number {
  const width = Math.max(40, table.estimatedBytes / Math.max(1, table.estimatedRows))
  const byBytes = Math.max(MIN_CHUNK_ROWS, Math.floor(CHUNK_BYTES / width))
  return Math.min(byBytes, MAX_CHUNK_ROWS, most)
}
