interface Run {
  readonly first: number
  last: number
  /** Distance between neighbours; 0 while the run has one id. */
  step: number
}

/**
 * Ids of change entries that a drain has read, exactly these. Ids mostly come in runs (also with an auto_increment_increment
 * above 1), so millions of them take little memory; each of them is still marked by its own number.
 */
export class EntryIds implements Iterable<number> {
  readonly #runs: Run[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  add(id: number): void {
    this.#size++
    const run = this.#runs.at(-1)
    const step = run ? id - run.last : 0
    if (run && step > 0 && (run.step === 0 || run.step === step)) {
      run.last = id
      run.step = step
      return
    }
    this.#runs.push({ first: id, last: id, step: 0 })
  }

  /** Those of `pending` that it lacks: lower ones that have committed since, for ids commit out of order. Both ascend. */
  async missingOf(pending: AsyncIterable<readonly number[]>): Promise<EntryIds> {
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

  *[Symbol.iterator](): Iterator<number> {
    for (const { first, last, step } of this.#runs) for (let id = first; id <= last; id += Math.max(1, step)) yield id
  }
}
