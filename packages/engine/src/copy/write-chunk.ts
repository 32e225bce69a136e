import {
  BatchRefused,
  type Chunk,
  isSpelt,
  KeysNeeded,
  NO_DRAIN,
  type QuarantinedRow,
  type RawRow,
  type RefusedRow,
  type RowBlock,
  type SourceSnapshot,
  type TableMapping,
  type TargetRow,
  type TargetTransaction,
} from '@mylab-sync/core'
import { sleep } from '@mylab-sync/runtime'
import { type EngineContext, limitsOf, throwIfStopped } from '../context.js'
import type { Model } from '../model/model.js'
import { type ConvertedRows, convertRows, SanitisedTally } from '../rows/convert-rows.js'
import { quarantinedRows } from '../rows/quarantine.js'
import { checkGenerations } from './check-generation.js'

/** Between two checks of a table that was altered within this second. */
const SETTLING_PAUSE_MS = 100
/** For the source's sake: how long tables share a snapshot, if their estimates are wrong. */
const TOGETHER_MS = 5_000

export interface Writing {
  readonly context: EngineContext
  readonly model: Model
  readonly target: TargetTransaction
}

interface Copying extends Writing {
  readonly snapshot: SourceSnapshot
}

export interface Copied {
  readonly rows: number
  readonly refused: readonly QuarantinedRow[]
  readonly tally: SanitisedTally
}

/**
 * Writes a chunk as one stream, or row by row if a row is refused. The second reading has a snapshot of its own: the first
 * one's read was abandoned midway, and nothing that it wrote is kept.
 */
export async function writeChunk(writing: Writing, chunk: Chunk): Promise<Copied & { readonly mark: string }> {
  if (chunk.inPlace && writing.model.mapping(chunk.table).key === null)
    return await inSnapshot(writing, chunk, (copying) => mergeWhole(copying, chunk))
  try {
    return await inOneStream(writing, chunk)
  } catch (error) {
    if (!(error instanceof BatchRefused)) throw error
    return await inSnapshot(writing, chunk, (copying) =>
      chunk.inPlace ? merge(copying, chunk) : rowByRow(copying, chunk),
    )
  }
}

/** Reads rows without their keys where none needs its own, as in most tables. */
async function inOneStream(writing: Writing, chunk: Chunk): ReturnType<typeof writeChunk> {
  const { key } = writing.model.mapping(chunk.table)
  if (!key?.columns.some(isSpelt)) {
    try {
      return await inSnapshot(writing, chunk, (copying) => stream(copying, chunk, { keyed: false }))
    } catch (error) {
      if (!(error instanceof KeysNeeded)) throw error
    }
  }
  return inSnapshot(writing, chunk, (copying) => stream(copying, chunk, { keyed: true }))
}

async function inSnapshot(
  writing: Writing,
  chunk: Chunk,
  work: (copying: Copying) => Promise<Copied>,
): Promise<Copied & { readonly mark: string }> {
  await using snapshot = await writing.context.source.openSnapshot()
  await settle({ ...writing, snapshot }, [chunk])
  const copied = await work({ ...writing, snapshot })
  // A refusal may be due to a definition that changed meanwhile, not to the row.
  if (copied.refused.length > 0) await checkGenerations({ model: writing.model, snapshot }, [chunk])
  return { ...copied, mark: await snapshot.watermarks.leave() }
}

/** Renews the snapshot until no table was altered within its second. */
async function settle({ context, model, snapshot }: Copying, chunks: readonly Chunk[]): Promise<void> {
  for (;;) {
    const settlesAt = await checkGenerations({ model, snapshot }, chunks)
    if (settlesAt === null || snapshot.takenAt >= settlesAt) return
    await sleep(SETTLING_PAUSE_MS, context.signal)
    throwIfStopped(context)
    await snapshot.refresh()
  }
}

/** What a chunk of several that share a snapshot has written. */
export interface ChunkCopied extends Copied {
  readonly chunk: Chunk
}

/**
 * Writes whole tables from one snapshot, each as one stream; stops after a while, and returns those written. Throws the error of
 * any table, after which nothing of the target's transaction can be kept.
 */
export async function writeTogether(
  writing: Writing,
  chunks: readonly Chunk[],
): Promise<{ readonly copied: readonly ChunkCopied[]; readonly mark: string }> {
  await using snapshot = await writing.context.source.openSnapshot()
  const copying = { ...writing, snapshot }
  await settle(copying, chunks)
  const ends = performance.now() + TOGETHER_MS
  const copied: ChunkCopied[] = []
  for (const chunk of chunks) {
    throwIfStopped(writing.context)
    if (copied.length > 0 && performance.now() > ends) break
    const { key } = writing.model.mapping(chunk.table)
    const keyed = key?.columns.some(isSpelt) ?? false
    copied.push({ chunk, ...(await stream(copying, chunk, { keyed, unsaved: true })) })
  }
  if (copied.some(({ refused }) => refused.length > 0))
    await checkGenerations({ model: writing.model, snapshot }, chunks)
  return { copied, mark: await snapshot.watermarks.leave() }
}

