import {
  ConstraintViolated,
  counted,
  type KeysOf,
  type QuarantinedRow,
  type RawRow,
  type RefusedRow,
  type RowKey,
  type RowsOf,
  type TableMapping,
  type TargetRow,
  type UpsertOutcome,
  WHOLE_TABLE,
} from '@mylab-sync/core'
import { Behind } from '@mylab-sync/runtime'
import { addClosure, KEYS_PER_QUERY } from './closure.js'
import { slices } from './dirty-keys.js'
import { FoundKeys, learnAbsence, learnPresence, toLookUp, unlearnt } from './presence.js'
import type { Slice } from './slice.js'
import { quarantinedRows } from '../rows/quarantine.js'
import { convertRows, SanitisedTally } from '../rows/convert-rows.js'

/** Rows that the target refused in a slice, and quarantined keys that it accepted again, by table. */
export interface Outcome {
  readonly refused: Map<string, QuarantinedRow[]>
  readonly recovered: Map<string, RowKey[]>
}

/**
 * Makes the target's rows of all dirty keys equal the snapshot: deletes absent rows first, then writes every returned row
 * by its returned bytes, including a row that only the source's collation equates with a requested key.
 */
export async function applySlice(slice: Slice, tally: SanitisedTally): Promise<Outcome> {
  const outcome: Outcome = { refused: new Map(), recovered: new Map() }
  const applying = { slice, tally, outcome }
  for (let taken = takeKeys(slice); taken.full.length + taken.lists.length > 0; taken = takeKeys(slice)) {
    for (const table of taken.full) await replaceFullTable(applying, table)
    await applyKeys(applying, taken.lists)
  }
  return outcome
}

interface Taken {
  /** Tables that are replaced as a whole. */
  readonly full: string[]
  readonly lists: KeysOf[]
}

/** Takes what no earlier call has taken: the writes of one round may make further keys dirty. */
function takeKeys({ dirty, model, open }: Slice): Taken {
  const taken: Taken = { full: [], lists: [] }
  for (const name of dirty.tables()) {
    const keys = open.has(name) ? dirty.takeUnapplied(name) : []
    if (keys.length === 0) continue
    if (model.isFullTable(name)) taken.full.push(name)
    else for (const list of slices(keys, KEYS_PER_QUERY)) taken.lists.push({ table: model.mapping(name), keys: list })
  }
  return taken
}

async function replaceFullTable({ slice, tally, outcome }: Applying, table: string): Promise<void> {
  const { model, snapshot, target, quarantine } = slice
  const mapping = model.mapping(table)
  const refused: RefusedRow[] = []
  async function* converted(): AsyncIterable<readonly TargetRow[]> {
    for await (const raw of snapshot.rows.readRange(mapping, { lower: null, upper: null })) {
      const batch = convertRows(mapping, raw, tally)
      refused.push(...batch.refused)
      yield batch.rows
    }
  }
  refused.push(...(await target.rows.replace(mapping, converted())))
  const [first] = refused
  // Rows without a key cannot be distinguished: the table's one key represents all of them.
  if (first)
    note(outcome.refused, table, [
      {
        key: WHOLE_TABLE,
        code: first.code,
        message: `${counted(refused.length, 'row')} of a table without a key: ${first.message}`.slice(0, 1000),
        operation: 'UPDATE',
        digest: '',
        references: [],
      },
    ])
  else if (quarantine.find(table, WHOLE_TABLE)) note(outcome.recovered, table, [WHOLE_TABLE])
}

interface Applying {
  readonly slice: Slice
  readonly tally: SanitisedTally
  readonly outcome: Outcome
}

/**
 * Deletes precede the first write: the target may spell a key differently from the source (a FLOAT's digits), and a later
 * delete would remove the row just written. Only rows that their entries say exist, under keys that are spelt alike, are
 * found absent by the read itself.
 */
async function applyKeys(applying: Applying, lists: readonly KeysOf[]): Promise<void> {
  const { slice } = applying
  await learnPresence(
    slice,
    lists.map((list) => toLookUp(slice, list)),
  )
  // The closure has looked keys up, too.
  await deleteAbsent(applying, lists)
  const expected = unlearnt(slice, lists)
  const held = await writeRows(applying, lists)
  await learnAbsence(slice, expected)
  await deleteAbsent(applying, expected)
  // The snapshot answers one read at a time, so holders outside the dirty keys are read after the others.
  for (const batch of held) await resolveConflict(applying, batch)
}

/** Reads the rows of these keys and writes them, each batch while the next one is read. Returns what `write` does. */
async function writeRows(applying: Applying, lists: readonly KeysOf[]): Promise<HeldRows[]> {
  const { slice } = applying
  const found = new FoundKeys()
  const held: HeldRows[] = []
  const batches = new RowsToWrite()
  const writing = new Behind()
  const begin = async (): Promise<void> => {
    const converted = batches.take().map((raw) => batchOf(slice, raw))
    await writing.start(async () => void held.push(...(await write(applying, converted))))
  }
  try {
    for await (const read of slice.snapshot.rows.readKeys(lists)) {
      found.note(slice, read)
      const { table } = read.of
      batches.add(
        table,
        read.rows.filter((row) => !slice.quarantine.isUnchanged(table.source.name, row)),
      )
      if (batches.isFull) await begin()
    }
    await begin()
  } finally {
    await writing.ended()
  }
  return held
}

/** Deletes those of these keys that are known to be absent. */
async function deleteAbsent(applying: Applying, wanted: readonly KeysOf[]): Promise<void> {
  const { dirty, target } = applying.slice
  const absent = wanted
    .map(({ table, keys }) => ({
      table,
      keys: keys.filter((key) => dirty.presence(table.source.name, key) === false),
    }))
    .filter(({ keys }) => keys.length > 0)
  await target.rows.deleteAll(absent)
  for (const { table, keys } of absent) noteRecovered(applying, table, keys)
}

