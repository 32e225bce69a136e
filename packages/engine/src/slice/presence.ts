import { type KeyColumn, keysAlike, type KeysOf, type RowKey, type RowsRead, type TableMapping } from '@mylab-sync/core'
import { findKeys, requireAbsent } from '../rows/look-ups.js'
import type { Slice } from './slice.js'

/** Records which of these keys the snapshot holds, byte for byte; asks for each key once. */
export async function learnPresence(slice: Slice, wanted: readonly KeysOf[]): Promise<void> {
  const unknown = unlearnt(slice, wanted)
  const found = await findKeys(slice.snapshot, unknown)
  for (const [at, { table, keys }] of unknown.entries())
    for (const key of keys) if (found[at]?.has(key)) slice.dirty.setPresence(table.source.name, key, true)
  await learnAbsence(slice, unknown)
}

/** Of these keys, those of which it is not known whether the snapshot holds them. */
export function unlearnt({ dirty, model }: Slice, wanted: readonly KeysOf[]): KeysOf[] {
  return wanted
    .filter(({ table }) => !model.isCaptureOnly(table.source.name))
    .map(({ table, keys }) => ({
      table,
      keys: keys.filter((key) => dirty.presence(table.source.name, key) === undefined),
    }))
    .filter(({ keys }) => keys.length > 0)
}

/** Records as absent those of these keys that a whole read has not found. Throws TableBroken if another form of look-up finds one. */
export async function learnAbsence(slice: Slice, wanted: readonly KeysOf[]): Promise<void> {
  const { dirty, snapshot } = slice
  for (const { table, keys } of unlearnt(slice, wanted)) {
    const { name } = table.source
    await requireAbsent(
      snapshot,
      table,
      keys.filter((key) => dirty.isExpected(name, key)),
    )
    for (const key of keys) dirty.setPresence(name, key, false)
  }
}

/**
 * Of these keys, those to look up before their rows are read. For the others the read itself tells whether the row is there: it
 * probably is, and if not, deleting it after other rows were written removes none of these.
 */
export function toLookUp({ dirty }: Slice, { table, keys }: KeysOf): KeysOf {
  if (!isExact(table)) return { table, keys }
  return { table, keys: keys.filter((key) => !dirty.isExpected(table.source.name, key)) }
}

/** Whether two keys of the source are never one key of the target. */
function isExact({ key }: TableMapping): boolean {
  return key?.columns.every(isExactColumn) ?? false
}

function isExactColumn({ rule, column: { source, type } }: KeyColumn): boolean {
  if (rule === 'integer') return source.members === null && /^(smallint|integer|bigint|numeric)/.test(type)
  // Of two texts that become one, `delete` skips that of the row which is not in the target.
  return rule === 'decimal' || rule === 'binary' || rule === 'text'
}

/** Rows that were read of tables whose keys are exact. */
export class FoundKeys {
  readonly #lists = new Map<KeysOf, Set<RowKey>>()

  /** Records the rows as present. Throws TableBroken if two rows share a key; another look-up may find the same row. */
  note({ dirty }: Slice, { of, rows }: RowsRead): void {
    if (!isExact(of.table)) return
    const { name } = of.table.source
    const found = this.#lists.get(of) ?? new Set<RowKey>()
    this.#lists.set(of, found)
    for (const { key } of rows) {
      if (found.has(key)) throw keysAlike(name)
      found.add(key)
      dirty.setPresence(name, key, true)
    }
  }
}