interface ReadBatch extends ConvertedRows {
  readonly raw: readonly RawRow[]
}

/** Reads the chunk in batches and converts each; stops when the job is cancelled. */
async function* batches(
  { context, model, snapshot }: Copying,
  chunk: Chunk,
  tally: SanitisedTally,
): AsyncGenerator<ReadBatch, void, void> {
  const mapping = model.mapping(chunk.table)
  for await (const raw of snapshot.rows.readRange(mapping, chunk)) {
    throwIfStopped(context)
    yield { raw, ...convertRows(mapping, raw, tally) }
  }
}

/** Streams undecoded rows; only those that do not pass as they are get converted, by which their keys are needed. */
async function stream(
  copying: Copying,
  chunk: Chunk,
  { keyed, unsaved = false }: { readonly keyed: boolean; readonly unsaved?: boolean },
): Promise<Copied> {
  const tally = new SanitisedTally()
  const refused: QuarantinedRow[] = []
  const { context, model, snapshot, target } = copying
  const mapping = model.mapping(chunk.table)
  async function* blocks(): AsyncIterable<RowBlock> {
    for await (const block of snapshot.rows.readBlocks(mapping, chunk, { keyed })) {
      throwIfStopped(context)
      yield block
    }
  }
  const convert = (raw: RawRow): TargetRow | null => {
    const converted = convertRows(mapping, [raw], tally)
    if (converted.refused.length > 0) refused.push(...toQuarantine(copying, chunk, converted.refused, [raw]))
    return converted.rows[0] ?? null
  }
  const rows = await target.rows.copy(
    mapping,
    { keyed, blocks: blocks(), convert },
    { overwrite: chunk.inPlace, unsaved },
  )
  return { rows, refused, tally }
}

function toQuarantine(
  { model }: Copying,
  { table }: Chunk,
  refused: readonly RefusedRow[],
  raw: readonly RawRow[],
): QuarantinedRow[] {
  return quarantinedRows({ model, table, operation: 'INSERT' }, refused, raw)
}

/** Writes all but the refused rows. Small statements find those sooner: one that fails is halved until each is alone. */
function rowByRow(copying: Copying, chunk: Chunk): Promise<Copied> {
  const mapping = copying.model.mapping(chunk.table)
  const { statementRows } = limitsOf(copying.context)
  return batchByBatch(copying, chunk, async (rows) => {
    const refused: RefusedRow[] = []
    for (let at = 0; at < rows.length; at += statementRows)
      refused.push(...(await copying.target.rows.insert(mapping, rows.slice(at, at + statementRows))))
    return refused
  })
}

async function batchByBatch(
  copying: Copying,
  chunk: Chunk,
  write: (rows: readonly TargetRow[]) => Promise<readonly RefusedRow[]>,
): Promise<Copied> {
  const tally = new SanitisedTally()
  const refused: QuarantinedRow[] = []
  let rows = 0
  for await (const batch of batches(copying, chunk, tally)) {
    const rejected = batch.rows.length > 0 ? await write(batch.rows) : []
    rows += batch.rows.length - rejected.length
    refused.push(...toQuarantine(copying, chunk, [...batch.refused, ...rejected], batch.raw))
  }
  return { rows, refused, tally }
}

/** Writes into a table that may already hold the rows. Surplus rows are found when the table opens. */
function merge(copying: Copying, chunk: Chunk): Promise<Copied> {
  const { model, target } = copying
  const mapping = model.mapping(chunk.table)
  return batchByBatch(copying, chunk, (rows) => mergeRows(model, target, mapping, rows))
}

async function mergeWhole(copying: Copying, chunk: Chunk): Promise<Copied> {
  const tally = new SanitisedTally()
  const refused: QuarantinedRow[] = []
  let rows = 0
  async function* rowsOnly(): AsyncIterable<readonly TargetRow[]> {
    for await (const batch of batches(copying, chunk, tally)) {
      refused.push(...toQuarantine(copying, chunk, batch.refused, batch.raw))
      rows += batch.rows.length
      yield batch.rows
    }
  }
  const rejected = await copying.target.rows.replace(copying.model.mapping(chunk.table), rowsOnly())
  refused.push(...toQuarantine(copying, chunk, rejected, []))
  return { rows: rows - rejected.length, refused, tally }
}

/** Deletes and parks rows that hold a required UNIQUE value: they may be stale, or another chunk just wrote them, so they are re-read when the table opens. */
async function mergeRows(
  model: Model,
  target: TargetTransaction,
  mapping: TableMapping,
  rows: readonly TargetRow[],
): Promise<readonly RefusedRow[]> {
  const uniques = model.immediateUniques(mapping.source.name)
  for (;;) {
    const outcome = await target.rows.upsert(mapping, rows, uniques)
    if (outcome.kind === 'done') return outcome.refused
    const keys = outcome.holders.map(({ key }) => key)
    await target.parked.park(keys.map((key) => ({ table: mapping.source.name, key, drain: NO_DRAIN, start: true })))
    await target.rows.delete(mapping, keys)
  }
}
