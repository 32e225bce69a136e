/** A source of repeatable choices: the same seed yields the same sequence on every machine. */
export interface Random {
  /** A number in [0, 1), in steps of 2^-32. */
  next(): number
  /** An integer from `least` to `most`, inclusive. */
  int(least: number, most: number): number
  /** True in `probability` (0 to 1) of all calls. */
  chance(probability: number): boolean
  /** @throws RangeError if `items` is empty */
  pick<T>(items: readonly T[]): T
  /** The items in random order; does not modify the argument. */
  shuffle<T>(items: readonly T[]): T[]
}

/** @param seed an integer; only its low 32 bits count */
export function random(seed: number): Random {
  const next = mulberry32(seed)
  const int = (least: number, most: number): number => least + Math.floor(next() * (most - least + 1))
  return {
    next,
    int,
    chance: (probability) => next() < probability,
    pick: (items) => {
      if (items.length === 0) throw new RangeError('nothing to pick from')
      return items[int(0, items.length - 1)] as (typeof items)[number]
    },
    shuffle: (items) => {
      const shuffled = [...items]
      for (let last = shuffled.length - 1; last > 0; last -= 1) {
        const other = int(0, last)
        const kept = shuffled[last] as (typeof items)[number]
        shuffled[last] = shuffled[other] as (typeof items)[number]
        shuffled[other] = kept
      }
      return shuffled
    },
  }
}

/** Tommy Ettinger's Mulberry32: 32 bits of state, full period. */
function mulberry32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
