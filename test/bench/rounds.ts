/** One contestant's work. Null where it is not there. */
type Contestant = () => Promise<number | null>

export interface Ratio {
  readonly seconds: number
  readonly peer: string
  readonly peerSeconds: number | null
  /** Below 1 the product is faster. */
  readonly ratio: number | null
}

/**
 * Runs both by turns, every other round in reverse, so that neither always meets the caches that the other has filled.
 * Returns the medians: the machine's speed changes from minute to minute, and only the ratio says something.
 */
export async function beside(
  peer: string,
  contestants: { readonly product: Contestant; readonly peer: Contestant },
  rounds = Number(process.env['BENCH_ROUNDS'] ?? 3),
): Promise<Ratio> {
  const seconds: Record<'product' | 'peer', number[]> = { product: [], peer: [] }
  for (let round = 0; round < rounds; round++)
    for (const who of round % 2 === 0 ? (['peer', 'product'] as const) : (['product', 'peer'] as const)) {
      const took = await contestants[who]()
      if (took !== null) seconds[who].push(took)
    }
  const product = median(seconds.product)
  const other = seconds.peer.length === 0 ? null : median(seconds.peer)
  return {
    seconds: rounded(product),
    peer,
    peerSeconds: other === null ? null : rounded(other),
    ratio: other === null ? null : rounded(product / other),
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

export function rounded(value: number): number {
  return Number(value.toFixed(3))
}
