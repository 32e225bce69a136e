import {
  ConstraintViolated,
  counted,
  type QuarantinedRow,
  type RawRow,
  type RefusedRow,
  type RowKey,
  type TableMapping,
  type TargetRow,
  WHOLE_TABLE,
} from '@mylab-sync/core'
import { addClosure, KEYS_PER_QUERY, learnPresence } from './closure.js'
import { slices } from './dirty-keys.js'
import type { Slice } from './slice.js'
import { quarantinedRows } from '../rows/quarantine.js'
import { convertRows, SanitisedTally } from '../rows/convert-rows.js'

/** Rows that the target refused in a slice, and quarantined keys that it accepted again, by table. */
export interface Outcome {
  readonly refused: Map<string, QuarantinedRow[]>
  readonly recovered: Map<string, RowKey[]>
}

/**
 * Makes the target's rows of all dirty keys equal to the snapshot: deletes absent rows first, then writes every returned row
 * by its returned bytes, including a row that only the source's collation equates with a requested key.
 */
export async function applySlice(slice: Slice, tally: SanitisedTally): Promise<Outcome> {
  const outcome: Outcome = { refused: new Map(), recovered: new Map() }
  for (let more = true; more; ) {
    more = false
    for (const table of slice.dirty.tables()) {
      if (!slice.open.has(table)) continue
      const keys = slice.dirty.takeUnapplied(table)
      if (keys.length === 0) continue
      more = true
      const applying = { slice, tally, outcome }
      if (slice.model.isFullTable(table)) await replaceFullTable(applying, table)
      else await applyKeys({ ...applying, table: slice.model.mapping(table) }, keys)
    }
  }
  return outcome
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

interface ApplyingTable extends Applying {
  readonly table: TableMapping
}

async function applyKeys(applying: ApplyingTable, keys: readonly RowKey[]): Promise<void> {
  const { slice, table } = applying
  const present: RowKey[] = []
  // All deletes precede the first write: the target may spell a key differently from the source (a FLOAT's digits), and
  // a later delete would remove the row just written.
  for (const list of slices(keys, KEYS_PER_QUERY)) {
    await learnPresence(slice, table, list)
    const absent = list.filter((key) => slice.dirty.presence(table.source.name, key) === false)
    for (const key of list) present.push(key)
    if (absent.length === 0) continue
    await slice.target.rows.delete(table, absent)
    noteRecovered(applying, absent)
  }
  for (const list of slices(present, KEYS_PER_QUERY)) {
    const held: HeldRows[] = []
    for await (const batch of slice.snapshot.rows.readKeys(table, list)) {
      const raw = batch.filter((row) => !slice.quarantine.isUnchanged(table.source.name, row))
      const holders = await write(applying, raw)
      if (holders) held.push({ raw, holders })
    }
    // The snapshot answers one read at a time, so holders outside the dirty keys are read after the list.
    for (const batch of held) await resolveConflict(applying, batch)
  }
}

interface HeldRows {
  readonly raw: readonly RawRow[]
  readonly holders: readonly RowKey[]
}

/** Writes a batch. Returns null, or, with nothing written, the keys of rows that hold a required UNIQUE value and are not dirty. */
async function write(applying: ApplyingTable, raw: readonly RawRow[]): Promise<readonly RowKey[] | null> {
  const { slice, table, outcome } = applying
  const name = table.source.name
  const tally = new SanitisedTally()
  const { rows, refused } = convertRows(table, raw, tally)
  const uniques = slice.model.immediateUniques(name)
  for (;;) {
    const result = await slice.target.rows.upsert(table, rows, uniques)
    if (result.kind === 'done') {
      refused.push(...result.refused)
      note(
        outcome.refused,
        name,
        quarantinedRows({ model: slice.model, table: name, operation: 'UPDATE' }, refused, raw),
      )
      const bad = new Set(refused.map((row) => row.key))
      const written = rows.map((row) => row.key).filter((key) => !bad.has(key))
      slice.dirty.setWritten(name, written)
      noteRecovered(applying, written)
      applying.tally.addAll(tally)
      return null
    }
    const { holders } = result
    // A row that this slice wrote is current, so the UNIQUE itself is violated and no stale row is to blame.
    const truth = holders.find(({ key }) => slice.dirty.isWritten(name, key))
    if (truth) throw new ConstraintViolated(table.name, truth.unique, 'unique')
    const keys = holders.map(({ key }) => key)
    const strangers = keys.filter((key) => !slice.dirty.has(name, key))
    if (strangers.length > 0) return strangers
    await slice.target.rows.delete(table, keys)
  }
}

function noteRecovered({ slice, table, outcome }: ApplyingTable, keys: readonly RowKey[]): void {
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
async function resolveConflict(applying: ApplyingTable, { raw, holders }: HeldRows): Promise<void> {
  const { slice, table } = applying
  for (const key of holders) slice.dirty.add(table.source.name, key, true)
  await addClosure(slice)
  await slice.target.rows.delete(table, holders)
  const more = await write(applying, raw)
  if (more) await resolveConflict(applying, { raw, holders: more })
}

function note<T>(into: Map<string, T[]>, table: string, items: readonly T[]): void {
  if (items.length === 0) return
  const list = into.get(table)
  if (list) list.push(...items)
  else into.set(table, [...items])
}
