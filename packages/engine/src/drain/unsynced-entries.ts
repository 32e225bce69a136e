import type { Acknowledgement, ChangeEntry, RowKey, UnsyncedEntry } from '@mylab-sync/core'
import type { Outcome } from '../slice/apply.js'
import { dirtyKeysOf } from '../slice/dirty-keys.js'
import type { Quarantine } from '../rows/quarantine.js'

const MALFORMED = 'its key does not have the form that our triggers write now; the table was copied again'

interface Held {
  readonly table: string
  readonly key: RowKey
  readonly entry: bigint
  readonly message: string
}

/** Entries that stay unsynced: for each quarantined key its last audit entry, with the error, where people look for it. */
export class UnsyncedEntries {
  readonly #tables = new Map<string, Map<RowKey, Held>>()
  readonly #released = new Set<bigint>()
  readonly #malformed = new Set<bigint>()

  /** Adds one slice: its entries and the outcome for quarantined keys. */
  add(entries: readonly ChangeEntry[], quarantine: Quarantine, outcome: Outcome): void {
    const messages = new Map<string, Map<RowKey, string>>()
    for (const { table, key, message } of quarantine.keys) at(messages, table).set(key, message)
    for (const [table, keys] of outcome.recovered) {
      for (const key of keys) messages.get(table)?.delete(key)
      this.#recover(table, keys, quarantine)
    }
    for (const [table, rows] of outcome.refused) for (const row of rows) at(messages, table).set(row.key, row.message)
    if (messages.size === 0) return
    for (const entry of entries) {
      const keys = messages.get(entry.table)
      if (keys) this.#hold(entry, keys, quarantine)
    }
  }

  /** The entry stays unsynced for people to find; no drain returns to it. */
  addMalformed(entry: bigint): void {
    this.#malformed.add(entry)
  }

  #recover(table: string, keys: readonly RowKey[], quarantine: Quarantine): void {
    for (const key of keys) {
      this.#tables.get(table)?.delete(key)
      this.#release(quarantine.find(table, key)?.entry ?? null)
    }
  }

  #hold(entry: ChangeEntry, keys: ReadonlyMap<RowKey, string>, quarantine: Quarantine): void {
    for (const { key } of dirtyKeysOf(entry)) {
      const message = keys.get(key)
      if (message === undefined) continue
      const before = quarantine.find(entry.table, key)?.entry ?? null
      if (before !== entry.id) this.#release(before)
      at(this.#tables, entry.table).set(key, { table: entry.table, key, entry: entry.id, message })
    }
  }

  #release(entry: bigint | null): void {
    if (entry !== null) this.#released.add(entry)
  }

  all(): Held[] {
    return [...this.#tables.values()].flatMap((keys) => [...keys.values()])
  }

  acknowledgement(ids: Iterable<bigint>): Acknowledgement {
    const held = new Map(
      this.all().map(({ entry, message }): [bigint, UnsyncedEntry] => [
        entry,
        { id: entry, kind: 'refused-row', message },
      ]),
    )
    for (const id of this.#malformed) held.set(id, { id, kind: 'malformed', message: MALFORMED })
    return {
      ids: without(ids, held),
      unsynced: [...held.values()],
      released: [...this.#released].filter((id) => !held.has(id)),
    }
  }
}

function at<V>(tables: Map<string, Map<RowKey, V>>, table: string): Map<RowKey, V> {
  const known = tables.get(table)
  if (known) return known
  const fresh = new Map<RowKey, V>()
  tables.set(table, fresh)
  return fresh
}

function* without(ids: Iterable<bigint>, held: ReadonlyMap<bigint, unknown>): Iterable<bigint> {
  for (const id of ids) if (!held.has(id)) yield id
}
