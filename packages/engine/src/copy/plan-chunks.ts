import type { RowKey, SourceSnapshot, TableMapping, TableProgress } from '@mylab-sync/core'
import { poll } from '@mylab-sync/runtime'
import { type EngineContext, limitsOf, throwIfStopped } from '../context.js'
import { checkGenerations } from './check-generation.js'
import { isSmall } from './copy-chunk.js'
import { exclusively, readTarget, writeTarget } from '../transactions.js'
import type { Model } from '../model/model.js'
import { redoWithoutUnfitTables } from '../tables/set-aside.js'

const CHUNK_BYTES = 12 << 20
const MAX_CHUNK_ROWS = 100_000
const MIN_CHUNK_ROWS = 200
/** Chunks planned per snapshot: with a round trip of 20 ms, 0.14 s a chunk instead of 0.5 s. */
const CHUNKS_PER_LOOK = 8
/** Tables planned from one snapshot, and more than there are workers that copy one table. */
const TABLES_PER_LOOK = 100
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
  const small = unplanned
    .filter(({ table, planBound }) => planBound === null && isSmall(model.mapping(table)))
    .map(({ table }) => table)
  const areTogether = small.length >= limitsOf(context).leastTogether
  const alone = unplanned.filter(({ table }) => !areTogether || !small.includes(table))
  const turns = [
    ...(areTogether ? [{ tables: small, work: 'plan small tables' }] : []),
    ...alone.map(({ table }) => ({ tables: [table], work: `plan ${table}` })),
  ]
  for (const turn of turns) {
    const planned = await exclusively(context, turn.work, () =>
      redoWithoutUnfitTables(context, model, () => planTables(context, model, turn.tables)),
    )
    if (planned) return 'planned'
  }
  return unplanned.length > 0 ? 'busy' : 'done'
}

/** False: another process planned them or restarted their copies meanwhile. */
async function planTables(context: EngineContext, model: Model, tables: readonly string[]): Promise<boolean> {
  const before = await readTarget(context, (target) => target.tables.unplanned(tables, tables.length))
  if (before.length === 0) return false
  const bounds = await readBounds(context, model, before)
  return writeTarget(context, async (target) => {
    const names = before.map(({ table }) => table)
    const isLocked = await poll(() => target.tables.lock(names), {
      everyMs: LOCK_PAUSE_MS,
      attempts: LOCK_ATTEMPTS,
      signal: context.signal,
    })
    throwIfStopped(context)
    if (!isLocked) return false
    const now = new Map((await target.tables.unplanned(names, names.length)).map((p) => [p.table, p]))
    const same = before.filter(({ table, planBound, generation }) => {
      const progress = now.get(table)
      return progress?.planBound === planBound && progress.generation === generation
    })
    const planned = same.map(({ table, planBound: lower }) => ({ table, lower, bounds: bounds.get(table) ?? [] }))
    if (planned.length > 0) await target.chunks.add(planned)
    await target.tables.patchAll(
      new Map(
        planned.map(({ table, bounds: ends }) => {
          const last = ends.at(-1) ?? null
          return [table, { planBound: last, planned: last === null, generation: model.generation(table) }]
        }),
      ),
    )
    return planned.length > 0
  })
}

/** Upper bounds of the next chunks, by table; null after the last key. One chunk of each of several, which are small. */
async function readBounds(
  context: EngineContext,
  model: Model,
  progress: readonly TableProgress[],
): Promise<ReadonlyMap<string, readonly (RowKey | null)[]>> {
  await using snapshot = await context.source.openSnapshot()
  await checkGenerations({ model, snapshot }, progress)
  const [first] = progress
  const bounds =
    first !== undefined && progress.length === 1
      ? new Map([[first.table, await boundsOf({ context, snapshot }, model.mapping(first.table), first)]])
      : await firstBounds(snapshot, model, progress)
  await snapshot.end()
  return bounds
}

async function firstBounds(
  snapshot: SourceSnapshot,
  model: Model,
  progress: readonly TableProgress[],
): Promise<ReadonlyMap<string, readonly (RowKey | null)[]>> {
  const keyed = progress.filter(({ table }) => model.mapping(table).key !== null)
  const found = await snapshot.rows.firstBounds(
    keyed.map(({ table, chunkRows }) => ({
      table: model.mapping(table),
      rows: rowsOfChunk(model.mapping(table).source, chunkRows),
    })),
  )
  const bounds = new Map<string, RowKey | null>(keyed.map(({ table }, at) => [table, found[at] ?? null]))
  return new Map(progress.map(({ table }) => [table, [bounds.get(table) ?? null]]))
}

async function boundsOf(
  { context, snapshot }: { readonly context: EngineContext; readonly snapshot: SourceSnapshot },
  mapping: TableMapping,
  { planBound, chunkRows }: TableProgress,
): Promise<(RowKey | null)[]> {
  const rows = rowsOfChunk(mapping.source, chunkRows)
  const bounds: (RowKey | null)[] = []
  for (let at = planBound; bounds.length < CHUNKS_PER_LOOK && bounds.at(-1) !== null; ) {
    throwIfStopped(context)
    at = mapping.key === null ? null : await snapshot.rows.keyAfter(mapping, at, rows)
    bounds.push(at)
  }
  return bounds
}

function rowsOfChunk(
  { estimatedBytes, estimatedRows }: { readonly estimatedRows: number; readonly estimatedBytes: number },
  chunkRows: number | null,
): number {
  const width = Math.max(40, estimatedBytes / Math.max(1, estimatedRows))
  const byBytes = Math.max(MIN_CHUNK_ROWS, Math.floor(CHUNK_BYTES / width))
  return Math.min(byBytes, MAX_CHUNK_ROWS, chunkRows ?? MAX_CHUNK_ROWS)
}
