import type { ChangeEntry, RowKey } from '@mylab-sync/core'

interface Mark {
  start: boolean
  /** According to the key's last entry, the row exists. */
  isExpected: boolean
  /** Whether the closure has examined the key, and as what. */
  examined: 'no' | 'plain' | 'start'
  /** Whether the snapshot holds the row; undefined until read. */
  present: boolean | undefined
  applied: boolean
  /** This slice wrote the target's row, so it equals the snapshot's. */
  written: boolean
}

/** The set D of DESIGN 3.4: the keys to re-read, by table, and which of them start a closure. */
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

  /** Records whether the row exists according to this entry, the latest of the key so far. */
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

  /** Returns keys that the closure has not examined, or examined before they became start keys, and counts them as examined. */
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

/** Returns the one or two keys that an entry makes dirty. Anything but a plain update starts a closure. */
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