/** Rows of one table as read. */
interface ReadRows {
  readonly table: TableMapping
  readonly rows: readonly RawRow[]
}

const WRITTEN_ROWS = 2_000
const WRITTEN_BYTES = 1 << 20

/** Collects the rows of many tables with a few dirty keys each, so that they are written together. */
class RowsToWrite {
  #batches: { readonly table: TableMapping; readonly rows: RawRow[] }[] = []
  #rows = 0
  #bytes = 0

  get isFull(): boolean {
    return this.#rows >= WRITTEN_ROWS || this.#bytes >= WRITTEN_BYTES
  }

  add(table: TableMapping, rows: readonly RawRow[]): void {
    if (rows.length === 0) return
    const last = this.#batches.at(-1)
    if (last?.table === table) last.rows.push(...rows)
    else this.#batches.push({ table, rows: [...rows] })
    this.#rows += rows.length
    for (const { values } of rows) for (const value of values) this.#bytes += value?.length ?? 0
  }

  take(): readonly ReadRows[] {
    const taken = this.#batches
    this.#batches = []
    this.#rows = 0
    this.#bytes = 0
    return taken
  }
}

interface HeldRows extends ReadRows {
  readonly holders: readonly RowKey[]
}

/** Converted rows, of which nothing counts before they are written. */
interface Batch extends RowsOf {
  readonly raw: ReadRows
  readonly refused: readonly RefusedRow[]
  readonly tally: SanitisedTally
}

function batchOf({ model }: Slice, raw: ReadRows): Batch {
  const { table } = raw
  const tally = new SanitisedTally()
  return {
    ...convertRows(table, raw.rows, tally),
    table,
    raw,
    tally,
    uniques: model.immediateUniques(table.source.name),
  }
}

/** Writes these rows. Returns those of which nothing is written, since rows that are not dirty hold a required UNIQUE value. */
async function write(applying: Applying, batches: readonly Batch[]): Promise<HeldRows[]> {
  if (batches.length === 0) return []
  const { target } = applying.slice
  const results = await target.rows.upsertAll(batches)
  const unwritten = batches.filter((batch, at) => !noteDone(applying, batch, results[at]))
  const held: HeldRows[] = []
  for (const batch of unwritten) {
    // Again, since the others may have written or deleted its holders meanwhile.
    const again = await target.rows.upsert(batch.table, batch.rows, batch.uniques)
    const holders = await settle(applying, batch, again)
    if (holders) held.push({ ...batch.raw, holders })
  }
  return held
}

/** Returns false if nothing of the batch is written. */
function noteDone(applying: Applying, batch: Batch, result: UpsertOutcome | undefined): boolean {
  if (result?.kind !== 'done') return false
  noteWritten(applying, batch, result.refused)
  return true
}

/** Finishes a batch by what its upsert returned. Returns null, or, with nothing written, the keys of holders that are not dirty. */
async function settle(applying: Applying, batch: Batch, first: UpsertOutcome): Promise<readonly RowKey[] | null> {
  const { slice } = applying
  const { table, rows, uniques } = batch
  const name = table.source.name
  for (let result = first; ; result = await slice.target.rows.upsert(table, rows, uniques)) {
    if (noteDone(applying, batch, result)) return null
    const holders = result.kind === 'held' ? result.holders : []
    // A row that this slice wrote is current, so the UNIQUE itself is violated and no stale row is to blame.
    const truth = holders.find(({ key }) => slice.dirty.isWritten(name, key))
    if (truth) throw new ConstraintViolated(table.name, truth.unique, 'unique')
    const keys = holders.map(({ key }) => key)
    const strangers = keys.filter((key) => !slice.dirty.has(name, key))
    if (strangers.length > 0) return strangers
    await slice.target.rows.delete(table, keys)
  }
}

function noteWritten(applying: Applying, batch: Batch, byTarget: readonly RefusedRow[]): void {
  const { slice, outcome } = applying
  const { table, rows, raw, tally } = batch
  const name = table.source.name
  const refused = [...batch.refused, ...byTarget]
  const at = { model: slice.model, table: name, operation: 'UPDATE' } as const
  note(outcome.refused, name, quarantinedRows(at, refused, raw.rows))
  const bad = new Set(refused.map((row) => row.key))
  const written = rows.map((row) => row.key).filter((key) => !bad.has(key))
  slice.dirty.setWritten(name, written)
  noteRecovered(applying, table, written)
  applying.tally.addAll(tally)
}

function noteRecovered({ slice, outcome }: Applying, table: TableMapping, keys: readonly RowKey[]): void {
  const name = table.source.name
  if (!slice.quarantine.holdsAny(name)) return
  note(
    outcome.recovered,
    name,
    keys.filter((key) => slice.quarantine.find(name, key)),
  )
}

/**
 * Reads a conflict's holders now, with their closure, before their old values are lost. In a backlog, the entry of a
 * holder may belong to a later slice.
 */
async function resolveConflict(applying: Applying, { holders, ...read }: HeldRows): Promise<void> {
  const { slice } = applying
  for (const key of holders) slice.dirty.add(read.table.source.name, key, true)
  await addClosure(slice)
  await slice.target.rows.delete(read.table, holders)
  for (const more of await write(applying, [batchOf(slice, read)])) await resolveConflict(applying, more)
}

function note<T>(into: Map<string, T[]>, table: string, items: readonly T[]): void {
  if (items.length === 0) return
  const list = into.get(table)
  if (list) list.push(...items)
  else into.set(table, [...items])
}
