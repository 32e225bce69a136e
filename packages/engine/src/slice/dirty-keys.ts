import type { ChangeEntry, RowKey } from '@mylab-sync/core'

interface Mark {
  start: boolean
  /** The last entry of it says that the row is there. */
  isExpected: boolean
  /** Looked at by the closure, and whether as a start key. */
  examined: 'no' | 'plain' | 'start'
  /** Found in the snapshot; undefined while nobody asked. */
  present: boolean | undefined
  applied: boolean
  /** The target's row is the snapshot's: this slice has written it. */
  written: boolean
}

/** The set D of DESIGN 3.4: which keys of which tables have to be read again, and which of them start a closure. */
export class DirtyKeys {
  readonly #tables = new Map<string, Map<RowKey, Mark>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(table: string, key: RowKey, start: boolean): void {
    let marks = this.#tables.get(table)
    if (!marks) this.#tables.set(table, (marks = new Map()))
    const mark = marks.get(key)
    if (mark) {
      mark.start ||= start
      return
    }
    marks.set(key, { start, isExpected: false, examined: 'no', present: undefined, applied: false, written: false })
    this.#size++
  }

  /** What the entry says that comes after all others of this key so far. */
  expect(table: string, key: RowKey, isThere: boolean): void {
    const mark = this.#tables.get(table)?.get(key)
    if (mark) mark.isExpected = isThere
  }

  isExpected(table: string, key: RowKey): boolean {
    return this.#tables.get(table)?.get(key)?.isExpected ?? false
  }

  tables(): string[] {
    return [...this.#tables.keys()]
  }

  has(table: string, key: RowKey): boolean {
    return this.#tables.get(table)?.has(key) ?? false
  }

  isStart(table: string, key: RowKey): boolean {
    return this.#tables.get(table)?.get(key)?.start ?? false
  }

  *keys(): Iterable<{ table: string; key: RowKey; start: boolean }> {
    for (const [table, marks] of this.#tables) for (const [key, mark] of marks) yield { table, key, start: mark.start }
  }

  /** Keys that the closure has not seen, or has seen only before they became start keys; they count as seen from here on. */
  takeUnexamined(): Map<string, RowKey[]> {
    const taken = new Map<string, RowKey[]>()
    for (const [table, marks] of this.#tables) {
      const keys: RowKey[] = []
      for (const [key, mark] of marks) {
        if (mark.examined === 'start' || (mark.examined === 'plain' && !mark.start)) continue
        mark.examined = mark.start ? 'start' : 'plain'
        keys.push(key)
      }
      if (keys.length > 0) taken.set(table, keys)
    }
    return taken
  }

  presence(table: string, key: RowKey): boolean | undefined {
    return this.#tables.get(table)?.get(key)?.present
  }

  setPresence(table: string, key: RowKey, present: boolean): void {
    const mark = this.#tables.get(table)?.get(key)
    if (mark) mark.present = present
  }

  takeUnapplied(table: string): RowKey[] {
    const keys: RowKey[] = []
    for (const [key, mark] of this.#tables.get(table) ?? []) {
      if (mark.applied) continue
      mark.applied = true
      keys.push(key)
    }
    return keys
  }

  isWritten(table: string, key: RowKey): boolean {
    return this.#tables.get(table)?.get(key)?.written ?? false
  }

  setWritten(table: string, keys: readonly RowKey[]): void {
    for (const key of keys) {
      const mark = this.#tables.get(table)?.get(key)
      if (mark) mark.written = true
    }
  }
}

/** The one or two keys that an entry makes dirty; anything but a plain update starts a closure. */
export function dirtyKeysOf(entry: ChangeEntry): { key: RowKey; start: boolean; isThere: boolean }[] {
  const isThere = entry.operation !== 'DELETE'
  if (entry.oldKey === null) return [{ key: entry.rowKey, start: entry.operation !== 'UPDATE', isThere }]
  return [
    { key: entry.rowKey, start: true, isThere },
    { key: entry.oldKey, start: true, isThere: false },
  ]
}

export function* slices<T>(list: readonly T[], size: number): Iterable<readonly T[]> {
  for (let at = 0; at < list.length; at += size) yield list.slice(at, at + size)
}
