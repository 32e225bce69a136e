import type { Edge, ParkedParent, RowKey, SourceSnapshot, TargetTransaction } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'
import type { Quarantine } from '../rows/quarantine.js'
import type { DirtyKeys } from './dirty-keys.js'

/** What all slices of one drain or one catch-up share. */
export interface SliceScope {
  readonly context: EngineContext
  readonly model: Model
  readonly snapshot: SourceSnapshot
  readonly target: TargetTransaction
  /** Tables whose rows are written. The closure ends at all others. */
  readonly open: ReadonlySet<string>
  /** Closed tables that will open. References that may have changed their rows are kept until then. */
  readonly waiting: ReadonlySet<string>
}

/** One slice: everything that is held in memory at once. */
export interface Slice extends SliceScope {
  readonly parents: ParkedParents
  readonly dirty: DirtyKeys
  readonly quarantine: Quarantine
  readonly overflow: Overflow
  /** Text edges whose differently spelt children were already added: once per slice, before its writes. */
  readonly searched: Set<Edge>
}

/**
 * Bounds a slice's memory: a row may have millions of children. Keys beyond the bound are parked under the drain's number,
 * and later slices of the same drain apply them, in any order and before its commit, as they apply entries.
 */
export class Overflow {
  readonly #drain: number
  readonly #mostKeys: number
  #isUsed = false

  constructor(drain: number, mostKeys: number) {
    this.#drain = drain
    this.#mostKeys = mostKeys
  }

  get isUsed(): boolean {
    return this.#isUsed
  }

  async add({ dirty, target }: Slice, table: string, keys: readonly RowKey[], start: boolean): Promise<void> {
    const isFull = dirty.size >= this.#mostKeys
    const fresh = isFull ? keys.filter((key) => !dirty.has(table, key)) : []
    // A key that this drain has already read stays in memory, so that cyclic references terminate.
    const seen =
      fresh.length > 0
        ? await target.history.recordedKeys({ first: this.#drain, last: this.#drain }, table, fresh)
        : new Set<RowKey>()
    const later = new Set(fresh.filter((key) => !seen.has(key)))
    for (const key of keys) if (!later.has(key)) dirty.add(table, key, start)
    if (later.size === 0) return
    this.#isUsed = true
    await target.parked.park([...later].map((key) => ({ table, key, drain: this.#drain, start })))
  }
}

/** References to parent rows whose children's tables are not open. */
export class ParkedParents {
  readonly #edges = new Map<Edge, Map<string, readonly string[]>>()

  add(edge: Edge, parents: readonly (readonly string[])[]): void {
    let known = this.#edges.get(edge)
    if (!known) this.#edges.set(edge, (known = new Map()))
    // Tokens contain no comma.
    for (const tokens of parents) known.set(tokens.join(','), tokens)
  }

  all(drain: number): ParkedParent[] {
    return [...this.#edges].flatMap(([edge, parents]) =>
      [...parents.values()].map((tokens) => ({ child: edge.child, edge: edge.name, tokens, drain })),
    )
  }
}
