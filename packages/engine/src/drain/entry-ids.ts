interface Run {
  readonly first: bigint
  last: bigint
  /** Distance between neighbours; 0 while the run has one id. */
  step: bigint
}

/**
 * The exact set of change entry ids that a drain has read. Ids mostly form runs (also with an auto_increment_increment above
 * 1), so millions of them take little memory; each one is still marked by its own number.
 */
export class EntryIds implements Iterable<bigint> {
  readonly #runs: Run[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  add(id: bigint): void {
    this.#size++
    const run = this.#runs.at(-1)
    const step = run ? id - run.last : 0n
    if (run && step > 0n && (run.step === 0n || run.step === step)) {
      run.last = id
      run.step = step
      return
    }
    this.#runs.push({ first: id, last: id, step: 0n })
  }

  /** Returns the ids of `pending` that this set lacks: ids commit out of order, so lower ones may appear late. Both must ascend. */
  async missingOf(pending: AsyncIterable<readonly bigint[]>): Promise<EntryIds> {
    const missing = new EntryIds()
    const read = this[Symbol.iterator]()
    let next = read.next()
    for await (const batch of pending) {
      for (const id of batch) {
        while (!next.done && next.value < id) next = read.next()
        if (next.done || next.value !== id) missing.add(id)
      }
    }
    return missing
  }

  *[Symbol.iterator](): Iterator<bigint> {
    for (const { first, last, step } of this.#runs) for (let id = first; id <= last; id += step || 1n) yield id
  }
}
